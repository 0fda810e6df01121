"""Where the pages of a Parquet file are, read from its footer without pyarrow.

pyarrow ends the process on a column whose metadata contradict each other (`RowGroupMetaData.column`, whose C++
exception nothing catches); where it reads rows, it reports the same as an error.
Source: https://github.com/apache/parquet-format, parquet.thrift; Thrift's compact protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.files.reading import open_regular

MAGIC: Final = b"PAR1"
MOST_FOOTER: Final = 8 << 20
"""Bytes of a footer: forty thousand pieces of columns."""
MOST_DEPTH: Final = 32
PAGE_HEAD: Final = 16
"""Bytes of a page's header that hold its second field."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)


class DamagedFooterError(ValueError):
    """The footer is not what the format says."""


class _Compact:
    """A reader of Thrift's compact protocol. IndexError at the end, DamagedFooterError for what is none."""

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
        if kind in {_LIST, _SET}:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._count()
            return [self._value(head & 15, depth + 1) for _ in range(self._within(count))]
        if kind == _MAP:
            count = self._within(self._count())
            kinds = self._byte() if count else 0
            inner = (kinds >> 4, kinds & 15) * count
            return [self._value(one, depth + 1) for one in inner]
        return self._scalar(kind)

    def _scalar(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._count())
        if kind in {_TRUE, _FALSE, _BYTE}:
            return self._byte()
        if kind == _DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        raise DamagedFooterError(f"it holds a value of kind {kind}")

    def _byte(self) -> int:
        found = self._data[self._at]
        self._at += 1
        return found

    def _bytes(self, count: int) -> bytes:
        self._at += self._within(count)
        return self._data[self._at - count : self._at]

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
        """Return a zigzag number."""
        value = self._count()
        return value >> 1 ^ -(value & 1)


def first_page_sizes(path: Path) -> Iterator[int]:
    """Yield the unpacked size of each column's first page: its dictionary, where it has one; 0 for no such page.

    DamagedFooterError where the footer says nothing of them. OSError as `open_regular`.
    """
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
