"""Every changed recipe of a repository: validated, planned and compared. `recipe ci` shows the result."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from engine.environment import Device
from engine.errors import Problem, RecipeError, Severity
from engine.evidence.review import Checked, Comment, Effect, Finding
from engine.pipeline.data_outlook import power_estimates
from engine.pipeline.plan import moving
from engine.pipeline.report import describe_method, describe_sweep
from engine.recipe.model import PathRef, Recipe
from engine.recipe.outside import outside_of
from engine.recipe.references import base_reference
from engine.review.changed import ChangeStatus, touched_recipes
from engine.review.findings import review, waived
from engine.review.repository import Repository
from engine.review.revisions import PartialTree, revisions
from engine.review.row_changes import RowDivider
from engine.review.version import Disk, Side, try_side, waivers_of
from engine.trust.access import AccessCheck
from engine.values import replace

_ABSENT: Final = frozenset({"R302", "R250"})
GONE: Final = "W120"
"""The code of a recipe that is gone: a reason for it stands in another recipe."""
ENDED: Final = (ChangeStatus.DELETED, ChangeStatus.GONE, ChangeStatus.HIDDEN)
"""States in which there is no version to validate."""
NOT_REACHED: Final = "this clone does not reach where the work began"
DEFAULTS: Final = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Revisions that are tried as the old version when none is named."""


def asked(repository: Repository, since: str | None) -> Comment:
    """Return an empty comment with the commit to compare with: where the work on HEAD began.

    RecipeError R021 where this clone has no such revision, R026 where nobody says one and it has no main branch.
    """
    label = since or next(
        filter(repository.resolved, (DEFAULTS[1:] if repository.has_one_branch else DEFAULTS)),
        None,
    )
    if label is None:
        raise RecipeError.one(
            "R026",
            "this clone has no main branch to compare with",
            hint="fetch it (git fetch origin main), or name what to compare with: --from REV",
        )
    named, head = repository.commit(label), repository.commit("HEAD")
    bases = repository.merge_bases(named, head)
    found = Comment(base=label, commit=named, checked=(), notes=())
    is_cut = (
        len(bases) == 1
        and bases[0] not in (named, head)
        and repository.git.is_shallow
        and repository.is_cut_between(bases[0], named, head)
    )
    if len(bases) == 1 and not is_cut:
        note = f"HEAD has nothing that {label} has not: only what is not committed was compared"
        is_head = bases[0] == head and since != "HEAD"
        return replace(found, commit=bases[0], notes=(note,) if is_head else ())
    # In a pull request, CI checks out a merge commit whose parent is the main branch: the
    # commit names it even where the clone is cut off right behind.
    if named in repository.parents(head):
        note = f"{NOT_REACHED}: compared with {label}, which HEAD names as its parent"
        return replace(found, notes=(note,))
    why = "the work has more than one beginning" if len(bases) > 1 else NOT_REACHED
    note = f"{why}: compared with {label} itself, so changes made there since count as taken back"
    return replace(found, notes=(note,), unknown=why)


def check_changes(repository: Repository, comment: Comment, *, device: Device) -> Comment:
    """Return the comment with every changed recipe checked."""
    changed = repository.changed(comment.commit, None)
    waivers: list[str] = []
    with revisions(repository, comment.commit, None, changed) as trees:
        check = _Check(repository, comment.base, trees, device, waivers)
        checked = [check.made(one) for one in touched_recipes(repository, comment.commit, changed)]
    # at the end: the reason for a recipe that is gone is in another recipe, which may come later
    return replace(comment, checked=tuple(_excused(one, waivers) for one in checked))


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


@dataclass(slots=True)
class _Check:
    repository: Repository
    base: str
    trees: tuple[Disk, Disk]
    device: Device
    waivers: list[str]
    """Reasons that new versions give for recipes that are gone; added to."""
    rows: RowDivider = field(default_factory=RowDivider)
    """One for all recipes, so that its limit holds for the whole review."""

    def made(self, found: Checked) -> Checked:
        """Return a recipe that is touched, validated, planned and compared."""
        if found.status in ENDED:
            return found
        new, problems, notes = self._new(found.path)
        problems = tuple(
            replace(one, place=replace(one.place, file=inside))
            if one.place and (inside := self.repository.inside(Path(one.place.file)))
            else one
            for one in problems
        )
        found = replace(found, problems=problems, notes=notes)
        if new is None:
            return found
        findings, old, was = list(found.findings), None, found.was or found.path
        if found.status != ChangeStatus.NEW:
            label = f"{was} at {self.base}"
            old, problems = try_side(self.repository.root / was, self.trees[0], label=label)
        before = waivers_of(old) if old else {}
        if (why_gone := waivers_of(new).get(GONE, "")) != before.get(GONE, ""):
            self.waivers.append(why_gone)
        reaches = _reaches(new) - (_reaches(old) if old else set())
        found = replace(found, plan=tuple(plan_lines(new.recipe)), reaches=tuple(sorted(reaches)))
        if old is not None:
            result = review(old, new, device=self.device, rows=self.rows)
            found = replace(found, review=result, plan_before=tuple(plan_lines(old.recipe)))
        else:
            found = replace(found, waived=tuple((one.what, one.why) for one in new.recipe.waivers))
        if old is None and found.status != ChangeStatus.NEW:
            first = next(one for one in problems if one.severity is Severity.ERROR)
            where = f"`{first.path}`: " if first.path else ""
            says = "the old version is not valid, so there is nothing to compare with"
            says = f"{says}: {first.code} {where}{first.message}"
            unknown = Finding(code="W119", path="recipe", effect=Effect.UNKNOWN, says=says)
            findings.append(unknown)
        return replace(found, findings=tuple(waived(findings, waivers_of(new), before)))

    def _new(self, named: str) -> tuple[Side | None, tuple[Problem, ...], tuple[str, ...]]:
        """Return the new version; files that git ignores, or has not checked out, may be missing."""
        path, repository = self.repository.root / named, self.repository
        side, problems = try_side(path, self.trees[1], label=named)
        errors = {one.code for one in problems if one.severity is Severity.ERROR}
        if side is not None or not errors or errors - _ABSENT:
            return side, problems, ()
        tree = PartialTree(repository=repository, changed=frozenset())
        side, _ = try_side(path, tree, label=named)
        absent: dict[str, list[str]] = {}
        if side is not None:
            base, sources = base_reference(side.recipe.base_model), side.recipe.data.sources
            for ref in (base, *(source.ref for source in sources)):
                if isinstance(ref, PathRef) and not ref.path.exists():
                    why = _why_absent(repository, ref.path)
                    absent.setdefault(why, []).append(f"`{repository.named(ref.path)}`")
        if side is None or not absent or "" in absent:
            return None, problems, ()
        notes = (f"not in this clone, since {why}: {', '.join(it)}" for why, it in absent.items())
        left = tuple(one for one in problems if one.code not in _ABSENT)
        # What was missing only matters for validation; the comparison is with the real tree.
        return replace(side, tree=self.trees[1]), left, tuple(notes)


def _why_absent(repository: Repository, path: Path) -> str:
    """Return why a file that is not here may stand elsewhere; empty where git has no reason for it."""
    target = repository.target(path)
    if target.is_outside and not repository.submodules.isdisjoint(target.steps):
        return "its submodule is not checked out"
    if repository.is_left_out(path):
        return "its folder is not checked out"
    return "git ignores it" if repository.ignores(path) else ""


def _reaches(side: Side) -> set[str]:
    return {one.reference for one in outside_of(side.recipe, AccessCheck(recipe=side.path))}


def plan_lines(recipe: Recipe) -> Iterator[str]:
    yield describe_sweep(recipe) if recipe.sweep else describe_method(recipe)
    yield from power_estimates(recipe, None).lines
    yield from moving(recipe)
