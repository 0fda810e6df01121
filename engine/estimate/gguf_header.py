"""The header of a GGUF file: its fields and the sizes of its tensors. No weight is read, no library needed.

Source: https://github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.files.reading import open_regular

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_PLAIN = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_MOST = 1 << 24
"""More bytes of one text, or items of a list of numbers, than this means that the file is not what it says."""
_MOST_READ = 1 << 20
"""The same of what is walked one by one: fields, tensors, texts of a list; a vocabulary has some 300,000."""
_MOST_SIZES = 8
"""Of one tensor."""


def read_gguf(path: Path) -> tuple[Mapping[str, Any], Mapping[str, list[int]]] | None:
    """Return the fields (lists as None) and the sizes of each tensor; None for a file that is no GGUF."""
    try:
        with (
            open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
        ):
            return _Header(whole).read()
    except (OSError, ValueError, struct.error, KeyError, IndexError, TypeError, RecursionError):
        return None


class _Header:
    """Reads on from where it is; the file is mapped, so that only its beginning is touched."""

    def __init__(self, whole: mmap.mmap) -> None:
        self._whole, self._at = whole, 0

    def read(self) -> tuple[Mapping[str, Any], Mapping[str, list[int]]] | None:
        if self._whole[:4] != _MAGIC:
            return None
        self._at = 4
        if self._number("I") not in _VERSIONS:
            return None
        tensor_count, field_count = self._count(_MOST_READ), self._count(_MOST_READ)
        fields = dict(self._field() for _ in range(field_count))
        return fields, dict(self._tensor() for _ in range(tensor_count))

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._whole, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value

    def _count(self, most: int = _MOST, form: str = "Q") -> int:
        value = int(self._number(form))
        # Before anything is read or looped over: the count is the file's own word.
        if value > most:
            raise ValueError(value)
        return value

    def _text(self) -> str:
        length = self._count()
        self._at += length
        return self._whole[self._at - length : self._at].decode("utf-8", errors="replace")

    def _field(self) -> tuple[str, Any]:
        name = self._text()
        return name, self._value(self._number("I"))

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind == _LIST:
            return self._skip_list()
        return self._number(_PLAIN[kind])

    def _skip_list(self) -> None:
        """Step over a list; a vocabulary is one, of a hundred thousand texts."""
        inner, count = self._number("I"), self._count()
        if inner in _PLAIN:
            self._at += struct.calcsize(f"<{_PLAIN[inner]}") * count
            return
        if inner != _TEXT or count > _MOST_READ:
            raise ValueError(inner, count)
        whole, at, length = self._whole, self._at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length(whole, at)[0]
        self._at = at

    def _tensor(self) -> tuple[str, list[int]]:
        name = self._text()
        sizes = [int(self._number("Q")) for _ in range(self._count(_MOST_SIZES, "I"))]
        self._at += 12  # its type, and where its bytes begin
        return name, sizes
