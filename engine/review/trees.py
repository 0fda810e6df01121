"""Where the files of a version are: on the disk, or in a revision of a git repository.

A tree gives the bytes of a recipe, of its parent and of its lock; says whether the files that the
recipe names are the same in both versions, without reading them where git knows; and puts a file on
the disk where its rows have to be read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from engine.recipe.model import Json
from engine.recipe.source import Reader, read_bytes
from engine.review.git import Repository

MOST_HASHED: Final = 50_000_000
"""Bytes of a file up to which two files of different places are compared."""


class Tree(Protocol):
    """The files of one version."""

    @property
    def reader(self) -> Reader:
        """How recipe files are read; that of the disk where they are there, so that data are looked for."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file. OSError where it has none."""

    def has(self, path: Path) -> bool:
        """Tell whether there is such a file or folder."""

    def identity(self, path: Path) -> Mapping[str, Json]:
        """Return what differs where the files behind `path` differ between the versions."""

    def copy(self, path: Path) -> Path | None:
        """Return a file on the disk with the bytes of `path`; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Files as they are now, compared by their bytes: for two recipes in different places."""

    @property
    def reader(self) -> Reader:
        """How recipe files are read."""
        return read_bytes

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file. OSError where it has none."""
        return path.read_bytes()

    def has(self, path: Path) -> bool:
        """Tell whether there is such a file or folder."""
        return path.exists()

    def identity(self, path: Path) -> Mapping[str, Json]:
        """Return the digest of a file, or of a folder's files; very large ones go by their size."""
        try:
            if path.is_dir():
                inside = sorted(one for one in path.rglob("*") if one.is_file())
                return {one.relative_to(path).as_posix(): _fingerprint(one) for one in inside}
            return {"file": _fingerprint(path)} if path.is_file() else {"path": str(path)}
        except OSError:
            return {"path": str(path)}

    def copy(self, path: Path) -> Path | None:
        """Return the file itself."""
        return path if path.is_file() else None


def _fingerprint(path: Path) -> str:
    size = path.stat().st_size
    return f"{size} bytes" if size > MOST_HASHED else hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingTree:
    """The files of a repository as they are now."""

    repository: Repository
    changed: frozenset[str]
    """What differs from the other version, from the repository's root."""

    @property
    def reader(self) -> Reader:
        """How recipe files are read."""
        return read_bytes

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file. OSError where it has none."""
        return path.read_bytes()

    def has(self, path: Path) -> bool:
        """Tell whether there is such a file or folder."""
        return path.exists()

    def identity(self, path: Path) -> Mapping[str, Json]:
        """Return the place alone unless git says that something changed there."""
        return _identity(path, self.repository, self.changed, "working tree")

    def copy(self, path: Path) -> Path | None:
        """Return the file itself."""
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The files of a repository at a revision; what git does not know is taken from the disk."""

    repository: Repository
    commit: str
    changed: frozenset[str]
    scratch: Path
    """For copies of files."""
    absent: set[str] = field(default_factory=set)

    @property
    def reader(self) -> Reader:
        """How recipe files are read."""
        return self.read

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file at the revision. OSError where it was not there."""
        inside = self.repository.inside(path)
        if inside is None:
            return path.read_bytes()
        return self.repository.content(self.commit, inside)

    def has(self, path: Path) -> bool:
        """Tell whether there was such a file or folder; what git ignores is taken from the disk."""
        inside = self.repository.inside(path)
        if inside is None or not _touches(inside, self.changed):
            return path.exists()
        return self.repository.has(self.commit, inside)

    def identity(self, path: Path) -> Mapping[str, Json]:
        """Return the place alone unless git says that something changed there."""
        return _identity(path, self.repository, self.changed, self.commit)

    def copy(self, path: Path) -> Path | None:
        """Return the file itself where it is the same now, else a copy."""
        inside = self.repository.inside(path)
        if inside is None or inside not in self.changed:
            return path if path.is_file() else None
        try:
            content = self.repository.content(self.commit, inside)
        except FileNotFoundError:
            return None
        place = self.scratch / hashlib.sha256(inside.encode()).hexdigest()[:12] / path.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        return place


def _identity(
    path: Path, repository: Repository, changed: frozenset[str], when: str
) -> Mapping[str, Json]:
    inside = repository.inside(path)
    if inside is None:
        return {"path": str(path)}
    return {"path": inside, "at": when} if _touches(inside, changed) else {"path": inside}


def _touches(inside: str, changed: frozenset[str]) -> bool:
    """Tell whether a file, or anything in a folder, is among those that changed."""
    return inside in changed or any(name.startswith(f"{inside}/") for name in changed)


@contextmanager
def revisions(
    repository: Repository, old: str, new: str | None, changed: frozenset[str]
) -> Iterator[tuple[Tree, Tree]]:
    """Yield the trees of two commits, the second one being the working tree where it is None."""
    with tempfile.TemporaryDirectory(prefix="recipe-review-") as folder:
        places = [Path(folder) / name for name in ("old", "new")]
        for place in places:
            place.mkdir()
        before = Revision(repository=repository, commit=old, changed=changed, scratch=places[0])
        after: Tree = WorkingTree(repository=repository, changed=changed)
        if new is not None:
            after = Revision(repository=repository, commit=new, changed=changed, scratch=places[1])
        yield before, after


def shown(path: Path) -> str:
    """Return a path as people type it: from the current folder where it is below."""
    found = os.path.relpath(path)
    return str(path) if found.startswith("..") else found
