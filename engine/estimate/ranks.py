"""What several processes change of an estimate: GPUs divide a training's time and are paid for together."""

from __future__ import annotations

from dataclasses import replace

from engine.compute.ranks import Ranks
from engine.estimate.run import Forecast, StageForecast

TRAINING = frozenset({"train", "sweep", "resample", "seeds", "answers_only"})
"""Stages whose time is that of trainings."""
DIVIDED = "time of training divided by the processes, as if they did not wait for each other: not measured"
SHARED = "no faster than one process: processes of a CPU share its cores"


def on_ranks(found: Forecast, ranks: Ranks) -> Forecast:
    """Return a forecast for so many processes; on a CPU the time stays."""
    if ranks.size == 1 or found.device.kind == "cpu":
        return found
    stages = {
        name: _divided(one, ranks.size) if name in TRAINING else one
        for name, one in found.stages.items()
    }
    price = found.price
    if price is not None:
        price = replace(
            price,
            an_hour=price.an_hour * ranks.size,
            source=f"{ranks.size} times {price.source}",
        )
    return replace(found, stages=stages, price=price)


def time_words(found: Forecast, ranks: Ranks) -> str:
    """Say what the time of several processes stands on; empty for one."""
    if ranks.size == 1:
        return ""
    return SHARED if found.device.kind == "cpu" else DIVIDED


def _divided(one: StageForecast, size: int) -> StageForecast:
    return one if one.seconds is None else replace(one, seconds=one.seconds / size)
