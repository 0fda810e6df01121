"""How often a holdout has decided, by the history of its lock: each branch counts alone, a merge has to add them up.

Two branches that each use a holdout once leave the same number in the lock, and git merges equal lines without a word;
a commit that is reverted takes the number back, and not the use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.errors import EngineError, StoreError
from engine.evidence.review import Finding
from engine.lock.file import (
    SUFFIX,
    Accepted,
    Lock,
    lock_from_text,
    lock_path,
    read_lock,
    write_lock,
)
from engine.render.number_format import counted
from engine.review.compare import finding
from engine.review.listing import names_in
from engine.review.recipe_file import ENDS
from engine.review.repository import Repository

AT: Final = "lock.holdout.looks"
LOST: Final = (
    "branches that used the holdout were merged, or a use was taken back; `recipe data RECIPE --recount-lock` "
    "writes how often it was used"
)
TAKEN_BACK: Final = "an acceptance was taken back: this is the accepted run of commit "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commit:
    """One commit that changed a lock, or merged two that did."""

    id: str
    parents: tuple[str, ...]
    lock: Lock | None
    """None where it has none that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHistory:
    """The lock of one recipe, commit by commit."""

    commits: tuple[_Commit, ...]
    """Parents first."""

    def uses(self, now: Lock) -> int:
        """Return how often the holdout of `now` has decided: at least as often as `now` says."""
        counts, ancestors = dict[str, int](), dict[str, frozenset[str]]()
        for one in self.commits:
            parents = [name for name in one.parents if name in counts]
            ancestors[one.id] = frozenset(parents).union(*(ancestors[name] for name in parents))
            looks = one.lock.holdout.looks if one.lock and _is_of(one.lock, now) else 0
            counts[one.id] = max(looks, _joined(parents, counts, ancestors))
        tips = set(counts).difference(*(one.parents for one in self.commits))
        return max(now.holdout.looks, _joined(sorted(tips), counts, ancestors))

    def commit_of(self, accepted: Accepted) -> str:
        """Return the commit whose lock has this accepted run; empty for none."""
        found = (one.id for one in self.commits if one.lock and one.lock.accepted == accepted)
        return next(found, "")


def _joined(
    commits: Sequence[str],
    counts: Mapping[str, int],
    ancestors: Mapping[str, frozenset[str]],
) -> int:
    """Return the uses of commits together: what all of them have behind them is counted once."""
    before = [counts[name] for name in commits]
    behind = [ancestors[name] | {name} for name in commits]
    shared = frozenset.intersection(*behind) if behind else frozenset()
    # Without a common beginning, as in a shallow clone, nothing is known to be counted twice.
    common = max((counts[name] for name in shared), default=min(before, default=0))
    return common + sum(count - common for count in before)


def _is_of(lock: Lock, now: Lock) -> bool:
    """Return whether a lock records the holdout of `now`, or another that was drawn by the same recipe."""
    return lock.draw == now.draw and lock.holdout.redraws == now.holdout.redraws


def lock_history(repository: Repository, lock: str, *tips: str) -> LockHistory:
    """Return the history of the lock at a path from the root, as these commits have it; empty where git has none."""
    commits = []
    for name, *parents in _history(repository, tips, lock):
        found = None
        # Conflicts that were committed, or another tool's file.
        with suppress(EngineError, OSError, UnicodeDecodeError, RecursionError):
            text = repository.recorded(name, lock).decode("utf-8")
            found = lock_from_text(repository.root / lock, text)
        commits.append(_Commit(id=name, parents=tuple(parents), lock=found))
    return LockHistory(commits=tuple(commits))


def _history(repository: Repository, tips: Sequence[str], lock: str) -> list[list[str]]:
    """The commits that changed a lock, or merged two that did, each with its parents; those come first."""
    words = ("rev-list", "--parents", "--topo-order", "--reverse", "--full-history")
    found = repository.output(*words, "--simplify-merges", *tips, "--", f":(top,literal){lock}")
    return [line.split() for line in found.decode().splitlines()]


def locks_touched(repository: Repository, base: str) -> frozenset[str]:
    """The locks that a commit between `base` and HEAD changed, whatever came of it."""
    # Not `git log`, which starts a program where the settings ask for signatures.
    named = ("--", f":(top)*{SUFFIX}")
    words = ("rev-list", "--full-history", "--no-merges", f"{base}..HEAD")
    commits = repository.output(*words, *named)
    if not commits:
        return frozenset()
    names = ("diff-tree", "--stdin", "--no-commit-id", "--root", "-r", "--name-only", "-z")
    return frozenset(names_in(repository.output(*names, "--no-renames", *named, given=commits)))


def with_history(
    findings: Sequence[Finding], now: Lock, lock: str, repository: Repository, base: str
) -> list[Finding]:
    """Return the findings about a lock, with what its history says of its uses and of an earlier accepted run."""
    found = list(findings)
    # One that was turned back is found by the comparison.
    if not any(one.code == "W208" and one.path == AT for one in found):
        found = [*_lost(now, lock, repository), *found]
    if now.accepted is None or not any(one.code == "W124" for one in found):
        return found
    # Only what stood there before the work began proves anything.
    commit = lock_history(repository, lock, base).commit_of(now.accepted)
    return [
        replace(one, waiver=TAKEN_BACK + commit[:12]) if _is_older(one, commit) else one
        for one in found
    ]


def _lost(now: Lock, lock: str, repository: Repository) -> Iterator[Finding]:
    """W208: the lock counts fewer uses than its history has."""
    uses = uses_of(now, lock, repository)
    if uses > now.holdout.looks:
        yield finding("W208", AT, LOST, str(uses), str(now.holdout.looks))


def uses_of(now: Lock, lock: str, repository: Repository) -> int:
    """Return how often the holdout of a lock has decided, by all commits that HEAD, or a merge in progress, has."""
    tips = [name for name in ("HEAD", "MERGE_HEAD") if repository.knows(name)]
    return lock_history(repository, lock, *tips).uses(now) if tips else now.holdout.looks


def recount_lock(recipe_file: Path) -> str:
    """Write into a lock how often its holdout was used by its history in git, and return what was done, in one line.

    Raises:
        DataError: D38x it is no lock.
        EnvironmentProblem, RecipeError: E73x, R02x it is in no repository that can be read.
        StoreError: D401 the lock cannot be written.

    """
    path = lock_path(recipe_file)
    lock = read_lock(path)
    if lock is None:
        return f"`{path.name}` is not there: there is nothing to count"
    looks = lock.holdout.looks
    with Repository.around(path.parent) as repository:
        named = repository.named(path)
        uses = looks if named is None else uses_of(lock, named, repository)
    if uses == looks:
        return f"`{path.name}` counts {counted(looks, 'use')} of the holdout, as its history does"
    try:
        write_lock(path, replace(lock, holdout=replace(lock.holdout, looks=uses)))
    except OSError as error:
        raise StoreError.one(
            "D401",
            f"`{path.name}` cannot be written: {error.strerror or error}",
            hint="make the folder of the recipe writable",
        ) from error
    return f"`{path.name}` counts {counted(uses, 'use')} of the holdout now, as its history does, not {looks}"


def _is_older(one: Finding, commit: str) -> bool:
    return one.code == "W124" and bool(commit) and not one.waiver


def merged_alike(repository: Repository, locks: Iterable[str]) -> Iterator[str]:
    """Yield the recipes of locks that end as they began, and lost uses on the way: two branches changed them alike."""
    for lock in sorted(locks):
        now = _read(repository.root / lock)
        recipes = [f"{lock.removesuffix(SUFFIX)}{end}" for end in ENDS]
        recipe = next((one for one in recipes if (repository.root / one).is_file()), "")
        if now is not None and recipe and any(_lost(now, lock, repository)):
            yield recipe


def _read(path: Path) -> Lock | None:
    with suppress(EngineError, OSError):
        return read_lock(path)
    return None
