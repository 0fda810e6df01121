"""Rows of a Parquet file, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.row import Row, Trouble
from engine.errors import EnvironmentProblem
from engine.sources.streams import kind_of

MOST_ROWS = 2048
"""Of a batch; fewer where rows are large."""
BATCH_BYTES = 4 << 20
"""Uncompressed, on the average of the file."""
BUFFER = 1 << 20
"""Bytes read of a column at a time, so that no row group is held whole."""


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
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        names: list[str] = file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise trouble.stop("D324", f"names the column `{twice[0]}` more than once")
        number = 0
        for batch in file.iter_batches(batch_size=_batch_rows(file.metadata), use_threads=False):
            for values in batch.to_pylist():
                number += 1
                yield trouble.row(f"#{number}", values)


def _batch_rows(metadata: Any) -> int:  # noqa: ANN401 - pyarrow's FileMetaData
    """Return how many rows are decoded at once."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    average: int = size // max(metadata.num_rows, 1) + 1
    return min(MOST_ROWS, BATCH_BYTES // average + 1)
