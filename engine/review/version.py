"""One version of a recipe, loaded: the recipe, its lock, and where its files are."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from engine.backends import check_backend
from engine.data.membership import Membership
from engine.errors import DataError, Problem, RecipeError, Severity
from engine.files import reading
from engine.lock.draw import is_drawn_by, recorded_rows
from engine.lock.file import Lock, lock_path, read_lock
from engine.recipe.model import Json, Recipe
from engine.recipe.resolve import check_recipe
from engine.recipe.text.dump import resolved_mapping
from engine.recipe.text.extends import placed
from engine.recipe.text.source import Reader, read_bytes
from engine.values import Value, replace

MOST_HASHED: Final = 50_000_000
"""Bytes of a file up to which its digest says which one it is; larger ones are compared byte by byte."""


class Disk(Value):
    """Files as they are now, compared by their bytes: for two recipes in different places."""

    @property
    def reader(self) -> Reader:
        return read_bytes

    def read(self, path: Path) -> bytes:
        return reading.read_bytes(path)

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

    def ignores(self, path: Path) -> bool:
        """Return whether git is configured not to see a file."""
        del path
        return False

    def expanded(self, recipe: Recipe) -> Recipe:
        """Return a recipe whose patterns, which were read from the disk of today, name the files that are there."""
        return recipe


def _fingerprint(path: Path) -> str:
    found = path.stat()
    if found.st_size > MOST_HASHED:
        return f"{found.st_size} bytes, file {found.st_dev}:{found.st_ino}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Side(Value, dict=True):
    label: str
    """Its name for people: a file, or a file at a revision."""
    path: Path
    recipe: Recipe
    problems: tuple[Problem, ...]
    lock: Lock | None
    tree: Disk

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


def load_side(path: Path, tree: Disk, *, label: str) -> Side:
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


def try_side(path: Path, tree: Disk, *, label: str) -> tuple[Side | None, tuple[Problem, ...]]:
    """Return a version of a recipe, or None where it is not valid, and the problems found in it."""
    recipe, problems = check_recipe(path, read=tree.reader)
    if recipe is not None:
        problems = (*problems, *placed(check_backend(recipe), path, read=tree.reader))
    if recipe is None or any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
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
