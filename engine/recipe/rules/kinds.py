"""Rules about what each kind of task needs, and what would do nothing in it."""

from collections.abc import Mapping
from typing import Any, Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.rules import Problems, rule
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.source import FilledText

_KEYS: Final[tuple[KeyPath, ...]] = tuple(
    sorted(
        dict.fromkeys(tuple(key.split(".")) for kind in KINDS.values() for key in kind.reads),
        key=len,  # a key before those inside it
    )
)
KIND_KEYS: Final = ("task.kind", *map(dotted, _KEYS), "data.shape")
_DEFAULTS: Final[Mapping[KeyPath, object]] = {
    ("task", "input"): "{text}",
    ("task", "output"): "text",
    ("task", "max_new_tokens"): 0,
    ("data", "label", "separator"): ",",
    ("method", "packing"): False,
}
"""Defaults that may stand anywhere, as they do in resolved recipes."""


def value_at(recipe: FilledText, path: KeyPath) -> object:
    found: Any = recipe.filled
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found in (None, "", [], {}) or found == _DEFAULTS.get(path) else found


def reads_input(recipe: FilledText) -> bool:
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or "task.input" not in kind.reads:
        return False
    return not kind.formats or value_at(recipe, ("data", kind.columns_key)) is not None


@rule(*KIND_KEYS)
def keys_fit_the_kind(recipe: FilledText) -> Problems:
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None:
        return  # the schema reports it
    for key in kind.needs:
        needed = tuple(key.split("."))
        if value_at(recipe, needed) is None:
            message = f"missing; {recipe['task']['kind']} cannot do without it"
            hint = f"see: recipe schema {key}"
            yield recipe.problem("R240", message, at=needed, key=True, hint=hint)
    reported: list[KeyPath] = []
    for path in _KEYS:
        key = dotted(path)
        # The keys of a section that is reported as a whole are not reported again.
        if key in kind.reads or path[:-1] in reported or value_at(recipe, path) is None:
            continue
        reported.append(path)
        readers = tuple(name for name, other in KINDS.items() if key in other.reads)
        message = f"means nothing to kind {kind.name}; it is for {listed(readers)}"
        yield recipe.problem("R241", message, at=path, key=True, hint="delete it")


@rule("task.kind", "data.answer")
def answer_comes_one_way(recipe: FilledText) -> Problems:
    kind, answer = KINDS.get(recipe["task"]["kind"]), recipe["data"].get("answer")
    if answer is None or kind is None or "data.answer" not in kind.reads:
        return
    at, parts = ("data", "answer"), ("fields", "spans", "tags")
    ways = ("column", *(way for way in parts if f"data.answer.{way}" in kind.reads))
    used = [way for way in ways if value_at(recipe, (*at, way)) is not None]
    for way in used[1:]:
        message = f"the answer comes from `{used[0]}` already"
        yield recipe.problem("R242", message, at=(*at, way), key=True, hint="keep one of the two")
    has_references = "data.answer.references" in kind.reads and answer["references"]
    if not used and not has_references:
        hint = f"add {' or '.join(f'`{way}`' for way in ways)}"
        yield recipe.problem("R242", "does not say where the answer is", at=at, key=True, hint=hint)


@rule(*KIND_KEYS)
def shape_fits_the_kind(recipe: FilledText) -> Problems:
    kind, shape = KINDS.get(recipe["task"]["kind"]), recipe["data"]["shape"]
    if kind is None:
        return  # the schema reports it
    at, key = ("data", "shape"), kind.columns_key
    by_columns = bool(key) and value_at(recipe, ("data", key)) is not None
    if shape == "columns" and key and not by_columns:
        hint = f"add data.{key}, or write `shape: auto`"
        yield recipe.problem("R243", "nothing says which columns", at=at, hint=hint)
    if shape not in ("auto", "columns", *kind.formats):
        known = f"shapes are {', '.join(kind.formats)}" if kind.formats else "it reads columns"
        message = f"{kind.name} cannot be read from rows of shape {shape}"
        yield recipe.problem("R243", message, at=at, hint=known)
    elif shape not in ("auto", "columns") and by_columns:
        message = f"the shape says where things are, and so does `data.{kind.columns_key}`"
        yield recipe.problem("R243", message, at=at, hint="keep one of the two")
    is_ignored = "task.input" in kind.reads and kind.formats and not by_columns
    if is_ignored and value_at(recipe, ("task", "input")) is not None:
        message = "the shape of the rows says what is read; this would be ignored"
        hint = "delete it, or say under data.answer where the answer is"
        yield recipe.problem("R243", message, at=("task", "input"), key=True, hint=hint)
