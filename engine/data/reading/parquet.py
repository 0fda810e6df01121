"""Rows of a Parquet file, a batch at a time."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.data.reading.row import Row, Trouble, excerpt, first_repeated
from engine.data.reading.text import LIMITS, MAX_LINE, require_rows, unreadable
from engine.errors import needs_extra
from engine.files.reading import open_regular
from engine.recipe.model import Source
from engine.sources.archive import kind_of

MAGIC: Final = b"PAR1"
MOST_FOOTER: Final = 8 << 20
"""Bytes of a footer: forty thousand pieces of columns."""
MOST_DEPTH: Final = 32
PAGE_HEAD: Final = 16
"""Bytes of a page's header that hold its second field."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 3, 7, 8, 9, 12
_INTEGERS: Final = (4, 5, 6)


class DamagedFooterError(ValueError):
    """The footer is not what the format says."""


class _Compact:
    """A reader of what footers hold in Thrift's compact protocol: no maps and no sets.

    IndexError at the end, DamagedFooterError for what is none.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def fields(self, *, until: int | None = None, depth: int = 0) -> dict[int, Any]:
        """Return the values of a struct by the number of the field, up to one of them."""
        found: dict[int, Any] = {}
        number = 0
        while kind := (head := self._byte()) & 15:
            number = number + (head >> 4) if head >> 4 else self._integer()
            found[number] = kind == _TRUE if kind <= _FALSE else self._value(kind, depth + 1)
            if number == until:
                break
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise DamagedFooterError("it is nested too deep")
        if kind == _STRUCT:
            return self.fields(depth=depth)
        if kind == _LIST:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._count()
            return [self._value(head & 15, depth + 1) for _ in range(self._within(count))]
        if kind in _INTEGERS:
            return self._integer()
        if kind in {_BINARY, _DOUBLE}:
            size = self._within(self._count() if kind == _BINARY else 8)
            self._at += size
            return self._data[self._at - size : self._at]
        if kind in {_TRUE, _FALSE, _BYTE}:
            return self._byte()
        raise DamagedFooterError(f"it holds a value of kind {kind}")

    def _byte(self) -> int:
        found = self._data[self._at]
        self._at += 1
        return found

    def _within(self, count: int) -> int:
        """Return a count of what takes a byte each at least."""
        if count > len(self._data) - self._at:
            raise DamagedFooterError("it ends early")
        return count

    def _count(self) -> int:
        value = shift = 0
        while True:
            part = self._byte()
            value |= (part & 0x7F) << shift
            shift += 7
            if part < 0x80:
                return value
            if shift > 63:
                raise DamagedFooterError("it holds an endless number")

    def _integer(self) -> int:
        value = self._count()
        return value >> 1 ^ -(value & 1)


def first_page_sizes(path: Path) -> Iterator[int]:
    """Yield the unpacked size of each column's first page, 0 for none. DamagedFooterError; OSError."""
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 8))
        length, magic = struct.unpack("<I4s", stream.read(8).rjust(8, b"\0"))
        if magic != MAGIC or length > size:
            raise DamagedFooterError("it has no footer")
        if length > MOST_FOOTER:
            raise DamagedFooterError(f"its footer is longer than {MOST_FOOTER:,} bytes")
        stream.seek(max(0, size - 8 - length))
        for at in _first_pages(stream.read(length)):
            stream.seek(min(at, size))
            yield _unpacked_size(stream.read(PAGE_HEAD))


def _first_pages(footer: bytes) -> Iterator[int]:
    """Yield where each column of each row group that holds anything begins."""
    try:
        # FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data
        columns = [
            column.get(3, {})
            for group in _Compact(footer).fields().get(4, ())
            for column in group.get(1, ())
        ]
        # ColumnMetaData: num_values, total_uncompressed_size, data_page_offset, dictionary_page_offset
        for one in columns:
            if one.get(5) or one.get(6):
                yield max(0, one.get(11) or one[9])
    except (IndexError, KeyError, AttributeError, TypeError) as error:
        raise DamagedFooterError("its footer is damaged") from error


def _unpacked_size(head: bytes) -> int:
    """Return PageHeader.uncompressed_page_size; 0 where it is no such header."""
    try:
        size = _Compact(head).fields(until=2).get(2, 0)
    except (IndexError, DamagedFooterError):
        return 0
    return size if isinstance(size, int) else 0


MOST_ROWS = 8192
"""Of a batch; fewer where rows are large."""
BATCH_BYTES = 4 << 20
"""Uncompressed, on the average of the file."""
MOST_BYTES = 256 << 20
ROW_BYTES = 64
"""Of the file, for each row, from which its rows are counted while they are read: they are not so many then."""
BUFFER = 1 << 20
"""Bytes read of a column at a time, so that no row group is held whole."""


def read_parquet(path: Path, _: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows. DataError when it is no Parquet file, is damaged, or names a column twice."""
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        from pyarrow import ArrowException  # an extra
    if require_rows(path, trouble) == 0:
        raise trouble.stop("D321", "is empty")
    try:
        kind = kind_of(path)
    except OSError as error:
        raise unreadable(error, trouble) from error
    if kind != "parquet":
        actual = f"a {kind} file" if kind else "another kind of file"
        raise trouble.stop("D328", f"is {actual}, not Parquet")
    try:
        yield from _read(path, trouble)
    # Names of columns are bytes, and need not be text.
    except (ArrowException, OSError, UnicodeDecodeError, DamagedFooterError) as error:
        reason = str(error).splitlines()[0].lower() if str(error) else "it ends early"
        raise trouble.stop("D328", f"not a readable Parquet file: {reason}") from error


def _read(path: Path, trouble: Trouble) -> Iterator[Row]:
    import pyarrow.parquet as pq  # an extra

    file: Any
    # `pre_buffer` would hold whole row groups, which may be gigabytes.
    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        names: list[str] = file.schema_arrow.names
        twice = first_repeated(names)
        if twice is not None:
            raise trouble.stop("D324", f"names the column `{excerpt(twice)}` more than once")
        packed, metadata = path.stat().st_size, file.metadata
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        size = sum(group.total_byte_size for group in groups)
        LIMITS.check(size, packed=packed, name=path.name)
        average: int = size // max(metadata.num_rows, 1) + 1

        def rows_at_once(largest: int) -> int:
            return max(1, min(MOST_ROWS, BATCH_BYTES // average + 1, MOST_BYTES // (largest + 1)))

        # A value of a dictionary takes a few kilobytes of the file and may stand in every row, so that no sum of
        # sizes tells what a batch becomes; what one row becomes at most is the size of the dictionary.
        largest = max(first_page_sizes(path), default=0)
        LIMITS.check(largest, packed=packed, name=path.name)
        most = rows_at_once(largest)
        if decoded := _largest_decoded(file, most, path):
            most = rows_at_once(decoded)
        number, count = 0, 0
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
