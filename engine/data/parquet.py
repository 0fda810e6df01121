"""Rows of a Parquet file, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.row import Row, Trouble
from engine.errors import EnvironmentProblem
from engine.sources.streams import kind_of

BATCH = 2048


def read_parquet(path: Path, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows; DataError when it is no Parquet file, is damaged, or names a column twice."""
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EnvironmentProblem.one(
            "E701",
            f"reading `{path.name}` needs pyarrow",
            hint="pip install 'slm-recipe[data]'",
        ) from error
    _check_kind(path, trouble)
    try:
        yield from _read(path, trouble)
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].lower() if str(error) else "it ends early"
        raise trouble.stop("D328", f"not a readable Parquet file: {reason}") from error


def _check_kind(path: Path, trouble: Trouble) -> None:
    try:
        if path.is_dir():
            raise trouble.stop("D320", "is a folder, not a file")
        if path.stat().st_size == 0:
            raise trouble.stop("D321", "is empty")
        kind = kind_of(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise trouble.stop("D320", f"cannot be read: {reason}") from error
    if kind != "parquet":
        told = f"a {kind} file" if kind else "another kind of file"
        raise trouble.stop("D328", f"is {told}, not Parquet")


def _read(path: Path, trouble: Trouble) -> Iterator[Row]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    file: Any
    with pq.ParquetFile(path) as file:
        names: list[str] = file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise trouble.stop("D324", f"names the column `{twice[0]}` more than once")
        number = 0
        for batch in file.iter_batches(batch_size=BATCH):
            for values in batch.to_pylist():
                number += 1
                yield Row(origin=f"{trouble.file}#{number}", values=values)
