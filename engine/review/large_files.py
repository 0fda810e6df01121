"""Files that git keeps by git-lfs: git has a pointer of three lines, the bytes stand beside it or elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from engine.files.digests import sha256_of
from engine.files.reading import open_regular
from engine.values import Value

MOST: Final = 1024
"""Bytes of a pointer, by the specification of git-lfs."""
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


class Pointer(Value):
    """What git keeps in the place of a large file."""

    sha256: str
    size: int

    def stands_for(self, path: Path) -> bool:
        """Return whether a file has the bytes that are pointed to."""
        try:
            # The size first: to hash gigabytes would take long.
            return path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False


def pointer_of(content: bytes) -> Pointer | None:
    """Return what a file of git-lfs points to; None for any other file."""
    found = _POINTER.fullmatch(content) if len(content) <= MOST else None
    return Pointer(sha256=found[1].decode(), size=int(found[2])) if found else None


def is_pointer(path: Path) -> bool:
    """Return whether a file on the disk is a pointer, whose bytes were not fetched."""
    try:
        with open_regular(path) as stream:
            return pointer_of(stream.read(MOST + 1)) is not None
    except OSError:
        return False
