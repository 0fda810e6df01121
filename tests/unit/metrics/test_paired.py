from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from engine.metrics.paired import Difference, paired_difference
from engine.metrics.predictions import Prediction

Answers = Callable[[Mapping[str, str]], list[Prediction]]


def difference(
    name: str, first: list[Prediction], second: list[Prediction], *, seed: int = 7
) -> Difference:
    return paired_difference(name, first, second, labels=("a", "b"), confidence=0.95, seed=seed)


def test_the_p_value_of_accuracy_is_mcnemars(answers: Answers) -> None:
    first = answers({"a": "a" * 20, "b": "b" * 19 + "a"})
    second = answers({"a": "a" * 14 + "b" * 6, "b": "b" * 20})

    found = difference("accuracy", first, second)

    # six rows gained, one lost: 2 * (C(7,0) + C(7,1)) / 2^7
    assert pytest.approx(16 / 128) == found.p_value
    assert pytest.approx(5 / 40) == found.metric.value
    assert found.test == "McNemar's exact test"


def test_equal_models_differ_by_nothing_and_p_is_one(answers: Answers) -> None:
    same = answers({"a": "aab", "b": "bba"})

    for name in ("accuracy", "macro_f1"):
        found = difference(name, same, same)
        assert (found.metric.value, found.p_value) == (0.0, 1.0)


def test_equal_models_on_few_rows_may_still_differ_elsewhere(answers: Answers) -> None:
    same = answers({"a": "a" * 50, "b": "b" * 50})

    interval = difference("macro_f1", same, same).metric.interval

    assert interval is not None
    assert interval.low < -0.005
    assert interval.high > 0.005


def test_rows_are_paired_by_id_not_by_place(answers: Answers) -> None:
    first, second = answers({"a": "aab", "b": "bba"}), answers({"a": "aaa", "b": "bba"})

    assert difference("accuracy", first, second) == difference("accuracy", first, second[::-1])


def test_pairing_makes_the_interval_narrower(answers: Answers) -> None:
    first = answers({"a": "a" * 80 + "b" * 20, "b": "b" * 80 + "a" * 20})
    alike = answers({"a": "a" * 78 + "b" * 22, "b": "b" * 78 + "a" * 22})
    apart = answers({"a": "b" * 22 + "a" * 78, "b": "a" * 22 + "b" * 78})

    widths = [
        interval.high - interval.low
        for other in (alike, apart)
        if (interval := difference("macro_f1", first, other).metric.interval)
    ]

    assert len(widths) == 2
    assert widths[0] < widths[1] / 2


def test_a_clear_gain_has_a_small_p_value_that_is_never_zero(answers: Answers) -> None:
    good = answers({"a": "a" * 45 + "b" * 5, "b": "b" * 45 + "a" * 5})
    poor = answers({"a": "ab" * 25, "b": "ab" * 25})

    found = difference("macro_f1", good, poor)

    assert found.p_value is not None
    assert 0 < found.p_value < 0.001
    assert found.metric.interval is not None
    assert 0.2 < found.metric.interval.low < 0.4 < found.metric.interval.high < 0.6


def test_a_difference_to_an_undefined_number_is_undefined(answers: Answers) -> None:
    found = difference("macro_f1", answers({"a": "ab"}), answers({"a": "aa"}))

    assert (found.metric.value, found.p_value) == (None, None)
    assert found.metric.undefined == "no rows of `b`"
