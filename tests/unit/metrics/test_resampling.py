from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from engine.evidence import Interval, Metric
from engine.metrics import resampling
from engine.metrics.families import classification, labels
from engine.metrics.intervals import effective_groups, wilson
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import DRAWS, draw, paired_difference, percentile_interval, swap
from engine.metrics.scoring import score
from engine.metrics.table import Table
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))


def table(rows: list[Prediction]) -> Table:
    return classification.tabulate(rows, TASK)


@pytest.fixture
def good(answers: Answers) -> Table:
    return table(answers({"a": "a" * 80 + "b" * 20, "b": "b" * 85 + "-" * 15}))


@pytest.fixture
def poor(answers: Answers) -> Table:
    return table(answers({"a": "a" * 60 + "b" * 40, "b": "b" * 70 + "a" * 30}))


def test_draws_are_weighted_rows_and_two_more(good: Table, poor: Table) -> None:
    for sums in draw(good, poor, seed=1):
        assert sums["rows"].shape == (DRAWS,)
        assert pytest.approx(sums["rows"]) == sums["support"].sum(axis=-1)
        least = np.minimum(sums["support"], sums["predicted"])
        assert (sums["right"] <= least + 1e-9).all()
        assert pytest.approx(202, rel=0.01) == sums["rows"].mean()


def test_both_models_are_drawn_over_the_same_weights(good: Table, poor: Table) -> None:
    first, second = draw(good, poor, seed=1)

    assert (first["support"] == second["support"]).all()


def test_draws_center_on_the_value(good: Table) -> None:
    (drawn,) = draw(good, seed=1)

    assert pytest.approx(0.855, abs=0.01) == labels.f1(drawn).mean()


def test_rows_that_do_not_fit_into_memory_are_drawn_part_by_part(
    good: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(good, seed=1)[0]["correct"]

    monkeypatch.setattr(resampling, "MOST_NUMBERS", DRAWS)
    parts = draw(good, seed=1)[0]["correct"]

    assert pytest.approx(whole) == parts


def test_equal_rows_that_are_put_together_weigh_as_much(good: Table) -> None:
    apart, counts = resampling._distinct(good.answered)

    assert counts.tolist() == sorted([80.0, 20.0, 85.0, 15.0], key=counts.tolist().index)
    assert pytest.approx(good.sums().values) == counts @ apart.toarray()


def test_swaps_keep_the_rows_and_exchange_the_outputs(good: Table, poor: Table) -> None:
    first, second = swap(good, poor, seed=1)

    assert (first["rows"] == 200).all()
    assert (first["right"] + second["right"] == [[80 + 60, 85 + 70]]).all()
    assert first["right"][:, 0].std() > 0


def test_swaps_of_equal_models_change_nothing(good: Table) -> None:
    first, second = swap(good, good, seed=1)

    assert (first["right"] == second["right"]).all()


def test_an_interval_is_stretched_to_hold_its_point() -> None:
    interval = percentile_interval(np.linspace(0.2, 0.4, 101), 0.9, confidence=0.9, method="m")

    assert pytest.approx((0.21, 0.9)) == (interval.low, interval.high)


def grouped(rows: list[Prediction], groups: int) -> list[Prediction]:
    """Rows in turn to so many groups, neighbours together."""
    size = len(rows) / groups
    return [replace(row, group=f"g{int(place / size)}") for place, row in enumerate(rows)]


def interval_of(rows: list[Prediction], name: str = "accuracy") -> Interval:
    found = score(rows, Judging(task=TASK, confidence=0.95, seed=7)).metric(name).interval
    assert found is not None
    return found


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_fewer_groups_of_the_same_rows_widen_every_interval(answers: Answers) -> None:
    rows = answers({"a": "aaaab" * 24, "b": "bbbba" * 24})

    for name in ("accuracy", "macro_f1", "f1.a", "valid_output"):
        widths = [width(interval_of(grouped(rows, groups), name)) for groups in (24, 6, 3)]
        assert widths == sorted(widths)
        assert width(interval_of(rows, name)) < widths[0]


def test_rows_that_are_all_right_in_few_groups_are_a_few_observations(answers: Answers) -> None:
    rows = answers({"a": "a" * 100, "b": "b" * 100})

    interval = interval_of(grouped(rows, 5))

    assert interval.high == 1.0
    assert interval.low < 0.57  # Wilson's bound of 5 right of 5 is 0.566
    assert interval.method == "bayesian bootstrap of 5 groups (2000 draws, two groups added)"


def test_one_group_says_nothing_about_others(answers: Answers) -> None:
    rows = grouped(answers({"a": "aaab" * 20, "b": "bbba" * 20}), 1)

    found = score(rows, Judging(task=TASK, confidence=0.95, seed=7)).metric("accuracy")

    assert (found.value, found.interval) == (0.75, None)


def test_groups_of_one_row_are_rows(answers: Answers) -> None:
    rows = answers({"a": "aab", "b": "bba"})

    assert interval_of(grouped(rows, 6)) == interval_of(rows)


def test_rows_without_a_group_stand_for_themselves(answers: Answers) -> None:
    rows = answers({"a": "aab", "b": "bba"})
    some = [replace(row, group="g") if place < 2 else row for place, row in enumerate(rows)]

    assert table(some).units == 5


def test_groups_are_swapped_whole(answers: Answers) -> None:
    first = table(grouped(answers({"a": "a" * 10, "b": "b" * 10}), 2))
    second = table(grouped(answers({"a": "b" * 10, "b": "a" * 10}), 2))

    swapped, _ = swap(first, second, seed=1)

    assert set(swapped["correct"].tolist()) == {0.0, 10.0, 20.0}


@pytest.mark.parametrize("groups", [4, 10, 30])
def test_intervals_of_few_groups_hold_the_truth(groups: int) -> None:
    """Groups that are right or wrong as a whole: the hardest case, 7 in 10 right."""
    random = np.random.default_rng(groups)
    held = above = 0
    for seed in range(40):
        right = np.repeat(random.random(groups) < 0.7, 8)
        rows = [
            Prediction(
                id=str(place),
                target="ab"[place % 2],
                label="ab"[place % 2] if fine else "ba"[place % 2],
                text="",
                probability=None,
                group=f"g{place // 8}",
            )
            for place, fine in enumerate(right)
        ]
        (drawn,) = draw(table(rows), seed=seed)
        shares = drawn["correct"] / drawn["rows"]
        interval = percentile_interval(shares, float(right.mean()), confidence=0.95, method="")
        held += interval.low <= 0.7 <= interval.high
        above += interval.low > 0.7
    assert above <= 4  # an interval of single rows: one in three
    assert held >= 34


def test_few_rows_of_a_label_that_are_all_right_are_not_certain(answers: Answers) -> None:
    # 5 rows say little of a recall: one of 0.8 is right on all of them once in three times
    rows = answers({"a": "a" * 90 + "b" * 5, "b": "b" * 5})

    for name in ("balanced_accuracy", "macro_recall"):
        metric = scored(rows)[name]
        assert metric.value is not None
        assert metric.interval is not None
        assert metric.value > 0.97
        assert metric.interval.low < (90 / 95 + 0.7) / 2


@pytest.mark.parametrize(
    ("name", "one_row"), [("balanced_accuracy", 0.1), ("macro_f1", 0.05), ("mcc", 0.1)]
)
def test_few_rows_of_a_label_that_lost_nothing_do_not_prove_it(
    answers: Answers, name: str, one_row: float
) -> None:
    before = answers({"a": "a" * 190 + "b" * 5, "b": "b" * 5})
    judging = Judging(task=TASK, confidence=0.95, seed=7)

    interval = paired_difference(name, before, before, judging).metric.interval

    assert interval is not None
    # a label of which one row in five is lost loses none of five rows once in three times
    assert interval.low < -1.5 * one_row


def test_each_label_is_added_as_often(answers: Answers) -> None:
    few = table(answers({"a": "a" * 990, "b": "b" * 10}))

    pools = resampling._pools(few)
    chosen = resampling._chosen(pools, np.random.default_rng(0))

    assert [pool.size for pool in pools] == [990, 10]
    assert 0.45 < (chosen >= 990).mean() < 0.55


def test_the_groups_of_each_label_are_added_as_often(answers: Answers) -> None:
    rows = answers({"a": "a" * 90, "b": "b" * 10})
    named = [replace(row, group=f"{place // 10}") for place, row in enumerate(rows)]

    chosen = resampling._chosen(resampling._pools(table(named)), np.random.default_rng(0))

    assert 0.45 < (chosen == 9).mean() < 0.55


def scored(rows: list[Prediction]) -> dict[str, Metric]:
    found = score(rows, Judging(task=TASK, confidence=0.95, seed=7))
    return {metric.name: metric for metric in found.metrics}


@pytest.mark.parametrize(
    "sizes",
    [[14] * 5, [100, 10, 5, 5, 2], [5] * 20, [30, 20, 15, *[5] * 10, *[2] * 48], [70, *[2] * 50]],
    ids=str,
)
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_power_counts_groups_as_their_intervals_do(sizes: list[int], metric: str) -> None:
    """A model without an error: what is planned with is the interval that it gets."""
    rows = [
        Prediction(
            id=f"{group}-{number}",
            target="ab"[number % 2],
            label="ab"[number % 2],
            text="",
            probability=None,
            group=f"g{group}",
        )
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    counted = tuple(sorted(Counter(sizes).items()))

    count = effective_groups(counted, 0.95)
    planned = wilson(count, count, confidence=0.95)
    got = score(rows, Judging(task=TASK, confidence=0.95, seed=1)).metric(metric).interval

    assert planned is not None
    assert got is not None
    assert f"of {len(sizes)} groups" in got.method
    assert planned.low == pytest.approx(got.low, abs=0.025)
