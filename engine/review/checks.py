"""Every changed recipe of a repository: validated, planned and compared. `recipe ci` shows the result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from engine.backends.base import steps_of
from engine.environment import Device
from engine.errors import DataError, Problem, RecipeError, Severity
from engine.evidence.review import Checked, Comment, Effect, Finding
from engine.pipeline.plan import moving
from engine.pipeline.power import power_estimates
from engine.pipeline.report import describe_method, describe_sweep
from engine.recipe.methods import sizes_in_rows
from engine.recipe.model import FROM_TRAIN, PathRef, Recipe, ValidationSize
from engine.recipe.outside import outside_of
from engine.recipe.references import base_reference
from engine.recipe.text.source import Reader
from engine.review.changed import ChangeStatus, Touched, touched_recipes
from engine.review.file_tree import FileTree, WorkingTree, revisions
from engine.review.findings import review, waived
from engine.review.repository import Repository, names_of
from engine.review.rows import RowDivider
from engine.review.version import Side, try_side, waivers_of
from engine.store import Store
from engine.training.trained_rows import what_changes_rows
from engine.trust.access import AccessCheck
from engine.values import Value, replace

_ABSENT: Final = frozenset({"R302", "R250"})
NO_OLD, GONE, UNSEEN = "W119", "W120", "W121"
"""Codes of findings that need no comparison."""
IS_GONE: Final = "nothing judges its model any more"
NO_COMPARISON: Final = "the old version is not valid, so there is nothing to compare with"
NOT_REACHED: Final = "this clone does not reach where the work began"
IS_HEAD: Final = "HEAD has nothing that {label} has not: only what is not committed was compared"
DEFAULTS: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where the old version is looked for when nobody says."""


class ReviewInputs(Value):
    repository: Repository
    commit: str
    label: str
    notes: tuple[str, ...] = ()
    unknown: str = ""
    """Why it may not be where the work began; empty where it is."""


def asked(repository: Repository, since: str | None) -> ReviewInputs:
    """Return the commit to compare with: where the work on HEAD began.

    RecipeError R021 where this clone has no such revision, R026 where nobody says one and it has no main branch.
    """
    label = since or next(
        filter(repository.knows, (DEFAULTS[1:] if repository.has_one_branch else DEFAULTS)), None
    )
    if label is None:
        raise RecipeError.one(
            "R026",
            "this clone has no main branch to compare with",
            hint="fetch it (git fetch origin main), or name what to compare with: --from REV",
        )
    named, head = repository.commit(label), repository.commit("HEAD")
    bases = repository.merge_bases(named, head)
    found = ReviewInputs(repository=repository, commit=named, label=label)
    is_cut = (
        len(bases) == 1
        and bases[0] not in (named, head)
        and repository.is_shallow
        and repository.is_cut_between(bases[0], named, head)
    )
    if len(bases) == 1 and not is_cut:
        notes = (IS_HEAD.format(label=label),) if bases[0] == head and since != "HEAD" else ()
        return replace(found, commit=bases[0], notes=notes)
    # In a pull request, CI checks out a merge commit whose parent is the main branch: the
    # commit names it even where the clone is cut off right behind.
    if named in repository.parents(head):
        note = f"{NOT_REACHED}: compared with {label}, which HEAD names as its parent"
        return replace(found, notes=(note,))
    why = "the work has more than one beginning" if len(bases) > 1 else NOT_REACHED
    note = f"{why}: compared with {label} itself, so changes made there since count as taken back"
    return replace(found, notes=(note,), unknown=why)


def check_changes(what: ReviewInputs, *, store: Store, device: Device) -> Comment:
    repository = what.repository
    moved = repository.moved(what.commit, None)
    touched = [*touched_recipes(repository, what.commit, moved)]
    # One for all recipes, so that its limit holds for the whole review.
    rows = RowDivider()
    waivers: list[str] = []
    with revisions(repository, what.commit, None, names_of(moved)) as (before, after):
        trees = (before, after)
        checked = [
            _Check(what=what, touched=one, trees=trees, waivers=waivers).made(store, device, rows)
            for one in touched
        ]
    return Comment(
        base=what.label,
        commit=what.commit,
        # At the end: the reason for a recipe that is gone stands in another recipe, which may come
        # later.
        checked=tuple(_excused(one, waivers) for one in checked),
        notes=what.notes,
        unknown=what.unknown,
    )


def _excused(one: Checked, waivers: Sequence[str]) -> Checked:
    """A recipe that is gone, with the reason of another one that names it: it cannot carry a waiver itself."""
    path = one.was or one.path
    names = (re.escape(name) for name in (PurePosixPath(path).stem, path) if name)
    named = re.compile(rf"(?<![\w.-])({'|'.join(names)})(?![\w-])")
    why = next(filter(named.search, waivers), "")
    found = tuple(
        replace(it, waiver=why) if it.code == GONE and not it.waiver else it for it in one.findings
    )
    return replace(one, findings=found)


class _Ignoring(WorkingTree):
    """The working tree, where files that are not checked out, or that git ignores, may be missing."""

    @property
    def reader(self) -> Reader:
        """Another reader than the disk's: files that are not there are no problem."""
        return self.read


class _Check(Value):
    what: ReviewInputs
    touched: Touched
    trees: tuple[FileTree, FileTree]
    waivers: list[str]
    """Reasons that new versions give for recipes that are gone; added to."""

    @property
    def repository(self) -> Repository:
        return self.what.repository

    def made(self, store: Store, device: Device, rows: RowDivider) -> Checked:
        touched, is_new = self.touched, self.touched.status is ChangeStatus.NEW
        found = Checked(
            path=touched.path,
            status=touched.status.value,
            was=touched.was if touched.was != touched.path else "",
            why=touched.why,
        )
        if touched.status in (ChangeStatus.DELETED, ChangeStatus.GONE):
            return replace(found, findings=(_finding(GONE, Effect.WEAKER, IS_GONE),))
        unseen: tuple[Finding, ...] = ()
        if touched.unseen:
            unseen = (_finding(UNSEEN, Effect.UNKNOWN, touched.unseen),)
        found = replace(found, findings=unseen)
        if touched.status is ChangeStatus.HIDDEN:
            return found
        new, problems, notes = self._new()
        found = replace(found, problems=tuple(map(self._placed, problems)), notes=notes)
        if new is None:
            return found
        old, why = (None, "") if is_new else self._old()
        before = waivers_of(old) if old is not None else {}
        if (why_gone := waivers_of(new).get(GONE, "")) != before.get(GONE, ""):
            self.waivers.append(why_gone)
        reaches = _reaches(new) - (_reaches(old) if old is not None else set())
        found = replace(found, plan=tuple(plan_lines(new.recipe)), reaches=tuple(sorted(reaches)))
        if old is None:
            found = replace(found, waived=tuple((one.what, one.why) for one in new.recipe.waivers))
        if is_new:
            return found
        if old is None:
            unseen += (_finding(NO_OLD, Effect.UNKNOWN, why),)
        else:
            result = review(old, new, store=store, device=device, rows=rows)
            found = replace(found, review=result, plan_before=tuple(plan_lines(old.recipe)))
        return replace(found, findings=tuple(waived(unseen, waivers_of(new), before)))

    def _new(self) -> tuple[Side | None, tuple[Problem, ...], tuple[str, ...]]:
        """The new version; files that git ignores, or has not checked out, may be missing, and are not looked at."""
        path, repository = self.repository.root / self.touched.path, self.repository
        side, problems = self._tried(path, self.trees[1], self.touched.path)
        errors = [one for one in problems if one.severity is Severity.ERROR]
        if side is not None or not errors or any(one.code not in _ABSENT for one in errors):
            return side, problems, ()
        tree = _Ignoring(repository=repository, changed=frozenset())
        side, _ = self._tried(path, tree, self.touched.path)
        if side is None:
            return None, problems, ()
        base = base_reference(side.recipe.base_model)
        refs = (base, *(source.ref for source in side.recipe.data.sources))
        paths = [ref.path for ref in refs if isinstance(ref, PathRef) and not ref.path.exists()]
        absent: dict[str, list[str]] = {}
        for one in paths:
            named = f"`{repository.named(one)}`"
            absent.setdefault(_why_absent(repository, one), []).append(named)
        if not absent or "" in absent:
            return None, problems, ()
        notes = [
            f"not in this clone, since {why}: {', '.join(them)}" for why, them in absent.items()
        ]
        left = tuple(one for one in problems if one.code not in _ABSENT)
        # What was missing only matters for validation; the comparison is with the real tree.
        return replace(side, tree=self.trees[1]), left, tuple(notes)

    def _old(self) -> tuple[Side | None, str]:
        path = self.repository.root / self.touched.was
        side, problems = self._tried(
            path, self.trees[0], f"{self.touched.was} at {self.what.label}"
        )
        if side is None:
            first = next(one for one in problems if one.severity is Severity.ERROR)
            where = f"`{first.path}`: " if first.path else ""
            return None, f"{NO_COMPARISON}: {first.code} {where}{first.message}"
        return side, ""

    def _tried(
        self, path: Path, tree: FileTree, label: str
    ) -> tuple[Side | None, tuple[Problem, ...]]:
        try:
            return try_side(path, tree, label=label)
        except (DataError, RecipeError) as error:
            return None, error.problems

    def _placed(self, problem: Problem) -> Problem:
        place = problem.place
        if place is None:
            return problem
        inside = self.repository.inside(Path(place.file))
        return replace(problem, place=replace(place, file=inside or place.file))


def _why_absent(repository: Repository, path: Path) -> str:
    """Return why a file that is not here may stand elsewhere; empty where git has no reason for it."""
    target = repository.target_now(path)
    if target.is_outside and not repository.submodules.isdisjoint(target.steps):
        return "its submodule is not checked out"
    if repository.is_left_out(path):
        return "its folder is not checked out"
    return "git ignores it" if repository.ignores(path) else ""


def _reaches(side: Side) -> set[str]:
    return {one.reference for one in outside_of(side.recipe, AccessCheck(recipe=side.path))}


def _finding(code: str, effect: Effect, says: str) -> Finding:
    return Finding(code=code, path="recipe", effect=effect, says=says)


def plan_lines(recipe: Recipe) -> Iterator[str]:
    splits = recipe.splits
    train, validation = sizes_in_rows(splits.train, splits.validation)
    sizes = (("train", train), ("validation", validation), ("holdout", splits.holdout))
    sized = " / ".join(f"{_size(size)} {name}" for name, size in sizes if size)
    if splits.folds:
        sized = f"{splits.folds} folds of all rows"
    steps = ""
    if isinstance(train, int) and recipe.sweep is None:
        before = what_changes_rows(recipe)
        most = "at most " if recipe.method.early_stopping else ""
        steps = f" · {most}{steps_of(recipe, train)} steps{f' before {before}' if before else ''}"
    method = describe_sweep(recipe) if recipe.sweep else describe_method(recipe)
    yield f"{method} · {sized}{steps}"
    yield from power_estimates(recipe, None).lines
    yield from moving(recipe)


def _size(size: ValidationSize) -> str:
    if size == FROM_TRAIN:
        return "part of train as"
    if isinstance(size, str):
        return "the rest"
    return f"{size:.0%}" if isinstance(size, float) else str(size)
