"""Rules about what each kind of task needs, and what would do nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.rules.rule import rule
from engine.recipe.text.compose import KeyPath, dotted
from engine.recipe.text.source import SourceText

LABELLED: Final = ("classification", "multilabel")
ASKED: Final = (*LABELLED, "extraction", "generation")
"""Kinds with a question around a text."""
KINDS: Final = (*ASKED, "chat", "text", "preference")

TAKES: Final[Mapping[KeyPath, tuple[str, ...]]] = {
    ("task", "labels"): LABELLED,
    ("task", "schema"): ("extraction",),
    ("task", "instruction"): ASKED,
    ("task", "system"): (*ASKED, "chat", "preference"),
    ("task", "input"): (*ASKED, "text"),
    ("task", "output"): LABELLED,
    ("task", "out_of_scope"): ("classification",),
    ("task", "answer_pattern"): ("generation",),
    ("task", "max_new_tokens"): ("multilabel", "extraction", "generation"),
    ("data", "label"): LABELLED,
    ("data", "label", "bins"): ("classification",),
    ("data", "label", "separator"): ("multilabel",),
    ("data", "answer"): ("extraction", "generation"),
    ("data", "answer", "references"): ("generation",),
    ("data", "answer", "fields"): ("extraction",),
    ("data", "answer", "spans"): ("extraction",),
    ("data", "answer", "tags"): ("extraction",),
    ("data", "messages"): ("chat",),
    ("data", "pair"): ("preference",),
}
"""Which kinds read a key; the others would ignore it."""
KIND_KEYS: Final = ("task.kind", *map(dotted, TAKES), "data.shape")
"""What the rules about kinds read."""
NEEDS: Final[Mapping[KeyPath, tuple[str, ...]]] = {
    ("task", "instruction"): (*LABELLED, "extraction"),
    ("task", "labels"): LABELLED,
    ("task", "schema"): ("extraction",),
    ("data", "label"): LABELLED,
    ("data", "answer"): ("extraction",),
}
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "generation": ("alpaca", "prompt_completion", "openai_messages", "sharegpt"),
    "chat": ("openai_messages", "sharegpt", "alpaca", "prompt_completion"),
    "preference": ("dpo", "kto"),
}
"""The shapes that say all that a kind needs; the other kinds read columns."""
COLUMNS_IN: Final = {"generation": "answer", "chat": "messages", "preference": "pair"}
"""The key of `data` that says instead where things are."""
_DEFAULTS: Final[Mapping[KeyPath, object]] = {
    ("task", "input"): "{text}",
    ("task", "output"): "text",
    ("task", "max_new_tokens"): 0,
    ("data", "label", "separator"): ",",
}
"""Defaults that may stand anywhere, as they do in resolved recipes."""


def value_at(filled: Mapping[str, Any], path: KeyPath) -> object:
    """Return the value of a key, None where it is empty or the default."""
    found: Any = filled
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found in (None, "", [], {}) or found == _DEFAULTS.get(path) else found


def reads_input(filled: Mapping[str, Any]) -> bool:
    """Tell whether the rows are read through `task.input`, and not by their shape."""
    kind = filled["task"]["kind"]
    by_shape = kind == "generation" and value_at(filled, ("data", "answer")) is None
    return kind in TAKES["task", "input"] and not by_shape


@rule(*KIND_KEYS)
def keys_are_there(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R240: a key that this kind of task needs.

    Classification and multilabel need an instruction, labels and data.label; extraction needs an instruction, a
    schema and data.answer. Nothing can stand in for them.

    Fix: Add the key; `recipe schema KEY` shows an example.

    Wrong:
        ▸task:
          kind: classification
          instruction: "Is it billing or a bug?"
          # no labels

    Right:
        task:
          kind: classification
          instruction: "Is it billing or a bug?"
          labels: [billing, bug]
    """
    kind = filled["task"]["kind"]
    for path, kinds in NEEDS.items():
        if kind in kinds and value_at(filled, path) is None:
            message = f"missing; {kind} cannot do without it"
            hint = f"see: recipe schema {dotted(path)}"
            yield source.problem("R240", message, at=path, key=True, hint=hint)


@rule(*KIND_KEYS)
def keys_fit_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R241: a key that means nothing to this kind of task.

    It would be ignored, and a reader of the recipe would believe that it does something.

    Fix: Delete the key, or correct task.kind.

    Wrong:
        task:
          kind: chat
          ▸instruction: Be nice.
          # no system

    Right:
        task:
          kind: chat
          system: Be nice.
    """
    kind = filled["task"]["kind"]
    if kind not in KINDS:
        return
    reported: list[KeyPath] = []
    for path, kinds in TAKES.items():
        if kind in kinds or path[:-1] in reported or value_at(filled, path) is None:
            continue
        reported.append(path)
        message = f"means nothing to kind {kind}; it is for {_listed(kinds)}"
        yield source.problem("R241", message, at=path, key=True, hint="delete it")


def _listed(kinds: tuple[str, ...]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} and {last}" if first else last


@rule("task.kind", "data.answer")
def answer_comes_one_way(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R242: an answer that comes from nowhere, or from two places.

    Two ways can disagree, row by row, and nothing says which one is right.

    Fix: Keep exactly one of column, fields, spans and tags under data.answer; generation knows column and
    references.

    Wrong:
        task:
          kind: extraction
        data:
          answer:
            column: answer
            ▸fields: {city: city}

    Right:
        task:
          kind: extraction
        data:
          answer:
            fields: {city: city}
    """
    kind, answer = filled["task"]["kind"], filled["data"].get("answer")
    if answer is None or kind not in TAKES["data", "answer"]:
        return
    at = ("data", "answer")
    ways = ("column", "fields", "spans", "tags") if kind == "extraction" else ("column",)
    used = [way for way in ways if value_at(filled, (*at, way)) is not None]
    for way in used[1:]:
        message = f"the answer comes from `{used[0]}` already"
        yield source.problem("R242", message, at=(*at, way), key=True, hint="keep one of the two")
    if not used and not (kind == "generation" and answer["references"]):
        hint = f"add {' or '.join(f'`{way}`' for way in ways)}"
        yield source.problem("R242", "does not say where the answer is", at=at, key=True, hint=hint)


@rule(*KIND_KEYS)
def shape_fits_the_kind(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R243: a shape that does not go with the kind or with other keys.

    Generation reads alpaca, prompt_completion, openai_messages and sharegpt; chat reads the same; preference
    reads dpo and kto. A shape says where everything stands, so no other key can say it too.

    Fix: Correct data.shape, or delete it and name the columns.

    Wrong:
        task:
          kind: chat
        data:
          shape: ▸dpo

    Right:
        task:
          kind: chat
        data:
          shape: sharegpt
    """
    kind, shape = filled["task"]["kind"], filled["data"]["shape"]
    if kind not in KINDS:
        return
    at, key = ("data", "shape"), COLUMNS_IN.get(kind)
    by_columns = key is not None and value_at(filled, ("data", key)) is not None
    if shape == "columns" and key is not None and not by_columns:
        hint = f"add data.{key}, or write `shape: auto`"
        yield source.problem("R243", "nothing says which columns", at=at, hint=hint)
    if shape not in ("auto", "columns"):
        yield from _unfit_shape(source, kind, shape, by_columns=by_columns)
    if kind == "generation" and not by_columns and value_at(filled, ("task", "input")) is not None:
        message = "the shape of the rows says what is read; this would be ignored"
        hint = "delete it, or say under data.answer where the answer is"
        yield source.problem("R243", message, at=("task", "input"), key=True, hint=hint)


def _unfit_shape(
    source: SourceText, kind: str, shape: str, *, by_columns: bool
) -> Iterator[Problem]:
    at, fitting = ("data", "shape"), SHAPES.get(kind, ())
    if shape not in fitting:
        known = f"shapes are {', '.join(fitting)}" if fitting else "it reads columns"
        message = f"{kind} cannot be read from rows of shape {shape}"
        yield source.problem("R243", message, at=at, hint=known)
    elif by_columns:
        message = f"the shape says where things are, and so does `data.{COLUMNS_IN[kind]}`"
        yield source.problem("R243", message, at=at, hint="keep one of the two")
