"""What each change does to the evidence: findings, and the changes that say nothing about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from engine.evidence.review import Area, Change, Effect, Finding
from engine.recipe.model import Json
from engine.recipe.weakening import ORDER, Weakening, Weaker, weakenings
from engine.review import answers, baselines, exported, pins, probes, validation
from engine.review.compare import Differing, Pair, finding_of
from engine.review.data_checks import decides, judge_checks
from engine.review.holdout import judge_holdout
from engine.review.listed import orders, source_changes
from engine.review.record import judge_record, lock_changes
from engine.review.rows import Rows
from engine.review.version import waivers_of

SPENT = "the waiver of it is older than this change; say anew why it is meant"


def judge(pair: Pair, rows: Rows) -> tuple[tuple[Finding, ...], tuple[Change, ...]]:
    """Return the findings, weaker ones first, and every other change, both in the language's order."""
    findings = [
        *_generic(pair),
        *_looked_at(pair),
        *judge_checks(pair, rows),
        *judge_holdout(pair, rows),
    ]
    findings = waived(_told_once(_distinct(findings)), waivers_of(pair.new), waivers_of(pair.old))
    told = {finding.path for finding in findings}
    changes = [change for change in _changes(pair) if change.path not in told]
    findings.sort(key=lambda one: (tuple(Effect).index(one.effect), _place(one.path)))
    return tuple(findings), tuple(changes)


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        found.setdefault((finding.code, finding.path), finding)
    return list(found.values())


def _told_once(findings: list[Finding]) -> list[Finding]:
    """Without the probes that a seed draws, where the seed draws the holdout too."""
    redraws = {one.path for one in findings if one.code == "W201"}
    return [
        one
        for one in findings
        if not (one.code == "W114" and one.path == probes.SEED and one.path in redraws)
    ]


def _place(path: str) -> int:
    """Where a key stands in the language; the acceptance first, then in the order of a recipe."""
    tops = ("acceptance", "splits", "lock", "data", "baselines", "stop_if_baseline_passes", "task")
    first = path.replace("[", ".").partition(".")[0]
    return tops.index(first) if first in tops else len(tops)


def _generic(pair: Pair) -> Iterator[Finding]:
    for one in pair.differing:
        known = weakenings().get(one.form)
        effect = effect_of(known, one.before, one.after) if known else None
        if known is None or effect is None or _of_no_file(one.form, pair) or decides(one):
            continue
        code = known.gone if known.gone and None in (one.before, one.after) else known.code
        yield finding_of(one, code, effect)
    if _bounds(pair.before) and not _bounds(pair.after):
        yield Finding(
            code="W103",
            path="acceptance",
            effect=Effect.WEAKER,
            says="nothing must hold any more: every model passes",
        )


def _of_no_file(form: str, pair: Pair) -> bool:
    """Tell whether a bound speaks of a quantized file that one of the versions does not make."""
    sides = (pair.old.recipe.export, pair.new.recipe.export)
    speaks = form.startswith(("export.parity", "export.after_quantization"))
    return speaks and not all(export.has_quantized_file for export in sides)


def _bounds(leaves: Iterable[str]) -> list[str]:
    parts = ("metrics", "over_baselines", "over_previous", "overfitting", "forgetting")
    return [
        path
        for path in leaves
        if path.startswith("acceptance.") and path.split(".")[1] in parts and ".probes." not in path
    ]


def effect_of(key: Weakening, before: Json, after: Json) -> Effect | None:
    """Return what a change of a key does to the evidence; None for nothing, or where a function says it."""
    match key.weaker:
        case Weaker.CHANGED:
            return Effect.WEAKER
        case Weaker.OFF | Weaker.ON:
            return Effect.WEAKER if after is (key.weaker is Weaker.ON) else Effect.STRONGER
        case Weaker.RELAXED:
            is_weaker = ORDER.index(str(after)) > ORDER.index(str(before))
            return Effect.WEAKER if is_weaker else Effect.STRONGER
        case Weaker.LOWER | Weaker.HIGHER:
            return _bound_effect(key, before, after)
        case _:
            return None


def _bound_effect(key: Weakening, before: Json, after: Json) -> Effect | None:
    if not isinstance(after, int | float):
        return Effect.WEAKER
    if not isinstance(before, int | float):
        return Effect.STRONGER
    is_lower = after < before
    return Effect.WEAKER if is_lower is (key.weaker is Weaker.LOWER) else Effect.STRONGER


def _looked_at(pair: Pair) -> Iterator[Finding]:
    yield from validation.decide_on(pair)
    yield from validation.name_of_the_rival(pair)
    yield from validation.validation_rows(pair)
    yield from validation.choice_of_the_model(pair)
    yield from validation.further_seeds(pair)
    yield from answers.labels(pair)
    yield from answers.schema(pair)
    yield from answers.output(pair)
    yield from answers.references(pair)
    yield from baselines.baselines(pair)
    yield from probes.probes(pair)
    yield from pins.pins(pair)
    yield from exported.uncovered(pair)
    yield from exported.overrides(pair)
    yield from judge_record(pair)


def waived(
    findings: Iterable[Finding], new: Mapping[str, str], old: Mapping[str, str]
) -> list[Finding]:
    """Return the findings with the reason why each is meant, where the new version gives a new one."""
    return [_waived(finding, new, old) for finding in findings]


def _waived(finding: Finding, new: Mapping[str, str], old: Mapping[str, str]) -> Finding:
    if finding.effect is Effect.STRONGER:
        return finding
    before = {_words(why) for what, why in old.items() if _covers(what, finding)}
    covering = [why for what, why in new.items() if _covers(what, finding)]
    fresh = next((why for why in covering if _words(why) not in before), None)
    if fresh is not None:
        return replace(finding, waiver=fresh)
    if covering:
        return replace(finding, says="; ".join(filter(None, (finding.says, SPENT))))
    return finding


def _words(why: str) -> str:
    """A reason without what changes nothing of it: a full stop more is no new reason."""
    return " ".join(re.findall(r"\w+", why.casefold()))


def _covers(what: str, finding: Finding) -> bool:
    return what in (finding.code, finding.path) or finding.path.startswith((f"{what}.", f"{what}["))


def _changes(pair: Pair) -> Iterator[Change]:
    for one in pair.differing:
        area = weakenings().get(one.form, Weakening()).area
        yield _change(one, area)
    yield from source_changes(pair)
    yield from orders(pair)
    yield from lock_changes(pair)


def _change(one: Differing, area: Area) -> Change:
    same = one.shown_before == one.shown_after
    return Change(
        path=one.path,
        area=area,
        before="" if same else one.shown_before,
        after="" if same else one.shown_after,
        says="reworded" if same else "",
    )
