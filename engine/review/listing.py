"""What git lists, as values: files that differ, what a commit has, where a path leads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from engine.values import Value


class Moved(Value):
    """A file that differs between two commits."""

    status: str
    """`A`dded, `M`odified, `D`eleted, `R`enamed, `T`ype changed."""
    path: str
    """From the repository's root; of a file that is gone, where it was."""
    was: str = ""
    """Renamed: the old path."""


class TreeEntry(Value):
    """What a commit has at a path."""

    mode: str
    kind: str
    """`blob`, `tree`, or `commit` for a submodule."""
    id: str
    is_watched: bool = True
    """Not where git is configured to take its file as unchanged, or not to check it out."""


class Target(Value):
    """Where a path of a commit leads when links are followed."""

    steps: tuple[str, ...]
    """Every path on the way that git keeps a link, a submodule or the file itself for."""
    entry: TreeEntry | None = None
    """None where nothing is there, or not in this repository."""
    is_outside: bool = False
    """A link leads out of the repository, or into a submodule."""


def names_in(listed: bytes) -> list[str]:
    """Return the names that git lists, each ended by a zero byte."""
    return os.fsdecode(listed).split("\0")[:-1]


def tree_entry(line: str) -> tuple[str, TreeEntry]:
    """Return the path and what it has, of a line of `git ls-tree`."""
    head, _, path = line.partition("\t")
    mode, kind, name = head.split()
    return path, TreeEntry(mode=mode, kind=kind, id=name)


def staged_entry(line: str) -> tuple[str, TreeEntry]:
    """Return the path and what it has, of a line of `git ls-files --stage -v`."""
    head, _, path = line.partition("\t")
    tag, mode, name, _ = head.split()
    # A small letter stands for "assume unchanged", S for "skip worktree".
    is_watched = not tag.islower() and tag != "S"
    return path, TreeEntry(mode=mode, kind="blob", id=name, is_watched=is_watched)


def moves(words: Sequence[str]) -> Iterator[Moved]:
    """Yield the files of `git diff --name-status -z`, split at its zero bytes."""
    left = iter(words)
    for status in left:
        path = next(left)
        # A number follows the letter: how alike the two files are, as in `R087`.
        if status[0] in "RC":
            new = next(left)
            was = path if status[0] == "R" else ""
            yield Moved(status="R" if was else "A", path=new, was=was)
        else:
            yield Moved(status=status[0], path=path)
