"""What a looser or stricter threshold means for the accepted model: whether it passes now, and did before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from engine.evidence.review import Finding
from engine.lock.file import Accepted, MetricFacts
from engine.recipe.model import Recipe
from engine.review.compare import Versions
from engine.values import replace
from engine.values.numbers import shortest

_CODES: Final = ("W101", "W102")
_AT: Final = "acceptance.metrics."
DECIDES: Final = "acceptance.decide_on"
CONFIDENCE: Final = "acceptance.confidence"
_COMPARED: Final = (
    "acceptance.over_baselines.", "acceptance.over_previous.", "acceptance.over_without_synthetic.",
    "acceptance.against_teacher.", "export.after_quantization.",
)  # fmt: skip
"""Sections whose bounds compare a metric with one that the lock does not keep."""


def with_accepted(findings: Iterable[Finding], versions: Versions) -> list[Finding]:
    """Return the findings, those of a bound with the value of the accepted model, as far as its lock keeps one."""
    lock = versions.new.lock or versions.old.lock
    accepted = lock.accepted if lock else None
    if accepted is None:
        return list(findings)
    return [_with_value(one, accepted, versions) for one in findings]


def _with_value(one: Finding, accepted: Accepted, versions: Versions) -> Finding:
    metric, _, end = one.path.removeprefix(_AT).rpartition(".")
    facts = accepted.metrics.get(metric)
    if one.path in (DECIDES, CONFIDENCE):
        return _with_words(one, "; ".join(_by_threshold(one.path, accepted, versions)))
    if one.path.startswith(_COMPARED):
        return _with_words(one, _of_a_comparison(one.path, accepted))
    is_threshold = one.code in _CODES and one.path.startswith(_AT) and end in ("min", "max")
    if not is_threshold or facts is None or facts["value"] is None:
        return one
    before, now = (
        _passes(facts, metric, side.recipe, end) for side in (versions.old, versions.new)
    )
    return _with_words(
        one, f"the accepted model has {shortest(facts['value'], 3)}: {_PASSES[before, now]}"
    )


def _with_words(one: Finding, says: str) -> Finding:
    return replace(one, says="; ".join(filter(None, (one.says, says))))


def _by_threshold(path: str, accepted: Accepted, versions: Versions) -> Iterator[str]:
    """Yield the accepted value of each threshold; where its interval is the recorded one, whether it passes."""
    sides = (versions.old.recipe, versions.new.recipe)
    for bound in versions.new.recipe.acceptance.metrics:
        facts = accepted.metrics.get(bound.metric)
        if facts is None or facts["value"] is None:
            continue
        known = (facts["low"], facts["high"])
        ends = [shortest(end, 3) for end in known if end is not None]
        span = f" ({' to '.join(ends)})" if ends else ""
        says = f"the accepted model has {bound.metric} {shortest(facts['value'], 3)}{span}"
        # the interval of another confidence is not in the lock
        passes = tuple(_passes(facts, bound.metric, recipe, bound.direction) for recipe in sides)
        yield f"{says}: {_PASSES[passes]}" if path == DECIDES else says


def _of_a_comparison(path: str, accepted: Accepted) -> str:
    section = next(one for one in _COMPARED if path.startswith(one))
    metric = path.removeprefix(section).rpartition(".")[0]
    facts = accepted.metrics.get(metric)
    if facts is None or facts["value"] is None:
        return ""
    return (
        f"the accepted model has {metric} {shortest(facts['value'], 3)} on the holdout; what this bound compares "
        "it with is in its report"
    )


_PASSES: Final[Mapping[tuple[bool, ...], str]] = {
    (False, True): "it passes now and did not before",
    (True, False): "it no longer passes",
    (True, True): "it passes as before",
    (False, False): "it does not pass, as before",
}


def _passes(facts: MetricFacts, metric: str, recipe: Recipe, end: str) -> bool:
    """Return whether the accepted model keeps the threshold of a version; without one it does."""
    threshold = next((one for one in recipe.acceptance.metrics if one.metric == metric), None)
    if threshold is None or threshold.direction != end:
        return True
    limit = facts["low"] if end == "min" else facts["high"]
    value = facts["value"] if recipe.acceptance.decide_on == "point" else limit
    if value is None:
        return False
    return value >= threshold.bound if end == "min" else value <= threshold.bound
