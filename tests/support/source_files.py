"""Sources and files for tests of the readers."""

from pathlib import Path
from typing import Any

import pytest

from engine.data.reading.readers import read_rows
from engine.errors import DataError, Problem
from engine.recipe.model import PathRef, Source


def source(**changes: Any) -> Source:
    """Return a source with every default, but for `changes`."""
    return Source(**{"ref": PathRef(path=Path("/x"), written="x"), **changes})


def read(folder: Path, name: str, content: bytes, **changes: Any) -> list[dict[str, Any]]:
    """Write a file and return the values of its rows."""
    (folder / name).write_bytes(content)
    return [dict(row.values) for row in read_rows(folder / name, source(**changes))]


def origins(folder: Path, name: str, content: bytes, **changes: Any) -> list[str]:
    """Write a file and return the origins of its rows."""
    (folder / name).write_bytes(content)
    return [row.origin for row in read_rows(folder / name, source(**changes))]


def problems(folder: Path, name: str, content: bytes, **changes: Any) -> tuple[Problem, ...]:
    """Write a file that is wrong and return what is reported about it."""
    with pytest.raises(DataError) as caught:
        read(folder, name, content, **changes)
    return caught.value.problems


def codes(folder: Path, name: str, content: bytes, **changes: Any) -> list[tuple[str, int | None]]:
    """Write a file that is wrong and return the codes and lines of what is reported."""
    return [
        (problem.code, problem.place.line if problem.place else None)
        for problem in problems(folder, name, content, **changes)
    ]
