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
    for name in [metric.name for metric in runs[0].metrics]:
        same = [metric for run in runs for metric in run.metrics if metric.name == name]
        known = [metric.value for metric in same if metric.value is not None]
        if len(known) == len(runs):
            mean, deviation = fmean(known), stdev(known)
            low, high = min(known), max(known)
            found.append(
                SeedSpread(metric=name, mean=mean, deviation=deviation, low=low, high=high)
            )
    return tuple(found)
