"""One version of a recipe, loaded: the recipe, its lock, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.data.membership import Membership
from engine.errors import DataError, Problem, RecipeError, Severity
from engine.lock.draw import is_drawn_by, recorded_rows
from engine.lock.file import Lock, lock_from_text, lock_path, lock_text
from engine.recipe.model import Recipe
from engine.recipe.resolve import check_recipe
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.dump import resolved_mapping
from engine.recipe.text.extends import extended
from engine.recipe.text.source import SourceText, read_source
from engine.review.file_tree import FileTree
from engine.values import Value, field, replace


class Side(Value, dict=True):
    label: str
    """What people call it: a file, or a file at a revision."""
    path: Path
    recipe: Recipe
    problems: tuple[Problem, ...]
    lock: Lock | None
    tree: FileTree
    _seen: dict[str, SourceText] = field(default_factory=dict)

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

    @cached_property
    def lock_digest(self) -> str:
        return "" if self.lock is None else sha256(lock_text(self.lock).encode()).hexdigest()

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
        from engine.backends import check_backend  # only of a recipe
        from engine.recipe.text.extends import placed

        problems = (*problems, *placed(check_backend(recipe), path, read=tree.reader))
    if recipe is None or any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    # Patterns were read from the disk of today; a revision had other files.
    recipe = tree.expanded(recipe)
    try:
        lock = _lock(path, tree)
    except DataError as error:
        return None, error.problems
    found = Side(label=label, path=path, recipe=recipe, problems=problems, lock=lock, tree=tree)
    return found, problems


def _lock(path: Path, tree: FileTree) -> Lock | None:
    place = lock_path(path)
    try:
        text = tree.read(place).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = str(getattr(error, "strerror", "") or "not UTF-8")
        raise DataError.one("D380", f"cannot read `{place.name}`: {why}") from error
    try:
        return lock_from_text(place, text)
    # Python's json gives up on brackets nested too deep.
    except RecursionError:
        raise DataError.one("D380", f"cannot read `{place.name}`: nested too deep") from None


def waivers_of(side: Side) -> Mapping[str, str]:
    return {waiver.what: waiver.why for waiver in side.recipe.waivers}
