"""Texts that are files, and a table beside them that lists them with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

Values = Mapping[str, Any]
MOSTLY: Final = 0.9
"""Share of the rows of a table that name a file, where it is the list of them."""


def listed_texts(
    documents: Sequence[Values], rows: Sequence[Values]
) -> tuple[list[Values], str] | None:
    """Return the rows of a table with the text of the file that each names; None where it lists no files."""
    by_name = {name: one for one in documents for name in _names(str(one["file"]))}
    columns = dict.fromkeys(str(name) for row in rows[:50] for name in row)
    for column in columns:
        found = [by_name.get(_last(row.get(column))) for row in rows]
        if rows and sum(one is not None for one in found) >= MOSTLY * len(rows):
            joined: list[Values] = [
                {
                    **{name: value for name, value in row.items() if name != column},
                    "text": one["text"],
                }
                for row, one in zip(rows, found, strict=True)
                if one is not None
            ]
            return joined, _why(column, len(documents), len(rows), len(joined))
    return None


def _names(file: str) -> Iterator[str]:
    yield file
    yield PurePosixPath(file).stem


def _last(value: object) -> str:
    return PurePosixPath(str(value).replace("\\", "/")).name


def _why(column: str, files: int, rows: int, joined: int) -> str:
    why = f"`{column}` names the file of each text"
    without = [
        f"{what}: {count:,}"
        for count, what in (
            (files - joined, "files without a row"),
            (rows - joined, "rows without a file"),
        )
        if count > 0
    ]
    return f"{why}; left out, {', '.join(without)}" if without else why
