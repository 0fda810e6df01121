"""What git lists, as values: files that differ, what a commit has, where a path leads, and pointers of git-lfs."""

import re
from pathlib import Path
from typing import Final

from engine.files.digests import sha256_of
from engine.files.reading import open_regular
from engine.values import Value

LONGEST_POINTER: Final = 1024
"""Bytes of a pointer, by the specification of git-lfs."""
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_NO_FILES: Final = (0o040000, 0o160000)
"""Modes of a folder and of a submodule."""


class Moved(Value):
    status: str
    """`A`dded, `M`odified, `D`eleted, `R`enamed, `T`ype changed."""
    path: str
    """From the repository's root; of a file that is gone, where it was."""
    was: str = ""


class TreeEntry(Value):
    mode: int
    id: str
    is_watched: bool = True
    """Not where git is configured to take its file as unchanged, or not to check it out."""
    is_announced: bool = False
    """By `git add --intent-to-add`: a commit would not have it yet."""

    @property
    def is_file(self) -> bool:
        return self.mode not in _NO_FILES


class Target(Value):
    """Where a path of a commit leads when links are followed."""

    steps: tuple[str, ...]
    """Every path on the way that git keeps a link, a submodule or the file itself for."""
    entry: TreeEntry | None = None
    """None where nothing is there, or not in this repository."""
    is_outside: bool = False
    """A link leads out of the repository, or into a submodule."""


class Pointer(Value):
    """What git keeps instead of a large file (git-lfs); its bytes are elsewhere."""

    sha256: str
    size: int

    def stands_for(self, path: Path) -> bool:
        try:
            # The size first: to hash gigabytes would take long.
            return path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError:
            return False


def pointer_of(content: bytes) -> Pointer | None:
    """Return what a file of git-lfs points to; None for any other file."""
    found = _POINTER.fullmatch(content) if len(content) <= LONGEST_POINTER else None
    return Pointer(sha256=found[1].decode(), size=int(found[2])) if found else None


def is_pointer(path: Path) -> bool:
    """Return whether a file on the disk is a pointer, whose bytes were not fetched."""
    try:
        with open_regular(path) as stream:
            return pointer_of(stream.read(LONGEST_POINTER + 1)) is not None
    except OSError:
        return False
