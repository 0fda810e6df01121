"""What a training took, added up from its events."""

from typing import Any

import pytest

from engine.backends.usage import Spent, Usage, UsageMeter
from engine.values import from_json, to_json


def event(kind: str, seconds: float, peak: int, tokens: int = 0) -> dict[str, Any]:
    return {
        "event": kind, "seconds": seconds, "cpu_seconds": 2 * seconds, "tokens": tokens,
        "peak_bytes": peak,
    }  # fmt: skip


def meter_after_events() -> UsageMeter:
    meter = UsageMeter(began=100.0, cpu_began=7.0)
    start = {**event("start", 0.5, 50), "at": 103.0, "cpu_at": 12.0, "ready_bytes": 40}
    meter.take(start)
    for one in (
        event("evaluated", 3.0, 60, 30),
        event("step", 5.0, 90, 80),
        event("step", 2.0, 95, 60),
        event("step", 2.5, 93, 70),
        {"event": "log", "step": 3, "loss": 0.5},
        event("evaluated", 1.0, 95, 30),
        event("saved", 0.4, 95),
        event("saved", 0.1, 95),
        event("end", 0.2, 95),
    ):
        meter.take(one)
    return meter


def test_the_first_of_each_kind_stands_apart() -> None:
    usage = meter_after_events().usage

    assert (usage.first.seconds, usage.steps.seconds, usage.steps.tokens) == (5.0, 4.5, 130)
    assert (usage.first_evaluation.seconds, usage.evaluations.seconds) == (3.0, 1.0)
    assert (usage.first_save.seconds, usage.saves.seconds) == (0.4, 0.1)
    assert (usage.steps.count, usage.ending.count) == (2, 1)


def test_the_start_is_what_lies_between_launch_and_readiness() -> None:
    usage = meter_after_events().usage

    assert Spent(count=1, seconds=3.0, cpu_seconds=5.0) == usage.starting
    assert (usage.ready_bytes, usage.peak_bytes) == (40, 95)


def test_processor_time_is_that_of_all_phases() -> None:
    others = 2 * (3.0 + 5.0 + 4.5 + 1.0 + 0.4 + 0.1 + 0.2)

    assert pytest.approx(5.0 + others) == meter_after_events().usage.cpu_seconds


def test_usage_survives_being_written() -> None:
    usage = meter_after_events().usage

    assert usage == from_json(Usage, to_json(usage))
