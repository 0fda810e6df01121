"""Rules about columns: those the recipe names, those a headerless file is said to have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.errors import Problem
from engine.recipe.complaint import show
from engine.recipe.compose import KeyPath
from engine.recipe.nearest import nearest
from engine.recipe.source import SourceText
from engine.recipe.template import TemplateError, fields


def _fields(template: str) -> tuple[str, ...]:
    """Return the template's columns; none when it is broken, which `task` tells."""
    try:
        return fields(template)
    except TemplateError:
        return ()


def _is_in(column: str, header: list[str]) -> bool:
    return column in header or column.split(".", maxsplit=1)[0] in header


def label_column_is_in_the_header(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
    """R227: the label's column is one of those that `header` lists."""
    at = ("data", "label", "column")
    yield from _missing(source, filled, [filled["data"]["label"]["column"]], at=at)


def input_columns_are_in_the_header(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
    """R227: the input's columns are among those that `header` lists."""
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


def input_hides_the_label(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R228: a model that is shown the label learns to copy it."""
    column = filled["data"]["label"]["column"]
    if column in _fields(filled["task"]["input"]):
        message = f"shows the model the label's own column {show(column)}"
        yield source.problem("R228", message, at=("task", "input"))
