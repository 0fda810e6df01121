"""The plan's table of power: a row a threshold, notes for what a row cannot say, and a shape for 80 columns."""

import re

import pytest

from engine.cli.plan_facts import power_facts
from engine.metrics.power_text import JudgingRows, PowerEstimates, estimate_power
from engine.recipe.model import Acceptance, MaxDrop, MinGain, Threshold
from engine.render.number_format import DASH
from engine.render.terminal import PlanRow, plan_table
from engine.values import replace
from support.tasks import task

TASK = task("classification", labels=("a", "b"))
JUDGES = JudgingRows(rows=300, classes={"a": 180, "b": 120})
ACCEPTANCE = Acceptance(
    confidence=0.95,
    decide_on="lower_bound",
    metrics=(
        Threshold(metric="accuracy", direction="min", bound=0.8),
        Threshold(metric="abstention", direction="max", bound=0.1),
        Threshold(metric="mcc", direction="min", bound=0.5),
    ),
    over_baselines=(MinGain(metric="balanced_accuracy", min_gain=0.05),),
    over_previous=(MaxDrop(metric="accuracy", max_drop=0.01),),
    max_overfitting_gap=None,
)


def shown(found: PowerEstimates, *, width: int = 80) -> list[str]:
    """The plan's lines from `power` on, without the indent."""
    rows = [PlanRow(stage="data", state="run", why="never built")]
    plan = plan_table(rows, title="t", facts=power_facts(found), colour=False, width=width)
    lines = plan.splitlines()
    assert max(map(len, lines)) <= width
    first = next(at for at, line in enumerate(lines) if line.startswith("  power"))
    return [line.removeprefix("  power").strip() for line in lines[first:]]


def test_each_threshold_with_numbers_has_a_row_and_every_other_a_note() -> None:
    found = estimate_power(ACCEPTANCE, TASK, JUDGES)

    caption, _, head, *lines = shown(found)

    rows = [re.split(r"  +", line) for line in lines[:4]]
    assert caption == "on 300 holdout rows, decided on the lower bound (max: the upper)"
    assert re.split(r"  +", head) == ["metric", "threshold", "0.80 from", "power at", "0.80"]
    assert [row[:3] for row in rows] == [
        ["accuracy", "min 0.80", "0.862"],
        ["abstention", "max 0.10", "0.054"],
        ["balanced_accuracy", "min_gain 0.05", "+0.123"],
        ["accuracy", "max_drop 0.01", DASH],
    ]
    assert rows[0][3:] == ["0.60 at 0.85", "490"]
    assert rows[3][3:] == ["0.07 at +0.00", "7900"]
    assert lines[4] == "How many rows `mcc` takes is known once there are answers."
    assert lines[5].startswith("Estimates, where classes are equally good; only one of model")


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 140])
def test_no_number_is_lost_on_any_width(width: int) -> None:
    text = " ".join(shown(estimate_power(ACCEPTANCE, TASK, JUDGES), width=width))

    assert all(number in text for number in ("0.862", "0.60", "0.85", "490", "7900"))


def test_a_model_that_is_not_good_enough_and_passes_is_a_note() -> None:
    point = replace(ACCEPTANCE, decide_on="point", over_baselines=(), over_previous=())
    point = replace(point, metrics=point.metrics[:1])

    caption, *_, note = shown(estimate_power(point, TASK, JUDGES), width=100)

    assert caption == "on 300 holdout rows, decided on the point"
    assert note == "A true accuracy of 0.778, which is not good enough, still passes with 0.20."


def test_a_threshold_that_no_model_reaches_has_none_and_the_rows_that_it_takes() -> None:
    strict = Threshold(metric="valid_output", direction="min", bound=0.97)
    acceptance = replace(ACCEPTANCE, metrics=(strict,), over_baselines=(), over_previous=())

    *_, row = shown(estimate_power(acceptance, TASK, JudgingRows(rows=60)))

    assert re.split(r"  +", row)[:3] == ["valid_output", "min 0.97", "none"]
    assert row.endswith("870")


def test_where_nothing_is_gated_nothing_is_shown() -> None:
    assert power_facts(PowerEstimates()) == []
