"""Rules about probes: named once, with columns of their kind, in files that can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.formats import format_of
from engine.recipe.probes import KINDS, parts_of
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.nearest import nearest
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

AT: Final[KeyPath] = ("acceptance", "forgetting", "probes")
_FORMATS: Final = ("jsonl", "json", "csv", "tsv", "parquet")


def written_probes(filled: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield the probes of a recipe that lie in files, with their key paths."""
    forgetting = filled["acceptance"].get("forgetting") or {}
    for position, written in enumerate(forgetting.get("probes", ())):
        if isinstance(written, Mapping):
            yield (*AT, position), written


def names_differ(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R280: reports call a probe by its name."""
    forgetting = filled["acceptance"].get("forgetting") or {}
    seen: set[str] = set()
    for position, written in enumerate(forgetting.get("probes", ())):
        is_named = isinstance(written, Mapping)
        name = written["name"] if is_named else written
        if name in seen or (is_named and name == "builtin"):
            at: KeyPath = (*AT, position, "name") if is_named else (*AT, position)
            message = f"two probes are called {show(name)}"
            if name == "builtin" and name not in seen:
                message = "`builtin` is the name of the project's own questions"
            yield source.problem("R280", message, at=at, hint="give each its own name")
        seen.add(name)


def columns_fit_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R281: `columns` says where the parts of a question are, and each kind has its own."""
    for at, written in written_probes(filled):
        if written["kind"] not in KINDS:
            continue
        parts = parts_of(written["kind"])
        for part in written["columns"]:
            if part in parts:
                continue
            near = nearest(part, parts)
            hint = f"did you mean `{near}`?" if near else f"parts are {', '.join(parts)}"
            message = f"{written['kind']} has no part {show(part)}"
            yield source.problem("R281", message, at=(*at, "columns", part), key=True, hint=hint)


def rows_can_be_found(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R112, R231: a hub data set says its split or file; a file has a format of rows."""
    for at, written in written_probes(filled):
        if "hub" in written and not written.get("split") and "file" not in written:
            message = "a hub data set needs `split` or `file`"
            yield source.problem("R112", message, at=at, hint="add, for example, `split: test`")
            continue
        key = "file" if "file" in written else "path"
        name = written.get(key)
        if name is None or format_of(name, written["format"]) in _FORMATS:
            continue
        message = f"the name {show(name.rsplit('/', 1)[-1])} does not tell a format of rows"
        hint = f"add `format:` with one of {', '.join(_FORMATS)}"
        yield source.problem("R231", message, at=(*at, key), hint=hint)
