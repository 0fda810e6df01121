"""The review of two versions: what each change does to the evidence, and the changes that say nothing about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from engine.environment import Device
from engine.evidence.review import Area, Change, Effect, Finding, Review
from engine.recipe.model import Json
from engine.recipe.references import GENERAL_TEXT, base_reference
from engine.recipe.text.compose import dotted
from engine.recipe.validation.schema import ORDER, Weakening, Weaker, weakenings
from engine.review import answers, comparisons, files, validation
from engine.review.compare import ChangedKey, Versions, finding, finding_of, other_bytes
from engine.review.files import bytes_changed, uncompared
from engine.review.flatten import Paired
from engine.review.holdout import decides, judge_checks, judge_holdout
from engine.review.judges import founded, judges_of, prompt_leaks, redrawn, unreported
from engine.review.locks import judge_record, lock_changes, record_notes, with_accepted
from engine.review.reruns import config_changes, costs, reruns
from engine.review.rows import RowDivider
from engine.review.validation import measured_otherwise
from engine.review.version import Side, waivers_of
from engine.store import Store
from engine.values import replace


def review(
    old: Side, new: Side, *, store: Store, device: Device, rows: RowDivider | None = None
) -> Review:
    """Compare two versions of a recipe. `rows` says how many rows may be read for it."""
    versions = Versions(old=old, new=new)
    findings, changes = judge(versions, RowDivider() if rows is None else rows)
    found = {one.path: listed.place for one in versions.sources if (listed := one.new or one.old)}
    counts = Counter(found.values())
    return Review(
        name=new.recipe.name,
        old=old.label,
        new=new.label,
        findings=findings,
        changes=changes,
        reruns=reruns(versions, device),
        backends=(old.recipe.backend.name, new.recipe.backend.name),
        config=config_changes(versions, device),
        costs=costs(versions, store, device),
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


RELABEL = "data.label.relabel."
TEXT = dotted(GENERAL_TEXT)
SPENT = "the waiver of it is older than this change; say anew why it is meant"


def judge(versions: Versions, rows: RowDivider) -> tuple[tuple[Finding, ...], tuple[Change, ...]]:
    """Return the findings, weaker ones first, and every other change, both in the language's order."""
    findings = [
        *_generic(versions),
        *_looked_at(versions),
        *judge_checks(versions, rows),
        *judge_holdout(versions, rows),
        *prompt_leaks(versions, rows),
    ]
    judges = judges_of(versions, rows)
    findings = founded(findings, judges, versions)
    findings += unreported(findings, judges, versions)
    findings = redrawn(findings, judges, versions)
    findings = with_accepted(findings, versions)
    # One finding of a code at a key; no probes that a seed draws, where the seed draws the holdout too.
    found: dict[tuple[str, str], Finding] = {}
    for one in findings:
        found.setdefault((one.code, one.path), one)
    if ("W201", comparisons.SEED) in found:
        found.pop(("W114", comparisons.SEED), None)
    findings = waived(list(found.values()), waivers_of(versions.new), waivers_of(versions.old))
    found_paths = {one.path for one in findings}
    changes = [change for change in _changes(versions) if change.path not in found_paths]
    # The sort is stable: within a section, findings stay in the order of the language.
    findings.sort(key=lambda one: (tuple(Effect).index(one.effect), _place(one.path)))
    return tuple(findings), tuple(changes)


def _place(path: str) -> int:
    """Where a key stands in the language; the acceptance first, then in the order of a recipe."""
    tops = ("acceptance", "splits", "lock", "data", "baselines", "stop_if_baseline_passes", "task")
    first = path.replace("[", ".").partition(".")[0]
    return tops.index(first) if first in tops else len(tops)


def _generic(versions: Versions) -> Iterator[Finding]:
    for one in versions.differing:
        known = weakenings().get(one.form)
        weaker = weakens(known, one.before, one.after) if known else None
        if (
            known is None
            or weaker is None
            or _of_no_file(one.form, versions)
            or _of_no_text(one, versions)
            or _of_new_baseline(one, versions)
            or _relabels_nothing(one)
            or decides(one, versions)
        ):
            continue
        code = known.gone if known.gone and None in (one.before, one.after) else known.code
        yield finding_of(one, code, weaker=weaker)
    if _bounds(versions.before) and not _bounds(versions.after):
        yield finding("W103", "acceptance", "nothing must hold any more: every model passes")


def _relabels_nothing(one: ChangedKey) -> bool:
    value = one.path.removeprefix(RELABEL)
    is_one = value != one.path
    return is_one and all(label in (None, value) for label in (one.before, one.after))


def _of_no_file(form: str, versions: Versions) -> bool:
    sides = (versions.old.recipe, versions.new.recipe)
    speaks = form.startswith("export.after_quantization")
    return speaks and not all(recipe.export.has_quantized_file for recipe in sides)


def _of_no_text(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key speaks of general text that one of the versions does not predict, as W113 says."""
    if not one.path.startswith(f"{TEXT}.") or one.path.startswith(f"{TEXT}.bits_per_byte"):
        return False
    sides = (versions.old.recipe.acceptance.forgetting, versions.new.recipe.acceptance.forgetting)
    return not all(side and side.text for side in sides)


def _of_new_baseline(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key is of a baseline that only the new version has: one more to beat, as W401 says."""
    if not one.form.startswith("baselines[]."):
        return False
    whole = ".".join(one.path.split(".")[:2])
    return whole not in versions.before


def _bounds(leaves: Iterable[str]) -> list[str]:
    parts = (
        "metrics",
        "over_baselines",
        "over_previous",
        "over_without_synthetic",
        "against_teacher",
        "overfitting",
        "forgetting",
        "drift",
        "selective",
    )
    return [
        path
        for path in leaves
        if path.startswith("acceptance.") and path.split(".")[1] in parts and ".probes." not in path
    ]


def weakens(key: Weakening, before: Json, after: Json) -> bool | None:
    """Return whether a change of a key weakens the evidence; None for no effect, or where a function says it."""
    match key.weaker:
        case Weaker.CHANGED:
            return True
        case Weaker.OFF | Weaker.ON:
            # of a section that one of the versions does not have, nothing was turned off
            is_new = key.weaker is Weaker.OFF and None in (before, after)
            return None if is_new else after is (key.weaker is Weaker.ON)
        case Weaker.RELAXED:
            return ORDER.index(str(after)) > ORDER.index(str(before))
        case Weaker.LOWER | Weaker.HIGHER:
            # Without a bound everything passes.
            if not isinstance(after, int | float):
                return True
            is_lower = key.weaker is Weaker.LOWER
            return isinstance(before, int | float) and (after < before) is is_lower
        case _:
            return None


def _looked_at(versions: Versions) -> Iterator[Finding]:
    yield from validation.judging(versions)
    yield from validation.choice_of_the_model(versions)
    yield from answers.answers(versions)
    yield from comparisons.baselines(versions)
    yield from comparisons.teachers(versions)
    yield from validation.synthetic(versions)
    yield from comparisons.probes(versions)
    yield from files.pins(versions)
    yield from validation.uncovered(versions)
    yield from validation.overrides(versions)
    yield from measured_otherwise(versions)
    yield from judge_record(versions)


def waived(
    findings: Iterable[Finding], new: Mapping[str, str], old: Mapping[str, str]
) -> list[Finding]:
    """Return the findings with the reason why each is meant, where the new version gives a new one."""
    return [one if one.effect is Effect.STRONGER else _waived(one, new, old) for one in findings]


def _waived(found: Finding, new: Mapping[str, str], old: Mapping[str, str]) -> Finding:
    before = {_words(why) for what, why in old.items() if _covers(what, found)}
    covering = [why for what, why in new.items() if _covers(what, found)]
    # A reason that stood there before was given for an earlier change.
    fresh = next((why for why in covering if _words(why) not in before), None)
    if fresh is None and covering:
        return replace(found, says="; ".join(filter(None, (found.says, SPENT))))
    return found if fresh is None else replace(found, waiver=fresh)


def _words(why: str) -> str:
    """A reason without what changes nothing of it: a full stop more is no new reason."""
    return " ".join(re.findall(r"\w+", why.casefold()))


def _covers(what: str, found: Finding) -> bool:
    return what in (found.code, found.path) or found.path.startswith((f"{what}.", f"{what}["))


def _changes(versions: Versions) -> Iterator[Change]:
    for one in versions.differing:
        area = weakenings().get(one.form, Weakening()).area
        before, after = one.shown
        if before == after:
            yield Change(path=one.path, area=area, says="reworded")
        else:
            yield Change(path=one.path, area=area, before=before, after=after)
    yield from source_changes(versions)
    yield from orders(versions)
    yield from lock_changes(versions)


def source_changes(versions: Versions) -> Iterator[Change]:
    """Yield what changed in the data sources."""
    bases = (base_reference(side.recipe.base_model) for side in (versions.old, versions.new))
    if other_bytes(versions, *bases):
        yield Change(path="base_model", area=Area.MODEL, says="other bytes at the same path")
    for source in versions.sources:
        old, new = (one.place if one else "" for one in (source.old, source.new))
        if old and new:
            yield from _within(versions, source)
        else:
            says = "added" if new else "taken out"
            yield Change(path=source.path, area=Area.DATA, before=old, after=new, says=says)


def _within(versions: Versions, source: Paired) -> Iterator[Change]:
    for one in versions.of_source(source):
        area = weakenings().get(one.form, Weakening(area=Area.DATA)).area
        yield Change(path=one.path, area=area, before=one.shown[0], after=one.shown[1])
    if source.new is not None and bytes_changed(versions, source):
        says = f"{source.new.place}: other bytes"
        yield Change(path=source.path, area=Area.DATA, says=says)


def orders(versions: Versions) -> Iterator[Change]:
    """Yield lists whose items stand in another order, where the order can change a result."""
    old, new = versions.old.recipe, versions.new.recipe
    names = [[one.name for one in recipe.baselines] for recipe in (old, new)]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        yield Change(path="baselines", area=Area.REPORT, says="another order")
    places = [one.old.number for one in versions.sources if one.old and one.new]
    if places != sorted(places):
        yield Change(path="data.sources", area=Area.DATA, says="another order")
