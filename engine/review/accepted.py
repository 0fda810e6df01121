"""What a looser or stricter threshold means for the accepted model: whether it passes now, and did before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from engine.evidence.review import Finding
from engine.lock.file import Accepted, MetricFacts
from engine.recipe.model import Recipe
from engine.review.compare import Versions

_CODES: Final = ("W101", "W102")
_AT: Final = "acceptance.metrics."


def with_accepted(findings: Iterable[Finding], versions: Versions) -> list[Finding]:
    """Return the findings, those of a metric's threshold with the value of the accepted model."""
    lock = versions.new.lock or versions.old.lock
    accepted = lock.accepted if lock else None
    if accepted is None:
        return list(findings)
    return [_with_value(one, accepted, versions) for one in findings]


def _with_value(one: Finding, accepted: Accepted, versions: Versions) -> Finding:
    metric, _, end = one.path.removeprefix(_AT).rpartition(".")
    facts = accepted.metrics.get(metric)
    is_threshold = one.code in _CODES and one.path.startswith(_AT) and end in ("min", "max")
    if not is_threshold or facts is None or facts["value"] is None:
        return one
    before, now = (
        _passes(facts, metric, side.recipe, end) for side in (versions.old, versions.new)
    )
    says = f"the accepted model has {facts['value']:.3g}: {_PASSES[before, now]}"
    return replace(one, says="; ".join(filter(None, (one.says, says))))


_PASSES: Final = {
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
