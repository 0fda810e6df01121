"""One version of a recipe, loaded: the recipe, its lock, and where its files are."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.backends import check_backend
from engine.data.membership import Membership
from engine.errors import DataError, Place, Problem, RecipeError, Severity
from engine.files import reading
from engine.lock.draw import is_drawn_by, recorded_rows
from engine.lock.file import Lock, lock_path, read_lock
from engine.recipe.model import Json, PathRef, Recipe, Source
from engine.recipe.outside import refuse_leading_out
from engine.recipe.resolve import check_recipe
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.dump import resolved_mapping
from engine.recipe.text.extends import extended, placed
from engine.recipe.text.paths import match_listed
from engine.recipe.text.source import Reader, SourceText, read_bytes, read_source
from engine.review.listing import Target, is_pointer, pointer_of
from engine.trust.allowed import Allowed
from engine.values import Value, replace

if TYPE_CHECKING:
    from engine.review.repository import Repository

MOST_HASHED: Final = 50_000_000
"""Bytes of a file up to which its digest says which one it is; larger ones are compared byte by byte."""


class Disk(Value):
    """Files as they are now, compared by their bytes: for two recipes in different places."""

    @property
    def reader(self) -> Reader:
        return read_bytes

    def read(self, path: Path) -> bytes:
        return reading.read_bytes(path)

    def has(self, path: Path) -> bool:
        return path.exists()

    def identity(self, path: Path) -> Mapping[str, Json]:
        """Return what differs where the files behind `path` do between the versions.

        Here the digest of a file, or of a folder's files; very large ones go by which file they are.
        """
        try:
            if path.is_dir():
                inside = sorted(one for one in path.rglob("*") if one.is_file())
                return {one.relative_to(path).as_posix(): _fingerprint(one) for one in inside}
            return {"file": _fingerprint(path)} if path.is_file() else {"path": str(path)}
        except OSError:
            return {"path": str(path)}

    def copy(self, path: Path) -> Path | None:
        """Return a file on the disk with the bytes of `path`, here the file itself; None where there is none."""
        return path if path.is_file() else None

    def keeps(self, path: Path) -> bool:
        return path.exists()

    def expanded(self, recipe: Recipe) -> Recipe:
        return recipe


def _fingerprint(path: Path) -> str:
    found = path.stat()
    if found.st_size > MOST_HASHED:
        return f"{found.st_size} bytes, file {found.st_dev}:{found.st_ino}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


class WorkingTree(Disk):
    repository: Repository
    changed: frozenset[str]
    """What differs from the other version, from the repository's root."""

    def has(self, path: Path) -> bool:
        return path.exists() or self.repository.is_left_out(path)

    def identity(self, path: Path) -> Mapping[str, Json]:
        return _identity(path, self.repository.target(path), self.changed, "working tree")

    def copy(self, path: Path) -> Path | None:
        if not path.is_file():
            return None
        return self.repository.large_file(reading.read_bytes(path)) if is_pointer(path) else path

    def keeps(self, path: Path) -> bool:
        return not self.repository.target(path).is_outside


class Revision(Value):
    """The files of a repository at a revision; what git does not know is taken from the disk."""

    repository: Repository
    commit: str
    changed: frozenset[str]
    scratch: Path
    beside_disk: bool
    """The other version is the working tree: what did not change is on the disk."""

    def reader(self, path: Path) -> bytes:
        """Return the bytes of a recipe, its parent or its lock."""
        named = self._named(path)
        if named is None:
            # A link that leads out of the repository would have the comment quote somebody's file.
            refuse_leading_out(path, Allowed())
            return read_bytes(path)
        try:
            return self.repository.content(self.commit, named)
        # An OSError as well, but of its own meaning: the file was not there.
        except FileNotFoundError:
            raise
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise RecipeError.one("R103", message, place=Place(file=str(path))) from error

    def read(self, path: Path) -> bytes:
        named = self._named(path)
        if named is None:
            return reading.read_bytes(path)
        return self.repository.content(self.commit, named)

    def _named(self, path: Path) -> str | None:
        return None if self._target(path).is_outside else self.repository.named(path)

    def _target(self, path: Path) -> Target:
        return self.repository.target(path, self.commit)

    def has(self, path: Path) -> bool:
        target = self._target(path)
        return target.entry is not None or (
            not _touches(target.steps, self.changed) and path.exists()
        )

    def identity(self, path: Path) -> Mapping[str, Json]:
        return _identity(path, self._target(path), self.changed, self.commit)

    def copy(self, path: Path) -> Path | None:
        """Return the file itself where it is the same now, else a copy; None where its bytes are not here."""
        target = self._target(path)
        is_same = not _touches(target.steps, self.changed)
        if is_same and (self.beside_disk or target.entry is None):
            return path if path.is_file() and not is_pointer(path) else None
        if target.entry is None or not target.entry.is_file:
            return None
        return self._extracted(target, path)

    def _extracted(self, target: Target, path: Path) -> Path | None:
        try:
            content = self.repository.content(self.commit, target.steps[-1])
        except (OSError, RecipeError):
            return None
        if (pointer := pointer_of(content)) is not None:
            here = self.repository.large_file(content)
            return here or (path if pointer.stands_for(path) else None)
        # A folder for each file: names may repeat, and must stay, since they tell the format.
        name = hashlib.sha256(os.fsencode(target.steps[-1])).hexdigest()[:12]
        place = self.scratch / name / path.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        return place

    def keeps(self, path: Path) -> bool:
        return self._target(path).entry is not None

    def expanded(self, recipe: Recipe) -> Recipe:
        found: list[Source] = []
        done: set[str] = set()
        for source in recipe.data.sources:
            pattern = source.ref.pattern if isinstance(source.ref, PathRef) else ""
            if not pattern:
                found.append(source)
            elif pattern not in done:
                done.add(pattern)
                found += self._matched(source, recipe) or [source]
        return replace(recipe, data=replace(recipe.data, sources=tuple(found)))

    def _matched(self, source: Source, recipe: Recipe) -> list[Source]:
        """The files of one pattern: those of the commit, and those on the disk that git does not know."""
        ref = source.ref
        if not isinstance(ref, PathRef):
            raise TypeError(ref)
        tree = self.repository.tree(self.commit)
        known = [path for path, entry in tree.items() if entry.is_file]
        files = {path: self.repository.root / path for path in known}
        for one in recipe.data.sources:
            if isinstance(one.ref, PathRef) and one.ref.pattern == ref.pattern:
                named = self.repository.named(one.ref.path)
                if named is None or not _touches((named,), self.changed):
                    files.setdefault(named or str(one.ref.path), one.ref.path)
        matched = match_listed(ref.pattern, recipe.file.parent, files.values())
        refs = (replace(ref, path=path, written=written) for written, path in matched)
        return [replace(source, ref=one) for one in refs]


FileTree = Disk | Revision


def _identity(path: Path, target: Target, changed: frozenset[str], when: str) -> Mapping[str, Json]:
    name = target.steps[-1] if target.steps else str(path)
    return {"path": name, "at": when} if _touches(target.steps, changed) else {"path": name}


def _touches(steps: tuple[str, ...], changed: frozenset[str]) -> bool:
    if not changed.isdisjoint(steps):
        return True
    return any(name.startswith(f"{step}/") for step in steps[-1:] for name in changed)


@contextmanager
def revisions(
    repository: Repository, old: str, new: str | None, changed: frozenset[str]
) -> Iterator[tuple[FileTree, FileTree]]:
    """Yield the trees of two commits, the second one being the working tree where it is None."""
    with tempfile.TemporaryDirectory(prefix="recipe-review-") as folder:

        def at(commit: str, name: str) -> Revision:
            scratch = Path(folder) / name
            scratch.mkdir()
            return Revision(
                repository=repository,
                commit=commit,
                changed=changed,
                scratch=scratch,
                beside_disk=new is None,
            )

        after = WorkingTree(repository=repository, changed=changed)
        yield at(old, "old"), after if new is None else at(new, "new")


class Side(Value, dict=True):
    label: str
    """What people call it: a file, or a file at a revision."""
    path: Path
    recipe: Recipe
    problems: tuple[Problem, ...]
    lock: Lock | None
    tree: FileTree

    @cached_property
    def text(self) -> SourceText:
        """The file with its parent merged in, for how values are written."""
        child = read_source(self.path, read=self.tree.reader)
        return extended(child, read=self.tree.reader)[0]

    @cached_property
    def drawing_lock(self) -> Lock | None:
        """The lock, where the recipe still draws its rows as it records; else None."""
        return self.lock if self.lock and is_drawn_by(self.lock, self.recipe) else None

    @cached_property
    def resolved(self) -> Mapping[str, Any]:
        return resolved_mapping(self.recipe)

    @cached_property
    def recorded(self) -> Membership | None:
        """The rows that the lock records; None without one, or where they cannot be read."""
        if self.lock is None:
            return None
        try:
            return recorded_rows(self.recipe, self.lock)
        except DataError:
            return None

    def written(self, at: KeyPath) -> str | None:
        return self.text.owner(at).written.get(at) if at else None

    def says(self, at: KeyPath) -> bool:
        return self.text.has(at)


def load_side(path: Path, tree: FileTree, *, label: str) -> Side:
    """Load a version of a recipe.

    RecipeError with every problem, where it or its lock is not valid, or does not exist.
    """
    side, problems = try_side(path, tree, label=label)
    if side is not None:
        return side
    raise RecipeError(
        [
            replace(one, place=replace(one.place, file=label))
            if one.place is not None and one.place.file == str(path)
            else one
            for one in problems
        ]
    )


def try_side(path: Path, tree: FileTree, *, label: str) -> tuple[Side | None, tuple[Problem, ...]]:
    """Return a version of a recipe, or None where it is not valid, and the problems found in it."""
    recipe, problems = check_recipe(path, read=tree.reader)
    if recipe is not None:
        problems = (*problems, *placed(check_backend(recipe), path, read=tree.reader))
    if recipe is None or any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    # Patterns were read from the disk of today; a revision had other files.
    recipe = tree.expanded(recipe)
    try:
        place = lock_path(path)
        lock = read_lock(place, lambda: tree.read(place).decode("utf-8"))
    except (DataError, RecipeError) as error:
        return None, error.problems
    found = Side(label=label, path=path, recipe=recipe, problems=problems, lock=lock, tree=tree)
    return found, problems


def waivers_of(side: Side) -> Mapping[str, str]:
    return {waiver.what: waiver.why for waiver in side.recipe.waivers}
