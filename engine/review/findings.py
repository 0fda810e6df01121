"""The review of two versions: what each change does to the evidence, and the changes that say nothing about it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.environment import Device
from engine.evidence.review import Area, Change, Effect, Finding, Review
from engine.pipeline.plan import SWEEP, PlanInputs, identified_inputs, plan_run
from engine.recipe.model import HubRef, PackageRef, PathRef, Recipe, Reference
from engine.recipe.sweeps import settled
from engine.recipe.validation.schema import Weakening, weakenings
from engine.review.holdout import judge_holdout, judges_of
from engine.review.locks import judge_record, lock_changes, record_notes, with_accepted
from engine.review.pairs import Versions
from engine.review.row_changes import RowDivider, prompt_leaks
from engine.review.version import Side, waivers_of
from engine.review.weakening import of_keys, pins, uncompared
from engine.sources import identity
from engine.sources.local import DigestMemory
from engine.stages import STAGES
from engine.store import Store
from engine.values import replace

ROWS: Final = 1000
"""Nominal, where a recipe says shares."""
# No store, so that what this machine has built or remembers is in no key.
_NOWHERE: Final = Path("/nonexistent/recipe-review")
REPORT: Final = "report"


def reruns(versions: Versions, device: Device) -> tuple[str, ...]:
    """Return the stages of the new version whose key the old version has not, in order.

    `report`, which always runs, ends them where there are any.
    """
    old, new = _keys(versions.old, device), _keys(versions.new, device)
    unsettled = old.get(SWEEP) != new.get(SWEEP)
    after = STAGES[STAGES.index(SWEEP) :] if unsettled else ()
    again = [
        name for name in STAGES if name in new and (name in after or new[name] != old.get(name))
    ]
    return (*again, REPORT) if again else ()


def _keys(side: Side, device: Device) -> Mapping[str, str]:
    recipe, identify = nominal(side.recipe), partial(reference_identity, side=side)
    inputs = identified_inputs(recipe, device, identify, lock=side.lock, nominal=True)
    keys = _planned(recipe, inputs)
    if recipe.sweep is None:
        return keys
    return keys | _planned(replace(settled(recipe, 0), sweep=None), inputs)


def _planned(recipe: Recipe, inputs: PlanInputs) -> dict[str, str]:
    plan = plan_run(recipe, Store(_NOWHERE), inputs=inputs)
    return {stage.name: stage.key.digest if stage.key else "" for stage in plan.stages}


def reference_identity(ref: Reference, side: Side) -> Mapping[str, Any]:
    """Return what differs where a reference means something else; cheap, and no part of a stored key."""
    if isinstance(ref, HubRef | PackageRef):
        return identity(ref, DigestMemory(_NOWHERE / "digests.json"))
    if isinstance(ref, PathRef) and ref.sha256 is not None:
        return {"sha256": ref.sha256}
    return {"path": str(ref.path)} if ref.withheld else side.tree.identity(ref.path)


def nominal(recipe: Recipe) -> Recipe:
    """Return the recipe with rows where it says shares, or `from_train`, since nothing is divided here."""
    splits = recipe.splits
    sizes = {"train": splits.train, "validation": splits.validation}
    rows = {
        name: ROWS if isinstance(size, str) else round(size * ROWS)
        for name, size in sizes.items()
        if not isinstance(size, int)
    }
    return replace(recipe, splits=replace(splits, **rows))


def review(old: Side, new: Side, *, device: Device, rows: RowDivider | None = None) -> Review:
    versions = Versions(old=old, new=new)
    findings, changes = judge(versions, RowDivider() if rows is None else rows)
    found = {one.path: one.place for one in versions.sources}
    counts = Counter(found.values())
    return Review(
        name=new.recipe.name,
        old=old.label,
        new=new.label,
        findings=findings,
        changes=changes,
        reruns=reruns(versions, device),
        notes=tuple(_notes(versions)),
        uncompared=uncompared(versions),
        places={path: place for path, place in found.items() if counts[place] == 1},
    )


def _notes(versions: Versions) -> Iterator[str]:
    if versions.new.lock is not None and versions.new.drawing_lock is None:
        yield "the lock records another draw: the next run draws the holdout anew and counts a redraw"
    if versions.old.lock is None and versions.new.lock is not None:
        yield "a lock was added: it holds the holdout to its rows"
    yield from record_notes(versions)
    before = {(one.what, one.why) for one in versions.old.recipe.waivers}
    added = [one.what for one in versions.new.recipe.waivers if (one.what, one.why) not in before]
    if added:
        yield f"waivers that are new: {', '.join(f'`{what}`' for what in added)}"


def judge(versions: Versions, rows: RowDivider) -> tuple[tuple[Finding, ...], tuple[Change, ...]]:
    """Return the findings, weaker ones first, and every other change, both in the language's order."""
    others = [
        *of_keys(versions),
        *pins(versions),
        *judge_record(versions),
        *prompt_leaks(versions, rows),
    ]
    findings = judge_holdout(others, versions, rows, judges_of(versions, rows))
    findings = with_accepted(findings, versions)
    # One finding of a code at a key.
    found: dict[tuple[str, str], Finding] = {}
    for one in findings:
        found.setdefault((one.code, one.path), one)
    findings = waived(list(found.values()), waivers_of(versions.new), waivers_of(versions.old))
    found_paths = {one.path for one in findings}
    changes = [change for change in _changes(versions) if change.path not in found_paths]
    tops = ["acceptance", "splits", "lock", "data", "baselines", "stop_if_baseline_passes", "task"]

    def place(one: Finding) -> tuple[int, int]:
        top = one.path.replace("[", ".").partition(".")[0]
        return tuple(Effect).index(one.effect), [*tops, top].index(top)

    # The sort is stable: within a section, findings stay in the order of the language.
    findings.sort(key=place)
    return tuple(findings), tuple(changes)


def waived(
    findings: Iterable[Finding], new: Mapping[str, str], old: Mapping[str, str]
) -> list[Finding]:
    """Return the findings with the reason why each is meant, where the new version gives a new one."""
    found = []
    for one in findings:
        before = {_words(why) for what, why in old.items() if _covers(what, one)}
        covering = [why for what, why in new.items() if _covers(what, one)]
        # A reason that stood there before was given for an earlier change.
        fresh = next((why for why in covering if _words(why) not in before), "")
        if one.effect is Effect.STRONGER or not covering:
            found.append(one)
        elif fresh:
            found.append(replace(one, waiver=fresh))
        else:
            spent = "the waiver of it is older than this change; say anew why it is meant"
            found.append(replace(one, says="; ".join(filter(None, (one.says, spent)))))
    return found


def _words(why: str) -> str:
    """A reason without what changes nothing of it: a full stop more is no new reason."""
    return " ".join(re.findall(r"\w+", why.casefold()))


def _covers(what: str, found: Finding) -> bool:
    return what in (found.code, found.path) or found.path.startswith((f"{what}.", f"{what}["))


def _changes(versions: Versions) -> Iterator[Change]:
    for one in versions.differing:
        area, (before, after) = weakenings().get(one.form, Weakening()).area, one.shown
        says = "reworded" if before == after else ""
        before, after = ("", "") if says else (before, after)
        if one.path in (source.path for source in versions.sources):
            says = "added" if after else "taken out"
        yield Change(path=one.path, area=area, before=before, after=after, says=says)
    if "base_model" in versions.other_bytes:
        yield Change(path="base_model", area=Area.MODEL, says="other bytes at the same path")
    for source in versions.sources:
        if source.other_bytes:
            says = f"{source.place}: other bytes"
            yield Change(path=source.path, area=Area.DATA, says=says)
    yield from lock_changes(versions)
