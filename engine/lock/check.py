"""Whether what a lock says of its accepted run can be true beside itself, its answers and the bounds. Not a stage."""

from __future__ import annotations

from collections.abc import Iterator

from engine.lock.accepted import Accepted
from engine.lock.answer_hashes import WEIGHED, Before
from engine.lock.coherence import NEAR, contradictions
from engine.metrics.scoring import values_of
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe, Threshold

OF_PROBABILITIES = ("ece", "brier")
"""Metrics of probabilities, which a lock does not hold for each row."""
_NEAR_NATS = 1e-5
"""Of its size, by which a number of likelihoods may be off: they are kept in 32 bits."""


def unfounded(recipe: Recipe, accepted: Accepted) -> Iterator[str]:
    """Yield what contradicts itself in the accepted run of a lock that this recipe asks for."""
    yield from contradictions(accepted)
    if not recipe.splits.folds:  # with folds, bounds are kept by the answers to all rows
        for bound in recipe.acceptance.metrics:
            yield from _unmet(bound, accepted, decide_on=recipe.acceptance.decide_on)


def untrue_of_answers(accepted: Accepted, before: Before, recipe: Recipe) -> Iterator[str]:
    """Yield the metrics of a lock that are not those of its answers, where all of these can be told."""
    if before.untold:
        return
    for name, stated, value in stated_and_told(accepted, before, recipe):
        if not is_near(stated, value, accepted):
            yield f"`metrics.{name}` is {stated}, its answers give {value:.6f}"


def stated_and_told(
    accepted: Accepted, before: Before, recipe: Recipe
) -> Iterator[tuple[str, float, float]]:
    """Yield each metric that both a lock and its answers tell: its name and both values."""
    values = values_of(before.rows, recipe.task)
    for name, metric in accepted.metrics.items():
        is_of_answers = name not in (*FREE, *OF_PROBABILITIES)
        if is_of_answers and name in values and metric["value"] is not None:
            yield name, float(metric["value"]), values[name]


def is_near(stated: float, value: float, accepted: Accepted) -> bool:
    """Tell whether a number is that of the lock, but for how exactly the lock keeps it."""
    relative = _NEAR_NATS * abs(stated) if accepted.answers["way"] == WEIGHED else 0.0
    return abs(stated - value) <= max(NEAR, relative)


def _unmet(bound: Threshold, accepted: Accepted, *, decide_on: str) -> Iterator[str]:
    """Yield that the numbers of a lock do not keep a bound which they were accepted by."""
    metric = accepted.metrics.get(bound.metric)
    if metric is None:
        yield f"`metrics` has no `{bound.metric}`, which the recipe bounds"
        return
    end = "low" if bound.direction == "min" else "high"
    decides = metric["value"] if decide_on == "point" else metric[end]
    shown = f"`metrics.{bound.metric}` is {metric['value']} ({end} {metric[end]})"
    if decides is None:
        yield f"{shown} and decides nothing"
    elif bound.direction == "min" and decides < bound.bound - NEAR:
        yield f"{shown}, accepted by a bound of at least {bound.bound:g}"
    elif bound.direction == "max" and decides > bound.bound + NEAR:
        yield f"{shown}, accepted by a bound of at most {bound.bound:g}"
