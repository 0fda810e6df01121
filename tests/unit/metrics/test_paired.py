from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import Difference, mcnemar, paired_difference
from engine.values import replace
from support.examples import examples
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))


def difference(
    name: str, first: list[Prediction], second: list[Prediction], *, seed: int = 7
) -> Difference:
    return paired_difference(name, first, second, Judging(task=TASK, confidence=0.95, seed=seed))


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


def grouped(rows: list[Prediction], size: int) -> list[Prediction]:
    return [replace(row, group=f"g{place // size}") for place, row in enumerate(rows)]


def test_a_gain_in_few_groups_is_less_sure_than_in_as_many_rows(answers: Answers) -> None:
    good = answers({"a": "a" * 40, "b": "b" * 40})
    poor = answers({"a": "a" * 30 + "b" * 10, "b": "b" * 30 + "a" * 10})

    apart = difference("accuracy", good, poor)
    together = difference("accuracy", grouped(good, 10), grouped(poor, 10))

    assert apart.metric.value == together.metric.value == 0.25
    assert apart.metric.interval is not None
    assert together.metric.interval is not None
    assert apart.metric.interval.low > 0.1
    assert together.metric.interval.low < 0
    assert apart.p_value is not None
    assert together.p_value is not None
    # two of eight groups differ: half of all swaps leave a difference as large
    assert apart.p_value < 0.001
    assert 0.4 < together.p_value < 0.6
    assert together.test == "paired permutation test of 8 groups"


@settings(max_examples=examples(20), deadline=None)
@given(gained=st.integers(0, 30), lost=st.integers(0, 30))
def test_mcnemars_test_is_scipys_binomial_test(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0

    assert pytest.approx(expected) == mcnemar(gained, lost)


@settings(max_examples=examples(10), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("ab-"), st.sampled_from("ab-")),
        min_size=4,
        max_size=9,
    )
)
def test_permutation_p_values_are_those_of_every_swap(rows: list[tuple[str, str, str]]) -> None:
    """All 2^n swaps, counted; the drawn ones may differ by the luck of 2,000 draws."""
    models = [
        [
            Prediction(
                id=str(k), target=row[0], label=row[m].strip("-") or None, text="", probability=None
            )
            for k, row in enumerate(rows)
        ]
        for m in (1, 2)
    ]
    observed = f1_gap(*models)
    hits = [
        abs(f1_gap(*swapped(models, mask))) >= abs(observed) - 1e-9
        for mask in range(2 ** len(rows))
    ]

    found = difference("micro_f1", *models)

    if found.p_value is not None:
        assert pytest.approx(sum(hits) / len(hits), abs=0.06) == found.p_value


def swapped(models: list[list[Prediction]], mask: int) -> tuple[list[Prediction], list[Prediction]]:
    first, second = models
    pairs = [
        (two, one) if mask >> place & 1 else (one, two)
        for place, (one, two) in enumerate(zip(first, second, strict=True))
    ]
    return [one for one, _ in pairs], [two for _, two in pairs]


def f1_gap(first: list[Prediction], second: list[Prediction]) -> float:
    def micro(rows: list[Prediction]) -> float:
        right = sum(row.label == row.target for row in rows)
        return 2 * right / (len(rows) + sum(row.label is not None for row in rows))

    return micro(first) - micro(second)


def test_a_metric_of_another_kind_is_a_bug(answers: Answers) -> None:
    with pytest.raises(KeyError, match="bleu"):
        difference("bleu", answers({"a": "a"}), answers({"a": "b"}))


def test_brier_scores_are_compared_in_the_form_that_both_models_have(answers: Answers) -> None:
    sure = [replace(row, probability=0.9) for row in answers({"a": "aab", "b": "bba"})]
    full = [replace(row, probabilities=(0.9, 0.1)) for row in sure]

    assert difference("brier", full, sure).metric.value == 0.0
    assert difference("brier", full, full).metric.value == 0.0


@pytest.mark.parametrize("shares", [(0.1, 0.9), (0.9, 0.1, 0.0)])
def test_probabilities_of_labels_in_another_order_are_not_taken_for_those_of_these(
    answers: Answers, shares: tuple[float, ...]
) -> None:
    """Labels in another order than in the last accepted recipe made the same answers worse by a Brier score of 0.64."""
    now = [replace(row, probability=0.9, probabilities=(0.9, 0.1)) for row in answers({"a": "aaa"})]
    before = [replace(row, probabilities=shares) for row in now]

    assert difference("brier", now, before).metric.value == 0.0
