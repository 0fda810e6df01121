"""Estimate beside actual, as cells of a table: one form for the page, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import StageCost
from engine.render.quantities import DASH, duration, size

COLUMNS = (
    "stage",
    "time estimated",
    "took",
    "off",
    "memory estimated",
    "peak",
    "off",
    "disk estimated",
    "left",
    "off",
)
"""Of `cost_rows`."""
BASES = {
    "reckoned": "reckoned from shapes, nothing measured",
    "probe": "measured by a probe",
    "run": "measured by an earlier run of the same training",
    "last run": "as long as its last run",
}


def cost_rows(costs: Sequence[StageCost]) -> list[list[str]]:
    """Return the cells of each stage that has any estimate."""
    return [
        [
            cost.stage,
            _seconds(cost.estimated_seconds),
            duration(cost.seconds),
            off(cost.seconds_error),
            _bytes(cost.estimated_memory_bytes),
            _bytes(cost.memory_bytes),
            off(cost.memory_error),
            _bytes(cost.estimated_disk_bytes),
            size(cost.disk_bytes),
            off(cost.disk_error),
        ]
        for cost in estimated(costs)
    ]


def estimated(costs: Sequence[StageCost]) -> list[StageCost]:
    """Return the stages that something was estimated of, or whose peak was measured."""
    return [cost for cost in costs if cost.estimated or cost.memory_bytes is not None]


def basis_line(costs: Sequence[StageCost]) -> str:
    """Return what the training's estimate stood on; empty without one."""
    for cost in costs:
        if cost.stage == "train" and cost.estimated:
            return f"Training was estimated {cost.estimated}: {BASES.get(cost.basis, cost.basis)}."
    return ""


def off(error: float | None) -> str:
    """Return how far an estimate was off: `+12 %` is too high."""
    return DASH if error is None else f"{100 * error:+.0f} %".replace("-", "\N{MINUS SIGN}")


def _seconds(value: float | None) -> str:
    return DASH if value is None else duration(value)


def _bytes(value: int | None) -> str:
    return DASH if value is None else size(value)
