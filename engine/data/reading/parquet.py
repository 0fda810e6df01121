"""Rows of a Parquet file, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.reading.parquet_footer import DamagedFooterError, first_page_sizes
from engine.data.reading.row import Row, Trouble, excerpt, first_repeated
from engine.data.reading.text import LIMITS, MAX_LINE, require_rows, unreadable
from engine.errors import needs_extra
from engine.recipe.model import Source
from engine.sources.streams import kind_of

MOST_ROWS = 8192
"""Of a batch; fewer where rows are large."""
BATCH_BYTES = 4 << 20
"""Uncompressed, on the average of the file."""
MOST_BYTES = 256 << 20
"""Of a batch, if each row held the largest value."""
ROW_BYTES = 64
"""Of the file, for each row, from which its rows are counted while they are read: they are not so many then."""
BUFFER = 1 << 20
"""Bytes read of a column at a time, so that no row group is held whole."""


def read_parquet(path: Path, _: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows. DataError when it is no Parquet file, is damaged, or names a column twice."""
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        from pyarrow import ArrowException  # an extra
    _check_kind(path, trouble)
    try:
        yield from _read(path, trouble)
    # Names of columns are bytes, and need not be text.
    except (ArrowException, OSError, UnicodeDecodeError, DamagedFooterError) as error:
        reason = str(error).splitlines()[0].lower() if str(error) else "it ends early"
        raise trouble.stop("D328", f"not a readable Parquet file: {reason}") from error


def _check_kind(path: Path, trouble: Trouble) -> None:
    if require_rows(path, trouble) == 0:
        raise trouble.stop("D321", "is empty")
    try:
        kind = kind_of(path)
    except OSError as error:
        raise unreadable(error, trouble) from error
    if kind != "parquet":
        actual = f"a {kind} file" if kind else "another kind of file"
        raise trouble.stop("D328", f"is {actual}, not Parquet")


def _read(path: Path, trouble: Trouble) -> Iterator[Row]:
    import pyarrow.parquet as pq  # an extra

    file: Any
    # `pre_buffer` would hold whole row groups, which may be gigabytes.
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        names: list[str] = file.schema_arrow.names
        twice = first_repeated(names)
        if twice is not None:
            raise trouble.stop("D324", f"names the column `{excerpt(twice)}` more than once")
        average = _average_row(path, file.metadata)
        most = _rows_at_once(average, _largest_value(path))
        if largest := _largest_decoded(file, most, path):
            most = _rows_at_once(average, largest)
        number, count, packed = 0, 0, path.stat().st_size
        for batch in file.iter_batches(batch_size=most, use_threads=False):
            for values in _values(batch, number, trouble):
                number += 1
                # Row by row as well: the sizes that were checked before are the file's own word.
                size = sum(len(value) for value in values.values() if isinstance(value, str))
                if size > MAX_LINE:
                    message = f"row {number:,} is longer than {MAX_LINE:,} characters"
                    raise trouble.stop("D336", message)
                count += size
                yield trouble.row(f"#{number}", values)
            LIMITS.check(count, packed=packed, name=trouble.file)


def _largest_decoded(file: Any, most: int, path: Path) -> int:
    """Return more bytes than any row has; 0 where rows are so few that nothing is looked at.

    DataError D345 where values of dictionaries, repeated in every row, are too much for the file. It is
    counted before the first row is yielded: to judge the rows of a bomb up to the limit takes long.
    """
    packed, count, largest = path.stat().st_size, 0, 0
    if file.metadata.num_rows * ROW_BYTES < packed:
        return 0
    for batch in file.iter_batches(batch_size=most, use_threads=False):
        decoded = (one.dictionary_decode() if hasattr(one, "dictionary") else one for one in batch)
        size = sum(one.nbytes for one in decoded)
        count, largest = count + size, max(largest, size)
        LIMITS.check(count, packed=packed, name=path.name)
    return largest


def _values(batch: Any, before: int, trouble: Trouble) -> list[dict[str, Any]]:
    """Return the rows of a batch; DataError for a text that is none, or a value that Python cannot hold."""
    try:
        found: list[dict[str, Any]] = batch.to_pylist()
    # a LookupError for a time zone that nobody knows, an ArithmeticError for a decimal
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        message = (
            f"a value of the rows from {before + 1:,} on cannot be read: {excerpt(str(error))}"
        )
        raise trouble.stop("D328", message) from error
    return found


def _average_row(path: Path, metadata: Any) -> int:
    """Return the bytes of a row by what the file says; DataError D345 where all of them are too much for the file."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    LIMITS.check(size, packed=path.stat().st_size, name=path.name)
    average: int = size // max(metadata.num_rows, 1) + 1
    return average


def _largest_value(path: Path) -> int:
    """Return more bytes than any value has; DataError D345 where one is too much for the file.

    A value of a dictionary stands in the file once and in any number of rows, so that no sum of sizes tells
    what a batch becomes; what one row becomes at most is the size of the dictionary.
    """
    largest = max(first_page_sizes(path), default=0)
    # A large value in a dictionary takes a few kilobytes of the file and may stand in every row.
    LIMITS.check(largest, packed=path.stat().st_size, name=path.name)
    return largest


def _rows_at_once(average: int, largest: int) -> int:
    """Return how many rows are decoded at once."""
    return max(1, min(MOST_ROWS, BATCH_BYTES // average + 1, MOST_BYTES // (largest + 1)))
