"""Rules about columns: those the recipe names, those of a file without a header line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.rules.kinds import reads_input
from engine.recipe.rules.rule import rule
from engine.recipe.template import TemplateError, fields
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.nearest import nearest
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_MEASURED: Final = (("spans", "of"), ("tags", "of"))
"""Columns of an answer that hold the text it is marked in."""


def _fields(template: str) -> tuple[str, ...]:
    """Return the template's columns; none when it is broken, which R215 reports."""
    try:
        return fields(template)
    except TemplateError:
        return ()


def _is_in(column: str, header: list[str]) -> bool:
    return column in header or column.split(".", maxsplit=1)[0] in header


@rule("data.sources", "data.label")
def label_column_is_in_the_header(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
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
    at, label = ("data", "label", "column"), filled["data"].get("label")
    if label is not None:
        yield from _missing(source, filled, [label["column"]], at=at)


@rule("data.sources", "data.answer")
def answer_columns_are_in_the_header(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
    """The columns of the answer are among those that `header` lists (R227)."""
    for at, column in _answer_columns(filled["data"].get("answer")):
        yield from _missing(source, filled, [column], at=("data", "answer", *at))


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
def input_columns_are_in_the_header(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
    """The input's columns are among those that `header` lists (R227)."""
    if not reads_input(filled):
        return
    yield from _missing(source, filled, _fields(filled["task"]["input"]), at=("task", "input"))


def _missing(
    source: SourceText,
    filled: Mapping[str, Any],
    columns: Iterable[str],
    *,
    at: KeyPath,
) -> Iterator[Problem]:
    for position, written in enumerate(filled["data"]["sources"]):
        header = written["header"]
        for column in columns if header else ():
            if not _is_in(column, header):
                near = nearest(column, header)
                known = f"its header lists {', '.join(header)}"
                yield source.problem(
                    "R227",
                    f"data.sources[{position}] has no column {show(column)}",
                    at=at,
                    hint=f"{known}; did you mean `{near}`?" if near else known,
                )


@rule("data.label", "data.answer", "task.input")
def input_hides_the_answer(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
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
    label, answer = filled["data"].get("label"), filled["data"].get("answer")
    shown = _fields(filled["task"]["input"])
    if label is not None and label["column"] in shown:
        message = f"shows the model the label's own column {show(label['column'])}"
        yield source.problem("R228", message, at=("task", "input"))
    for at, column in _answer_columns(answer):
        # The text in which spans or tags are marked is what the model has to read.
        if column in shown and at not in _MEASURED:
            message = f"shows the model a column of the answer, {show(column)}"
            yield source.problem("R228", message, at=("task", "input"))
