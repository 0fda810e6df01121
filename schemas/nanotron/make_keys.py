"""Write the closed key list of Nanotron's configuration.

`python schemas/nanotron/make_keys.py CHECKOUT > schemas/nanotron/VERSION.keys.json`, where CHECKOUT is a folder with
Nanotron's source; the result is committed, one file a version. The source is read and not imported: importing it needs
flash-attn, and so CUDA. Of each field of its dataclasses the list has the name, by its place in the YAML, the classes
that have it, and the kinds of value.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILES = ("config", "models_config", "parallelism_config", "lighteval_config", "utils_config")
ROOT = "Config"
SCALARS = {"bool": "bool", "int": "int", "float": "float", "str": "str", "None": "null"}
FORMS = {"List": "list", "list": "list", "Dict": "dict", "dict": "dict"}
TEXT = {
    "Path", "xPath", "dtype", "PipelineEngine", "TensorParallelLinearMode", "InitScalingMethod",
    "RecomputeGranularity", "SamplerType", "AttentionImplementation",
}  # fmt: skip
"""Classes that are read from text."""
LISTED = "[]"
"""Behind the key of a list whose members have keys."""

Classes = Mapping[str, ast.ClassDef]


def main(checkout: Path) -> None:
    """Print the key list."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder = checkout / "src" / "nanotron" / "config"
    trees = [ast.parse((folder / f"{name}.py").read_text(encoding="utf-8")) for name in FILES]
    classes: dict[str, ast.ClassDef] = {}
    aliases: dict[str, ast.expr] = {}
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                # The first one of a name counts: `lighteval_config` has one that `config` has too.
                classes.setdefault(node.name, node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                aliases.setdefault(node.targets[0].id, node.value)
    keys: dict[str, dict[str, Any]] = {}
    for key, owner, kinds in keys_of(ROOT, classes, aliases):
        entry = keys.setdefault(key, {"kinds": [], "of": []})
        entry["kinds"] = sorted({*entry["kinds"], *kinds})
        entry["of"] = sorted({*entry["of"], owner})
    json.dump(
        {"nanotron": project["version"], "keys": dict(sorted(keys.items()))}, sys.stdout, indent=1
    )
    sys.stdout.write("\n")


def keys_of(
    name: str, classes: Classes, aliases: Mapping[str, ast.expr], at: str = ""
) -> Iterator[tuple[str, str, set[str]]]:
    """Yield every key of a dataclass and of those below it, with its class and the kinds of its value."""
    for node in classes[name].body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        key = f"{at}{node.target.id}"
        kinds: set[str] = set()
        below: list[str] = []
        for word in _words(node.annotation, aliases):
            if word in classes and _is_dataclass(classes[word]):
                below.append(word)
            else:
                kinds |= {_kind(word)}
        yield key, name, kinds | ({"dict"} if below else set())
        listed = LISTED if "list" in kinds else ""
        for one in below:
            yield from keys_of(one, classes, aliases, f"{key}{listed}.")


def _words(annotation: ast.expr, aliases: Mapping[str, ast.expr]) -> Iterator[str]:
    """Yield the names that an annotation is made of, without what only combines them."""
    if isinstance(annotation, ast.Name) and annotation.id in aliases:
        yield from _words(aliases[annotation.id], aliases)
    elif isinstance(annotation, ast.Subscript):
        form = ast.unparse(annotation.value)
        if form in FORMS:
            yield form
        elif form == "Optional":
            yield "None"
        yield from _words(annotation.slice, aliases)
    elif isinstance(annotation, ast.Tuple):
        for one in annotation.elts:
            yield from _words(one, aliases)
    else:
        yield ast.unparse(annotation).rpartition(".")[2]


def _kind(word: str) -> str:
    if word in TEXT:
        return "str"
    return SCALARS.get(word) or FORMS.get(word) or "any"


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
