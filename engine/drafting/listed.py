"""Texts that are files, and a table beside them that lists them with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from engine.drafting.layout_table import Row, without

MOSTLY: Final = 0.9
"""Share of the rows of a table that name a file, where it is the list of them."""


def listed_texts(documents: Sequence[Row], rows: Sequence[Row]) -> tuple[list[Row], str] | None:
    """Return the rows of a table with the text of the file that each names; None where it lists no files."""
    by_name = {
        name: one
        for one in documents
        for name in (str(one["file"]), PurePosixPath(str(one["file"])).stem)
    }
    columns = dict.fromkeys(str(name) for row in rows[:50] for name in row)
    for column in columns:
        found = [by_name.get(_last(row.get(column))) for row in rows]
        if rows and sum(one is not None for one in found) >= MOSTLY * len(rows):
            joined: list[Row] = [
                {**without(row, column), "text": one["text"]}
                for row, one in zip(rows, found, strict=True)
                if one is not None
            ]
            left = (len(documents) - len(joined), len(rows) - len(joined))
            left_out = [
                f"{what} without a {other}: {count:,}"
                for (what, other), count in zip(
                    (("files", "row"), ("rows", "file")), left, strict=True
                )
                if count > 0
            ]
            more = f"; left out, {', '.join(left_out)}" if left_out else ""
            return joined, f"`{column}` names the file of each text{more}"
    return None


def _last(value: object) -> str:
    return PurePosixPath(str(value).replace("\\", "/")).name
