"""Rules about rows: sources of labels, and columns."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf
from typing import Any, Final

from engine.recipe.prompt import TemplateError, fields
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.task import no_such_label, reads_input
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import with_suggestion
from engine.recipe.validation.schema_errors import show

_LABEL: Final = ("data", "label")


@rule("task.labels", "data.label")
def targets_are_labels(recipe: SourceText) -> Problems:
    """R212: relabel and bins lead to labels of the task."""
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
def bins_divide_the_numbers(recipe: SourceText) -> Problems:
    label, at = recipe["data"].get("label", {}), (*_LABEL, "bins")
    bins: Mapping[str, Any] = label.get("bins", {})
    ends = {name: (ends.get("min", -inf), ends.get("max", inf)) for name, ends in bins.items()}
    for name, (low, high) in ends.items():
        if low > high:
            message = f"is empty: min {low} is above max {high}"
            yield recipe.problem("R213", message, at=(*at, name), key=True)
    for (name, first), (other, second) in combinations(ends.items(), 2):
        low, high = max(first[0], second[0]), min(first[1], second[1])
        if low <= high:
            where = f"at {low}" if low == high else f"from {low} to {high}"
            message = f"overlaps {show(name)} {where}; both ends belong to a bin"
            yield recipe.problem("R213", message, at=(*at, other), key=True)
    for name in recipe["task"].get("labels", []) if bins else ():
        if name not in bins:
            message = f"no bin leads to {show(name)}, so it would have no rows"
            yield recipe.problem("R223", message, at=at, key=True)


@rule("data.sources", "data.label", "data.answer", "task.input", "task.kind")
def columns_are_in_the_header(recipe: SourceText) -> Problems:
    named = list(_target_columns(recipe))
    if reads_input(recipe):
        named += [(("task", "input"), column) for column in _input_columns(recipe)]
    for at, column in named:
        for position, source in enumerate(recipe["data"]["sources"]):
            header = source["header"]
            if header and column not in header and column.partition(".")[0] not in header:
                message = f"data.sources[{position}] has no column {show(column)}"
                hint = with_suggestion(f"its header lists {', '.join(header)}", column, header)
                yield recipe.problem("R227", message, at=at, hint=hint)


def _input_columns(recipe: SourceText) -> tuple[str, ...]:
    try:
        return fields(recipe["task"]["input"])
    except TemplateError:  # R215 reports it
        return ()


def _target_columns(recipe: SourceText) -> Iterator[tuple[KeyPath, str]]:
    """Yield every column of the label or the answer, at its key."""
    label, answer = recipe["data"].get("label"), recipe["data"].get("answer")
    if label is not None:
        yield (*_LABEL, "column"), label["column"]
    if answer is None:
        return
    at = ("data", "answer")
    if answer["column"]:
        yield (*at, "column"), answer["column"]
    for position, column in enumerate(answer["references"]):
        yield (*at, "references", position), column
    for field, column in answer["fields"].items():
        yield (*at, "fields", field), column
    for way in ("spans", "tags"):
        for key in ("column", "of") if way in answer else ():
            yield (*at, way, key), answer[way][key]


@rule("data.label", "data.answer", "task.input")
def input_hides_the_answer(recipe: SourceText) -> Problems:
    shown = _input_columns(recipe)
    for at, column in _target_columns(recipe):
        # The model has to read the text in which spans or tags are marked.
        if column in shown and at[-1] != "of":
            message = f"shows the model a column of the answer, {show(column)}"
            if at[:2] == _LABEL:
                message = f"shows the model the label's own column {show(column)}"
            yield recipe.problem("R228", message, at=("task", "input"))
