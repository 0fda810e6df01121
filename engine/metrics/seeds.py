"""How much of a metric is luck of the seed: mean and spread over trainings that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from engine.evidence import SeedScores, SeedSpread

TWO = 2


def spread_of(runs: Sequence[SeedScores]) -> tuple[SeedSpread, ...]:
    """Return mean and deviation of each metric that every seed's model has a value of; of one seed none."""
    if len(runs) < TWO:
        return ()
    found: list[SeedSpread] = []
    for metric in runs[0].metrics:
        values = [_value(run, metric.name) for run in runs]
        known = [value for value in values if value is not None]
        if len(known) == len(runs):
            found.append(
                SeedSpread(
                    metric=metric.name,
                    mean=fmean(known),
                    deviation=stdev(known),
                    low=min(known),
                    high=max(known),
                )
            )
    return tuple(found)


def _value(run: SeedScores, name: str) -> float | None:
    return next((metric.value for metric in run.metrics if metric.name == name), None)
