"""Every changed recipe of a repository: validated, planned and compared. `recipe ci` shows the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.backends.base import steps_of
from engine.environment import Device
from engine.errors import DataError, Place, Problem, Severity
from engine.plan import moving
from engine.recipe.model import Recipe, Size
from engine.recipe.review import Checked, Comment, Gate
from engine.recipe.source import Reader
from engine.review.changed import Status, Touched, names_of, touched_recipes
from engine.review.git import Repository
from engine.review.review import review
from engine.review.rows import Rows
from engine.review.sides import Side, try_side
from engine.review.trees import Tree, WorkingTree, revisions
from engine.stages.prospect import prospects
from engine.stages.report import describe_method, describe_sweep
from engine.store import Store

_ABSENT: Final = frozenset({"R302", "R250"})
DEFAULTS: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master", "HEAD")
"""Where the old version is looked for when nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to compare with."""

    repository: Repository
    commit: str
    label: str
    notes: tuple[str, ...] = ()


def asked(repository: Repository, since: str | None) -> Asked:
    """Return the commit to compare with: where the work on HEAD began.

    RecipeError R021 where this clone has no such revision.
    """
    label = since or next(name for name in DEFAULTS if _resolves(repository, name))
    named, head = repository.commit(label), repository.commit("HEAD")
    base = repository.merge_base(named, head)
    if base is None:
        why = "this clone does not reach where the work began"
        note = (
            f"{why}: compared with {label} itself, so changes made there since count as taken back"
        )
        return Asked(repository=repository, commit=named, label=label, notes=(note,))
    return Asked(repository=repository, commit=base, label=label)


def _resolves(repository: Repository, name: str) -> bool:
    return name == DEFAULTS[-1] or repository.knows(name)


def check_changes(what: Asked, *, store: Store, device: Device) -> Comment:
    """Validate, plan and compare every recipe that differs from a commit."""
    repository = what.repository
    moved = repository.moved(what.commit, None)
    touched = touched_recipes(repository, what.commit, moved)
    rows = Rows()
    with revisions(repository, what.commit, None, names_of(moved)) as (before, after):
        checked = tuple(
            _Check(
                repository=repository,
                touched=one,
                trees=(before, after),
                label=what.label,
            ).made(store=store, device=device, rows=rows)
            for one in touched
        )
    return Comment(base=what.label, commit=what.commit, checked=checked, notes=what.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ignoring(WorkingTree):
    """The working tree, where files that git ignores may be missing."""

    @property
    def reader(self) -> Reader:
        """Another reader than the disk's: nothing is said of files that are not there."""
        return self.read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """One recipe."""

    repository: Repository
    touched: Touched
    trees: tuple[Tree, Tree]
    label: str

    def made(self, *, store: Store, device: Device, rows: Rows) -> Checked:
        """Validate, plan and compare it."""
        touched = self.touched
        if touched.status is Status.DELETED:
            return self._checked()
        new, problems, notes = self._new()
        if new is None:
            return self._checked(problems=problems, notes=notes)
        found = self._checked(problems=problems, notes=notes, plan=tuple(plan_lines(new.recipe)))
        if touched.status is Status.NEW:
            return replace(found, waived=_waived(new.recipe))
        old, why = self._old()
        if old is None:
            return replace(found, notes=(*found.notes, why), waived=_waived(new.recipe))
        return replace(found, review=review(old, new, store=store, device=device, rows=rows))

    def _checked(
        self,
        *,
        problems: Sequence[Problem] = (),
        notes: Sequence[str] = (),
        plan: tuple[str, ...] = (),
    ) -> Checked:
        touched = self.touched
        return Checked(
            path=touched.path,
            status=touched.status.value,
            was=touched.was if touched.was != touched.path else "",
            why=touched.why,
            problems=tuple(self._placed(one) for one in problems),
            plan=plan,
            notes=tuple(notes),
        )

    def _new(self) -> tuple[Side | None, tuple[Problem, ...], tuple[str, ...]]:
        """The new version; files that git ignores may be missing, and are then not looked at."""
        path = self.repository.root / self.touched.path
        side, problems = self._tried(path, self.trees[1], self.touched.path)
        errors = [one for one in problems if one.severity is Severity.ERROR]
        if side is not None or not errors or any(one.code not in _ABSENT for one in errors):
            return side, problems, ()
        tree = _Ignoring(repository=self.repository, changed=frozenset())
        side, _ = self._tried(path, tree, self.touched.path)
        ignored = [] if side is None else list(self._absent(side))
        if side is None or not ignored or not all(self.repository.ignores(one) for one in ignored):
            return None, problems, ()
        told = ", ".join(f"`{self.repository.inside(one)}`" for one in ignored)
        left = tuple(one for one in problems if one.code not in _ABSENT)
        side = replace(side, tree=self.trees[1])
        return side, left, (f"not in this clone, since git ignores it: {told}",)

    def _absent(self, side: Side) -> Iterator[Path]:
        refs = [side.recipe.base_model, *(source.ref for source in side.recipe.data.sources)]
        for ref in refs:
            path = getattr(ref, "path", None)
            if path is not None and not path.exists():
                yield path

    def _old(self) -> tuple[Side | None, str]:
        path = self.repository.root / self.touched.was
        side, problems = self._tried(path, self.trees[0], f"{self.touched.was} at {self.label}")
        if side is None:
            first = next(one for one in problems if one.severity is Severity.ERROR)
            return (
                None,
                f"the old version is not valid, so there is nothing to compare with: {first.code}",
            )
        return side, ""

    def _tried(self, path: Path, tree: Tree, label: str) -> tuple[Side | None, tuple[Problem, ...]]:
        try:
            return try_side(path, tree, label=label)
        except DataError as error:
            return None, error.problems

    def _placed(self, problem: Problem) -> Problem:
        """A problem whose file is named from the root."""
        place = problem.place
        if place is None:
            return problem
        inside = self.repository.inside(Path(place.file))
        named = Place(file=inside or place.file, line=place.line, column=place.column)
        return replace(problem, place=named)


def _waived(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    return tuple((one.what, one.why) for one in recipe.waivers)


def plan_lines(recipe: Recipe) -> Iterator[str]:
    """What a run of a recipe would do, as far as the recipe says it."""
    splits = recipe.splits
    sizes = [(name, getattr(splits, name)) for name in ("train", "validation", "holdout")]
    sized = " / ".join(f"{_size(size)} {name}" for name, size in sizes if size)
    if splits.folds:
        sized = f"{splits.folds} folds of all rows"
    steps = ""
    if isinstance(splits.train, int) and recipe.sweep is None:
        steps = f" · {steps_of(recipe, splits.train)} steps"
    method = describe_sweep(recipe) if recipe.sweep else describe_method(recipe)
    yield f"{method} · {sized}{steps}"
    yield from prospects(recipe, None)
    yield from moving(recipe)


def _size(size: Size) -> str:
    if isinstance(size, str):
        return "the rest"
    return f"{size:.0%}" if isinstance(size, float) else str(size)


def is_weaker(comment: Comment) -> bool:
    """Tell whether a gate got weaker somewhere and nobody waived it."""
    return any(one.review is not None and one.review.gate is Gate.WEAKER for one in comment.checked)
