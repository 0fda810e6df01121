"""Rules about the rows: where labels come from, which columns hold what, and general text trained with them."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.prompt import TemplateError, fields
from engine.recipe.references import REPLAY_SOURCES
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.task import no_such_label, reads_input
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import with_suggestion
from engine.recipe.validation.schema_errors import show

_AT: Final[KeyPath] = ("data", "replay")
KINDS_OF_TEXT: Final = ("generation", "chat", "text")
"""Whose answers are texts, so that a share of their tokens is some text."""


@rule("task.kind", "data.replay", "base_model")
def replay_fits_the_recipe(recipe: FilledText) -> Problems:
    kind, replay, base = recipe["task"]["kind"], recipe["data"].get("replay"), recipe["base_model"]
    if replay is not None and kind in KINDS and kind not in KINDS_OF_TEXT:
        message = f"general text is replayed beside {listed(KINDS_OF_TEXT)}, not {kind}"
        yield recipe.problem("R396", message, at=_AT, key=True, hint="delete it")
    if "from" in (replay or {}) and {"scratch", "keep_layers"} & set(base):
        what = "a blank model" if "scratch" in base else "a model without some of its layers"
        message = f"{what} writes no text that is worth keeping"
        yield recipe.problem("R397", message, at=(*_AT, "from"), key=True, hint="name `sources`")
    for position, written in enumerate((replay or {}).get("sources", ())):
        at = (*REPLAY_SOURCES, position)
        if "into" in written:
            message = "text that is replayed is trained on, and is in no split"
            yield recipe.problem("R398", message, at=(*at, "into"), key=True, hint="delete it")
        if written["weight"] != 1:
            message = "`share` says how much of the text is trained"
            yield recipe.problem("R398", message, at=(*at, "weight"), key=True, hint="delete it")


_LABEL: Final = ("data", "label")
_MEASURED: Final = (("spans", "of"), ("tags", "of"))


@rule("task.labels", "data.label")
def targets_are_labels(recipe: FilledText) -> Problems:
    """Relabel and bins lead to labels of the task (R212)."""
    labels, label = recipe["task"].get("labels"), recipe["data"].get("label")
    if labels is None or label is None:
        return
    for value, target in label["relabel"].items():
        if target not in labels:
            yield no_such_label(recipe, target, (*_LABEL, "relabel", value))
    for target in label["bins"]:
        if target not in labels:
            yield no_such_label(recipe, target, (*_LABEL, "bins", target), key=True)


@rule("data.label", "task.labels")
def bins_divide_the_numbers(recipe: FilledText) -> Problems:
    label, at = recipe["data"].get("label", {}), (*_LABEL, "bins")
    bins: Mapping[str, Any] = label.get("bins", {})
    if bins and label["relabel"]:
        yield recipe.problem("R214", "relabel and bins exclude each other", at=at, key=True)
    ends = {name: (one.get("min", -inf), one.get("max", inf)) for name, one in bins.items()}
    for name, (low, high) in ends.items():
        if low > high:
            message = f"is empty: min {low} is above max {high}"
            yield recipe.problem("R213", message, at=(*at, name), key=True)
    for (one, first), (other, second) in combinations(ends.items(), 2):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        if low <= high:
            where = f"at {low}" if low == high else f"from {low} to {high}"
            message = f"overlaps {show(one)} {where}; both ends belong to a bin"
            yield recipe.problem("R213", message, at=(*at, other), key=True)
    for name in recipe["task"].get("labels", []) if bins else ():
        if name not in bins:
            message = f"no bin leads to {show(name)}, so it would have no rows"
            yield recipe.problem("R223", message, at=at, key=True)


def _fields(template: str) -> tuple[str, ...]:
    try:
        return fields(template)
    except TemplateError:
        return ()


@rule("data.sources", "data.label", "data.answer", "task.input", "task.kind")
def columns_are_in_the_header(recipe: FilledText) -> Problems:
    label = recipe["data"].get("label")
    named: list[tuple[KeyPath, str]] = []
    if label is not None:
        named.append((("data", "label", "column"), label["column"]))
    for at, column in _answer_columns(recipe["data"].get("answer")):
        named.append((("data", "answer", *at), column))
    if reads_input(recipe):
        named += [(("task", "input"), column) for column in _fields(recipe["task"]["input"])]
    for at, column in named:
        for position, written in enumerate(recipe["data"]["sources"]):
            header = written["header"]
            if header and column not in header and column.partition(".")[0] not in header:
                message = f"data.sources[{position}] has no column {show(column)}"
                hint = with_suggestion(f"its header lists {', '.join(header)}", column, header)
                yield recipe.problem("R227", message, at=at, hint=hint)


def _answer_columns(answer: Mapping[str, Any] | None) -> Iterator[tuple[KeyPath, str]]:
    """Yield (place below `data.answer`, column) of every column that the answer comes from."""
    if answer is None:
        return
    if answer["column"]:
        yield ("column",), answer["column"]
    for position, column in enumerate(answer["references"]):
        yield ("references", position), column
    for field, column in answer["fields"].items():
        yield ("fields", field), column
    for way in ("spans", "tags"):
        for key in ("column", "of") if way in answer else ():
            yield (way, key), answer[way][key]


@rule("data.label", "data.answer", "task.input")
def input_hides_the_answer(recipe: FilledText) -> Problems:
    label, answer = recipe["data"].get("label"), recipe["data"].get("answer")
    shown = _fields(recipe["task"]["input"])
    if label is not None and label["column"] in shown:
        message = f"shows the model the label's own column {show(label['column'])}"
        yield recipe.problem("R228", message, at=("task", "input"))
    for at, column in _answer_columns(answer):
        # The text in which spans or tags are marked is what the model has to read.
        if column in shown and at not in _MEASURED:
            message = f"shows the model a column of the answer, {show(column)}"
            yield recipe.problem("R228", message, at=("task", "input"))
