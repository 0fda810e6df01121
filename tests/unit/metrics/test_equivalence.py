"""Equivalence is shown, never assumed: the margin, the two one-sided tests, and agreement."""

import math
import random

import pytest

from engine.evidence import Interval, SeedScores
from engine.metrics.equivalence import (
    LEAST_AGREEMENT,
    Margin,
    MetricPair,
    agreement_bound,
    agreement_metric,
    agrees,
    equivalence,
    margin_of,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.metrics.sweeping import spread_of
from engine.recipe.model import Task
from engine.values import replace
from support.launches import TASK

LABELS = TASK.labels


def predictions(count: int, wrong: set[int]) -> list[Prediction]:
    """Answers to `count` rows, some of them wrong."""
    found = []
    for number in range(count):
        target = LABELS[number % 2]
        label = LABELS[(number + 1) % 2] if number in wrong else target
        found.append(
            Prediction(id=f"{number:016x}", target=target, label=label, text=label, probability=0.9)
        )
    return found


def value(rows: list[Prediction], task: Task = TASK) -> float:
    found = score(rows, Judging(task=task, confidence=0.95, seed=7)).metric("macro_f1").value
    assert found is not None
    return found


def asked(before: list[Prediction], now: list[Prediction], margin: float | None) -> MetricPair:
    return MetricPair(
        metric="macro_f1",
        locked=value(before),
        found=value(now),
        margin=Margin(value=margin, origin="the test"),
        task=TASK,
        seed=7,
    )


def held(before: list[Prediction], now: list[Prediction], margin: float | None) -> bool:
    differing = sum(one.label != other.label for one, other in zip(before, now, strict=True))
    return equivalence(asked(before, now, margin), now, before, differing=differing).holds


def test_equal_answers_are_equivalent_within_any_margin() -> None:
    rows = predictions(40, {1, 2})

    assert held(rows, rows, 0.0)


def test_without_a_margin_nothing_is_equivalent() -> None:
    rows = predictions(40, {1, 2})

    assert not held(rows, rows, None)


def test_a_small_difference_on_few_rows_is_not_shown_to_be_small() -> None:
    """The same share of changed answers: 400 rows can show it, 20 cannot."""
    few, many = (predictions(count, set(range(0, count, 10))) for count in (20, 400))
    others = [predictions(count, {n + 1 for n in range(0, count, 10)}) for count in (20, 400)]

    assert not held(few, others[0], 0.06)
    assert held(many, others[1], 0.06)


def test_a_large_difference_is_never_within_the_margin() -> None:
    before, now = predictions(400, set()), predictions(400, set(range(80)))

    assert not held(before, now, 0.1)


def test_the_test_is_two_sided() -> None:
    """Better by more than the margin is another model too."""
    before, now = predictions(400, set(range(80))), predictions(400, set())

    assert not held(before, now, 0.1)


def test_the_interval_is_the_one_of_ninety_percent() -> None:
    before, now = predictions(400, {1, 2, 3}), predictions(400, {2, 3, 4})
    found = equivalence(asked(before, now, 0.05), now, before, differing=2)

    assert found.interval is not None
    assert found.interval.confidence == pytest.approx(0.9)
    assert found.interval.low < found.found - found.locked < found.interval.high


def test_unknown_answers_widen_the_interval_by_what_they_could_be() -> None:
    before, now = predictions(400, {1, 2, 3}), predictions(400, {2, 3, 4})
    known = equivalence(asked(before, now, 0.05), now, before, differing=2)
    unknown = equivalence(asked(before, now, 0.05), now, None, differing=2)

    assert unknown.interval is not None
    assert unknown.interval.high == pytest.approx(1.645 * math.sqrt(2) / 400, rel=1e-3)
    assert known.interval is not None
    assert "answers that differ" in unknown.interval.method


@pytest.mark.parametrize(
    ("metric", "rows"),
    [("accuracy", 100), (f"f1.{LABELS[1]}", 4), ("macro_f1", 4 / (1 / 96 + 1 / 4))],
)
def test_unknown_answers_move_a_metric_by_the_rows_that_it_stands_on(
    metric: str, rows: float
) -> None:
    found = [
        replace(row, target=LABELS[place >= 96], label=LABELS[place >= 96])
        for place, row in enumerate(predictions(100, set()))
    ]
    pair = replace(asked(found, found, 0.1), metric=metric)

    interval = equivalence(pair, found, None, differing=4).interval

    assert interval is not None
    assert interval.high == pytest.approx(1.645 * math.sqrt(4 / 100 / rows), abs=1e-3)


def test_with_seeds_the_margin_is_what_two_trainings_differ_by() -> None:
    locked = {"value": 0.9, "low": 0.85, "high": 0.95}
    margin = margin_of(locked, {"mean": 0.9, "deviation": 0.01}, seeds=4, rows=300)

    assert margin.value == pytest.approx(3.1824463 * math.sqrt(2) * 0.01, rel=1e-6)
    assert "0.0100 of 4 seeds" in margin.origin


def test_seeds_that_never_differ_leave_a_margin_of_one_row() -> None:
    margin = margin_of(
        {"value": 1.0, "low": 0.9, "high": 1.0}, {"mean": 1.0, "deviation": 0.0}, seeds=3, rows=40
    )

    assert margin.value == 1 / 40


@pytest.mark.parametrize("seeds", [1, 2])
def test_without_enough_seeds_the_margin_is_half_the_interval(seeds: int) -> None:
    locked = {"value": 0.9, "low": 0.84, "high": 0.94}
    margin = margin_of(locked, {"mean": 0.9, "deviation": 0.5}, seeds=seeds, rows=300)

    assert margin.value == pytest.approx(0.05)
    assert "half of the lock's interval" in margin.origin


def test_a_lock_without_interval_and_seeds_gives_no_margin() -> None:
    assert margin_of({"value": 1, "low": None, "high": None}, None, seeds=1, rows=9).value is None


def test_the_agreement_asked_for_is_the_least_of_the_seeds() -> None:
    seeds = [{"agreement": 0.93}, {"agreement": 0.88}]

    assert agreement_bound(seeds)[0] == 0.88
    assert agreement_bound(seeds[:1])[0] == LEAST_AGREEMENT
    assert agreement_bound([])[0] == LEAST_AGREEMENT


def test_agreement_fails_only_where_it_is_surely_too_low() -> None:
    near = agreement_metric([True] * 87 + [False] * 13)
    far = agreement_metric([True] * 70 + [False] * 30)

    assert agrees(near, 0.9)
    assert not agrees(far, 0.9)
    assert agrees(None, 0.9)


@pytest.mark.thorough
def test_trainings_that_differ_only_by_luck_are_mostly_within_noise() -> None:
    """Simulated: 60 authors with four seeds each, and one more training of the same process."""
    draw = random.Random(3)
    within = 0
    for _ in range(60):
        hard = set(draw.sample(range(300), 60))
        runs = [predictions(300, {row for row in hard if draw.random() < 0.5}) for _ in range(5)]
        scores = [
            score(run, Judging(task=TASK, confidence=0.95, seed=7)).metric("macro_f1")
            for run in runs
        ]
        seeds = [
            SeedScores(seed=number, metrics=(replace(one, interval=None),), agreement=None)
            for number, one in enumerate(scores[:4])
        ]
        (spread,) = spread_of(seeds)
        margin = margin_of(
            {"value": 0, "low": None, "high": None},
            {"mean": spread.mean, "deviation": spread.deviation},
            seeds=4,
            rows=300,
        )
        within += held(runs[0], runs[4], margin.value)

    assert within >= 36


def test_a_margin_that_every_value_is_within_is_none() -> None:
    wide = {"value": 0.6, "low": 0.0, "high": 1.0}
    margin = margin_of(wide, {"mean": 0.6, "deviation": 0.5}, seeds=4, rows=300)

    assert margin.value is None
    assert "every value is within" in margin.origin


def test_an_interval_that_is_wider_than_the_rows_give_is_no_margin() -> None:
    locked = {"value": 0.8, "low": 0.5, "high": 1.0}
    here = Interval(low=0.75, high=0.85, confidence=0.95, method="test")

    assert margin_of(locked, None, seeds=1, rows=300).value == pytest.approx(0.25)
    assert margin_of(locked, None, seeds=1, rows=300, interval=here).value is None
