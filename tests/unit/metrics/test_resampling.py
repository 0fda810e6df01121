from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from engine.metrics.predictions import Prediction
from engine.metrics.resampling import DRAWS, draw, percentile_interval, swap
from engine.metrics.tally import Coded, code, metric_values

Answers = Callable[[Mapping[str, str]], list[Prediction]]
LABELS = ("a", "b")


@pytest.fixture
def coded(answers: Answers) -> Coded:
    return code(
        LABELS,
        answers({"a": "a" * 80 + "b" * 20, "b": "b" * 85 + "-" * 15}),
        answers({"a": "a" * 60 + "b" * 40, "b": "b" * 70 + "a" * 30}),
    )


def test_draws_are_weighted_rows_and_two_more(coded: Coded) -> None:
    tallies = draw(coded, seed=1)

    for counted in tallies:
        assert counted.rows.shape == (DRAWS,)
        assert pytest.approx(counted.rows) == counted.support.sum(axis=-1)
        assert pytest.approx(counted.valid) == counted.predicted.sum(axis=-1)
        assert (counted.right <= np.minimum(counted.support, counted.predicted) + 1e-9).all()
        assert pytest.approx(202, rel=0.01) == counted.rows.mean()


def test_both_models_are_drawn_over_the_same_weights(coded: Coded) -> None:
    first, second = draw(coded, seed=1)

    assert (first.support == second.support).all()


def test_draws_center_on_the_value(coded: Coded) -> None:
    values = metric_values("macro_f1", draw(coded, seed=1)[0], labels=LABELS)

    assert pytest.approx(0.855, abs=0.01) == values.mean()


def test_swaps_keep_the_rows_and_exchange_the_outputs(coded: Coded) -> None:
    first, second = swap(coded, seed=1)

    assert (first.rows == 200).all()
    assert (first.right + second.right == [[80 + 60, 85 + 70]]).all()
    assert first.right[:, 0].std() > 0


def test_swaps_of_equal_models_change_nothing(answers: Answers) -> None:
    same = answers({"a": "ab", "b": "bb"})

    first, second = swap(code(LABELS, same, same), seed=1)

    assert (first.right == second.right).all()


def test_an_interval_is_stretched_to_hold_its_point() -> None:
    interval = percentile_interval(np.linspace(0.2, 0.4, 101), 0.9, confidence=0.9, method="m")

    assert pytest.approx((0.21, 0.9)) == (interval.low, interval.high)


def test_models_judged_on_different_rows_are_not_compared(answers: Answers) -> None:
    with pytest.raises(ValueError, match="different rows"):
        code(LABELS, answers({"a": "ab"}), answers({"a": "abb"}))
