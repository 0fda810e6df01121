"""Rules about columns: those the recipe names, those of a file without a header line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.recipe.rules.kinds import reads_input
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.template import TemplateError, fields
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.nearest import with_suggestion
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_MEASURED: Final = (("spans", "of"), ("tags", "of"))
"""Columns of an answer that hold the text it is marked in."""


def _fields(template: str) -> tuple[str, ...]:
    """Return the template's columns; none when it is broken, which R215 reports."""
    try:
        return fields(template)
    except TemplateError:
        return ()


@rule("data.sources", "data.label")
def label_column_is_in_the_header(recipe: FilledText) -> Problems:
    """R227: a column that the header does not list.

    The file has no header line, so its columns are exactly those listed.

    Fix: Correct the column's name or the header.

    Wrong:
        data:
          sources:
            - path: ../data/rows.csv
              header: [text, topics]
          label:
            column: ▸topic

    Right:
        data:
          sources:
            - path: ../data/rows.csv
              header: [text, topic]
          label:
            column: topic
    """
    at, label = ("data", "label", "column"), recipe["data"].get("label")
    if label is not None:
        yield from _missing(recipe, [label["column"]], at=at)


@rule("data.sources", "data.answer")
def answer_columns_are_in_the_header(recipe: FilledText) -> Problems:
    """The columns of the answer are among those that `header` lists (R227)."""
    for at, column in _answer_columns(recipe["data"].get("answer")):
        yield from _missing(recipe, [column], at=("data", "answer", *at))


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


@rule("data.sources", "task.input", "task.kind")
def input_columns_are_in_the_header(recipe: FilledText) -> Problems:
    """The input's columns are among those that `header` lists (R227)."""
    if reads_input(recipe):
        yield from _missing(recipe, _fields(recipe["task"]["input"]), at=("task", "input"))


def _missing(recipe: FilledText, columns: Iterable[str], *, at: KeyPath) -> Problems:
    for position, written in enumerate(recipe["data"]["sources"]):
        header = written["header"]
        for column in columns if header else ():
            if column not in header and column.partition(".")[0] not in header:
                message = f"data.sources[{position}] has no column {show(column)}"
                hint = with_suggestion(f"its header lists {', '.join(header)}", column, header)
                yield recipe.problem("R227", message, at=at, hint=hint)


@rule("data.label", "data.answer", "task.input")
def input_hides_the_answer(recipe: FilledText) -> Problems:
    """R228: the input shows the label.

    A model that is shown the answer learns to copy it and passes every gate.

    Fix: Take the label's column out of task.input.

    Wrong:
        task:
          input: ▸"{text} {topic}"
        data:
          label:
            column: topic

    Right:
        task:
          input: "{text}"
        data:
          label:
            column: topic
    """
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
