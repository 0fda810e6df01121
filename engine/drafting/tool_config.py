"""The config of another tool: its settings, and the data sets that it names as sources and columns of a recipe.

The tables are in `schemas/`. `import-taken.json`: {to, as, values, else, both, axolotl, llamafactory}, a key of a
recipe, how a value becomes ours (by its type, or by a table with null for what our default says), why another value is
left out, and the keys of the tools. `import-left-out.json`: {keys, why}, patterns of complete keys; the first that fits
counts. `import-tools.json`: all else; `unstated` has what each tool takes where a config sets nothing (Axolotl 0.21,
LLaMA-Factory 0.9.5, `TrainingArguments` of transformers 5).
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from engine.data.examples.template import found_at
from engine.drafting.value_shapes import load_yaml, usual
from engine.errors import RecipeError
from engine.files.reading import parse_json, read_text
from engine.recipe.text.paths import as_typed, format_of
from engine.recipe.text.source import MAX_BYTES
from engine.recipe.validation.schema import schema_text
from engine.trust.allowed import lies_below, real_place
from engine.values import Value

TOOLS: Final[Mapping[str, Any]] = parse_json(schema_text("import-tools.json"))
KNOWN: Final[Mapping[str, frozenset[str]]] = {
    tool: frozenset(parse_json(schema_text(name))["keys"]) for tool, name in TOOLS["keys"].items()
}
"""The keys that a tool itself knows."""
ON_HUB: Final = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
"""`owner/name`; `./merged` and `../merged` are folders."""
Keys = Mapping[str, Any]


class Config(Value):
    tool: str
    path: Path
    settings: Keys

    def first(self, *keys: str) -> Any:
        """Return the value of the first of the keys that is set to something; None where none is."""
        return next((self.settings[key] for key in keys if self.settings.get(key)), None)

    def below(self, name: str) -> Keys:
        """Return the mapping in a file below the config's folder; empty where it holds none, or lies elsewhere."""
        folder = self.path.parent
        try:
            # An untrusted config, or a link next to it, reads nothing elsewhere.
            place = real_place(folder / name)
            value = _value_in(place) if lies_below(place, real_place(folder)) else None
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return value if isinstance(value, Mapping) else {}


def read_config(path: Path) -> Config:
    """Return the settings of a file; RecipeError R425 where it is a config of none of the tools."""
    try:
        value = usual(_value_in(path))
    except OSError as error:
        raise _refused(path, (error.strerror or str(error)).lower()) from None
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(path, f"it cannot be read: {str(error).partition('\n')[0]}") from None
    settings = {str(key): one for key, one in value.items()} if isinstance(value, Mapping) else {}
    tool, own = max(
        TOOLS["own"].items(),
        key=lambda one: (len(settings.keys() & {*one[1]}), len(settings.keys() & KNOWN[one[0]])),
    )
    config = Config(tool=tool, path=path, settings=settings)
    is_training = tool != "llamafactory" or config.first(*TOOLS["trains"])
    refusals = {
        "it is no mapping of keys": not settings,
        "it is a recipe already": "recipe" in settings,
        "none of its keys names a model or data as Axolotl or LLaMA-Factory do": settings.keys().isdisjoint(own),
        "it asks or exports a model: name the config of its training, which names rows": not is_training,
    }  # fmt: skip
    if why := next((why for why, holds in refusals.items() if holds), ""):
        raise _refused(path, why)
    return config


def _refused(path: Path, why: str) -> RecipeError:
    hint = "name an Axolotl or LLaMA-Factory YAML"
    if format_of(path.name) not in (None, "json", "lines") and path.is_file():
        hint = f"it may hold rows: recipe init {as_typed(path)}"
    message = f"`{path.name}` is no config that can be imported: {why}"
    return RecipeError.one("R425", message, hint=hint)


def _value_in(path: Path) -> Any:
    text = read_text(path, limit=MAX_BYTES)
    return parse_json(text) if path.suffix == ".json" else load_yaml(text, most=MAX_BYTES)


def note(name: str, key: object = "", at: str = "") -> str:
    return str(TOOLS["notes"][name]).format(key=key, at=at)


class DataSet(Value):
    """A data set of a config."""

    keys: Keys
    """What the config, or the file that lists data sets, says of it."""
    at: str = ""
    """Its place in a config of Axolotl."""
    into: str = "train"

    def sources(self, folder: Path) -> Iterator[dict[str, Any]]:
        """Yield a source of a recipe for each file that it names, or for all of it."""
        name, files = str(self.keys.get("path", "data/rows.jsonl")), self.keys.get("data_files")
        named = [str(file) for file in (files if isinstance(files, list) else [files]) if file]
        # `os.path.exists` takes a name that is too long to be one, for which `Path.exists` raises.
        is_here = os.path.exists(folder / name) or not ON_HUB.fullmatch(name)
        if format_of(name) is not None:
            yield from ({"path": file} for file in named or [name])
        elif is_here:
            yield from [{"path": file} for file in named] or [{"path": name, "format": "jsonl"}]
        else:
            config = {"config": str(self.keys["name"])} if self.keys.get("name") else {}
            # `train[:1%]` is a part of a split, which `data.sample` samples.
            split = str(self.keys.get("split") or "train").split("[")[0]
            parts = [{"file": file} for file in named] or [{"split": split}]
            yield from ({"hub": name, **config, **part} for part in parts)

    def columns(self, *, is_pair: bool) -> dict[str, Any]:
        """Return the columns that a data set of Axolotl names, by the keys of a recipe."""
        kind, keys = self.keys.get("type"), self.keys
        if isinstance(kind, Mapping):
            asked = [kind.get("field_instruction", "instruction")]
            asked += [kind.get("field_input")] if "{input}" in str(kind.get("format", "")) else []
            return {
                "task.input": "\n".join(f"{{{one}}}" for one in asked if one),
                "data.answer.column": str(kind.get("field_output", "output")),
            }
        is_text = str(kind).startswith(("completion", "pretrain")) or keys.get("text_column")
        table = TOOLS["columns"]["pair" if is_pair else "text" if is_text else "turns"]
        # Of each key, the first of the tool's that is there, else what is usual.
        found = {
            ours: str(next(filter(None, (found_at(keys, one) for one in named)), usual_name))
            for ours, (usual_name, *named) in table.items()
        }
        if is_pair:
            return found if all(found.values()) else {}
        if is_text:
            return {key: f"{{{one}}}" for key, one in found.items() if one != "text"}
        roles = keys.get("roles")
        # Ours is the role of each name, Axolotl's the names of each role.
        speakers = {
            str(name): str(role)
            for role, names in (roles.items() if isinstance(roles, Mapping) else ())
            for name in ([names] if isinstance(names, str) else names or [])
        }
        # `messages` or `conversations` with the usual keys is a shape that needs no columns.
        if [*found.values()] in TOOLS["usual turns"] and speakers.keys() <= {*TOOLS["speakers"]}:
            return {}
        return found | ({"data.messages.roles": speakers} if speakers else {})

    def notes(self) -> Iterator[str]:
        """Yield what is left out of a data set of Axolotl."""
        kind = self.keys.get("type")
        if isinstance(kind, Mapping):
            yield from (note("type key", k, self.at) for k in kind if k not in TOOLS["type"])
        elif not re.match(TOOLS["known types"], str(kind)):
            yield note("type", kind, self.at)
        yield from (note("entry key", k, self.at) for k in self.keys if k not in TOOLS["entry"])


def data_sets(config: Config, notes: list[str]) -> Iterator[DataSet]:
    """Yield the data sets of a config; a file that lists them and is not there is added to the notes."""
    trained = "datasets" if config.settings.get("datasets") else "pretraining_dataset"
    for name, into in ((trained, "train"), ("test_datasets", "holdout")):
        listed = config.settings.get(name)
        for place, one in enumerate(listed if isinstance(listed, list) else [listed]):
            if one and isinstance(one, str | Mapping):
                keys = {"path": one} if isinstance(one, str) else one
                yield DataSet(keys=keys, at=f"{name}[{place}]", into=into)
    if config.tool != "llamafactory":
        return
    named = config.first("dataset", "train_dataset")
    data = str(config.settings.get("dataset_dir") or "data")
    info = config.below(f"{data}/dataset_info.json")
    names = named.split(",") if isinstance(named, str) else named
    for name in (str(one).strip() for one in (names if isinstance(names, list) else ())):
        # The next LLaMA-Factory lists data sets in a file.
        is_list = name.endswith((".yaml", ".yml"))
        listed = config.below(name) if is_list else {name: info.get(name)}
        notes += [] if listed else [note("list", name)]
        for one in listed.values():
            keys = one if isinstance(one, Mapping) else {}
            path = keys.get("hf_hub_url") or keys.get("path")
            if not path and keys.get("file_name"):
                path = f"{data}/{keys['file_name']}"
            elif not path:
                notes.append(note("info", name))
                path = name if "/" in name else f"data/{name}.json"
            yield DataSet(keys={**keys, "path": path})
