"""Rules about what each kind of task needs, and what would do nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.kinds import KINDS, Kind
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.source import SourceText

KEYS: Final[tuple[KeyPath, ...]] = tuple(
    sorted(
        dict.fromkeys(tuple(key.split(".")) for kind in KINDS.values() for key in kind.reads),
        key=len,  # a key before those inside it
    )
)
"""Keys that only some kinds read; the others would ignore them."""
_SAYS_NOTHING: Final[Mapping[KeyPath, object]] = {
    ("task", "input"): "{text}",
    ("task", "output"): "text",
    ("task", "max_new_tokens"): 0,
    ("data", "label", "separator"): ",",
}
"""Defaults that may stand anywhere, as they do in resolved recipes."""


def said(filled: Mapping[str, Any], path: KeyPath) -> object:
    """Return what the recipe says at a key, None where it says nothing but the default."""
    found: Any = filled
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found in (None, "", [], {}) or found == _SAYS_NOTHING.get(path) else found


def reads_input(filled: Mapping[str, Any]) -> bool:
    """Tell whether the rows are read through `task.input`, and not by their shape."""
    kind = KINDS.get(filled["task"]["kind"])
    if kind is None or "task.input" not in kind.reads:
        return False
    return not kind.formats or said(filled, ("data", kind.columns_key)) is not None


def keys_are_there(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R240: the kind has what it cannot do without."""
    kind = KINDS.get(filled["task"]["kind"])
    for key in kind.needs if kind else ():
        path = tuple(key.split("."))
        if said(filled, path) is None:
            message = f"missing; {filled['task']['kind']} cannot do without it"
            hint = f"see: recipe schema {key}"
            yield source.problem("R240", message, at=path, key=True, hint=hint)


def keys_fit_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R241: no key stands there that this kind would ignore."""
    kind = KINDS.get(filled["task"]["kind"])
    if kind is None:
        return  # the schema reports it
    reported: list[KeyPath] = []
    for path in KEYS:
        key = dotted(path)
        if key in kind.reads or path[:-1] in reported or said(filled, path) is None:
            continue
        reported.append(path)
        readers = tuple(name for name, other in KINDS.items() if key in other.reads)
        message = f"means nothing to kind {kind.name}; it is for {_listed(readers)}"
        yield source.problem("R241", message, at=path, key=True, hint="delete it")


def _listed(kinds: tuple[str, ...]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} and {last}" if first else last


def answer_comes_one_way(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R242: from a column, from fields, from spans or from tags."""
    kind, answer = KINDS.get(filled["task"]["kind"]), filled["data"].get("answer")
    if answer is None or kind is None or "data.answer" not in kind.reads:
        return
    at = ("data", "answer")
    parts = [way for way in ("fields", "spans", "tags") if f"data.answer.{way}" in kind.reads]
    ways = ("column", *parts)
    used = [way for way in ways if said(filled, (*at, way)) is not None]
    for way in used[1:]:
        message = f"the answer comes from `{used[0]}` already"
        yield source.problem("R242", message, at=(*at, way), key=True, hint="keep one of the two")
    has_references = "data.answer.references" in kind.reads and answer["references"]
    if not used and not has_references:
        hint = f"add {' or '.join(f'`{way}`' for way in ways)}"
        yield source.problem("R242", "does not say where the answer is", at=at, key=True, hint=hint)


def shape_fits_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R243: a shape that the kind can read, and not beside keys that say otherwise."""
    kind, shape = KINDS.get(filled["task"]["kind"]), filled["data"]["shape"]
    if kind is None:
        return  # the schema reports it
    at, key = ("data", "shape"), kind.columns_key
    by_columns = bool(key) and said(filled, ("data", key)) is not None
    if shape == "columns" and key and not by_columns:
        hint = f"add data.{key}, or write `shape: auto`"
        yield source.problem("R243", "nothing says which columns", at=at, hint=hint)
    if shape not in ("auto", "columns"):
        yield from _format_problems(source, kind, shape, by_columns=by_columns)
    is_ignored = "task.input" in kind.reads and kind.formats and not by_columns
    if is_ignored and said(filled, ("task", "input")) is not None:
        message = "the shape of the rows says what is read; this would be ignored"
        hint = "delete it, or say under data.answer where the answer is"
        yield source.problem("R243", message, at=("task", "input"), key=True, hint=hint)


def _format_problems(
    source: SourceText, kind: Kind, shape: str, *, by_columns: bool
) -> Iterator[Problem]:
    at, fitting = ("data", "shape"), kind.formats
    if shape not in fitting:
        known = f"shapes are {', '.join(fitting)}" if fitting else "it reads columns"
        message = f"{kind.name} cannot be read from rows of shape {shape}"
        yield source.problem("R243", message, at=at, hint=known)
    elif by_columns:
        message = f"the shape says where things are, and so does `data.{kind.columns_key}`"
        yield source.problem("R243", message, at=at, hint="keep one of the two")
