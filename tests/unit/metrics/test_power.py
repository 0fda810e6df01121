import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.evidence import Check, Metric, Status
from engine.metrics.intervals import tail, wilson
from engine.metrics.power import (
    ROWS,
    ThresholdRule,
    class_f1,
    enough_rows,
    gain_rate,
    least_right,
    macro_f1,
    macro_recall,
    of_class,
    pass_rate,
    passing_value,
    round_up,
    rows_to_pass,
    true_value,
)
from engine.metrics.verdict import corrected_confidence, judge, passes_among

AT_80 = ThresholdRule(bound=0.8, confidence=0.95)


@given(st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1.2))
@settings(deadline=None)
def test_the_tail_of_a_binomial_is_that_of_scipy(trials: int, share: float, at: float) -> None:
    successes = round(at * trials)

    assert tail(successes, trials, share) == pytest.approx(
        float(stats.binom.sf(successes - 1, trials, share)), abs=1e-9
    )


@pytest.mark.parametrize("share", [1e-12, 0.5, 1 - 1e-12])
def test_the_tail_of_a_million_trials_is_finite(share: float) -> None:
    expected = float(stats.binom.sf(500_499, 1_000_000, share))

    assert tail(500_500, 1_000_000, share) == pytest.approx(expected, abs=1e-8)


@given(
    trials=st.integers(1, 400),
    bound=st.floats(0, 1),
    confidence=st.sampled_from([0.8, 0.95, 0.99]),
    on_interval=st.booleans(),
)
@settings(deadline=None)
def test_the_least_that_passes_is_where_the_gate_changes_its_mind(
    trials: int, bound: float, confidence: float, *, on_interval: bool
) -> None:
    rule = ThresholdRule(bound=bound, confidence=confidence, on_interval=on_interval)

    def passes(right: int) -> bool:
        interval = wilson(right, trials, confidence=confidence)
        assert interval is not None
        return (interval.low if on_interval else right / trials) >= bound - 1e-12 and (
            right / trials >= bound - 1e-12
        )

    passing = [right for right in range(trials + 1) if passes(right)]

    assert least_right(trials, rule) == (passing[0] if passing else None)
    assert passing == list(range(passing[0] if passing else trials + 1, trials + 1))


def test_accuracy_passes_as_often_as_simulated() -> None:
    random = np.random.default_rng(7)
    right = random.binomial(300, 0.86, size=20_000)
    low = [wilson(int(count), 300, confidence=0.95) for count in range(301)]
    passed = np.array([x is not None and x.low >= 0.8 for x in low])[right].mean()

    assert pass_rate(0.86, AT_80, rows=300) == pytest.approx(passed, abs=0.01)


def test_a_model_at_the_bound_passes_about_once_in_forty() -> None:
    for rows in (50, 100, 300, 1000):
        assert pass_rate(0.8, AT_80, rows=rows) < 0.035


def test_the_value_that_passes_often_passes_four_times_in_five() -> None:
    for spread in (ROWS, of_class(0.3), class_f1(0.3), macro_f1((0.7, 0.2, 0.1))):
        value = passing_value(AT_80, rows=300, spread=spread)

        assert value is not None
        assert pass_rate(value, AT_80, rows=300, spread=spread) >= 0.8
        assert pass_rate(value - 0.02, AT_80, rows=300, spread=spread) < 0.8


def test_no_value_passes_where_even_a_faultless_model_does_not() -> None:
    assert passing_value(ThresholdRule(bound=0.99, confidence=0.95), rows=100) is None
    assert pass_rate(1.0, ThresholdRule(bound=0.99, confidence=0.95), rows=100) == 0
    assert pass_rate(1.0, AT_80, rows=0) == 0


def test_enough_rows_are_enough_and_not_many_more_than_that() -> None:
    enough = rows_to_pass(0.85, AT_80)

    assert enough is not None
    assert pass_rate(0.85, AT_80, rows=enough) >= 0.79
    assert pass_rate(0.85, AT_80, rows=int(enough * 0.85)) < 0.8


def enough_to_find(gain: float) -> int | None:
    rule = ThresholdRule(bound=0, confidence=0.95)
    return enough_rows(lambda rows: gain_rate(gain, rule, rows=rows, discordance=0.1))


def test_no_number_of_rows_lets_a_model_at_the_bound_pass_often() -> None:
    assert rows_to_pass(0.8, AT_80) is None
    assert enough_to_find(0.0) is None


def standard_error(portions: list[float], recall: float, rows: int) -> tuple[float, float]:
    """Macro-F1 and its standard error by simulation, errors going to the others by their size."""
    shares = np.array(portions)
    others = np.tile(shares, (len(shares), 1))
    np.fill_diagonal(others, 0)
    truth = shares[:, None] * (1 - recall) * others / others.sum(axis=1, keepdims=True)
    truth[np.diag_indices(len(shares))] = shares * recall
    random = np.random.default_rng(7)
    drawn = random.multinomial(rows, truth.ravel(), 4000).reshape(-1, *truth.shape)
    values = [
        (2 * m.diagonal(axis1=-2, axis2=-1) / (m.sum(axis=-2) + m.sum(axis=-1))).mean(axis=-1)
        for m in (truth, drawn)
    ]
    return float(values[0]), float(values[1].std())


@pytest.mark.parametrize("recall", [0.7, 0.9, 0.97])
@pytest.mark.parametrize(
    "portions", [[0.5, 0.5], [0.9, 0.1], [0.5, 0.25, 0.15, 0.07, 0.03], [0.1] * 10]
)
def test_macro_f1_scatters_as_much_as_simulated(portions: list[float], recall: float) -> None:
    value, error = standard_error(portions, recall, 2000)
    effective = 2000 * macro_f1(tuple(portions)).per_row(value)

    assert math.sqrt(value * (1 - value) / effective) == pytest.approx(error, rel=0.06)


def test_macro_recall_scatters_as_its_classes_do() -> None:
    portions = (0.6, 0.3, 0.1)
    expected = sum(0.9 * 0.1 / (1000 * portion) for portion in portions) / 9

    effective = 1000 * macro_recall(portions).per_row(0.9)

    assert 0.9 * 0.1 / effective == pytest.approx(expected)


def test_classes_of_equal_size_stand_on_all_rows() -> None:
    for classes in (2, 5, 77):
        equal = (1 / classes,) * classes

        assert macro_f1(equal).per_row(0.85) == pytest.approx(1.0, abs=0.001)
        assert macro_recall(equal).per_row(0.85) == pytest.approx(1.0)


def mcnemar_rate(gain: float, rows: int, discordance: float) -> float:
    """The exact power of McNemar's exact test at 5 %, gains only."""
    better = (discordance + gain) / 2 / discordance
    total = 0.0
    for discordant in range(1, rows + 1):
        weight = float(stats.binom.pmf(discordant, rows, discordance))
        counts = np.arange(discordant + 1)
        p_values = np.minimum(1, 2 * stats.binom.sf(counts - 1, discordant, 0.5))
        passing = counts[(p_values <= 0.05) & (2 * counts > discordant)]
        if weight > 1e-12 and passing.size:
            total += weight * float(stats.binom.sf(passing[0] - 1, discordant, better))
    return total


@pytest.mark.parametrize("rows", [100, 300, 800])
@pytest.mark.parametrize(("gain", "discordance"), [(0.05, 0.1), (0.08, 0.2), (0.0, 0.2)])
def test_gains_are_found_about_as_often_as_by_mcnemars_exact_test(
    gain: float, discordance: float, rows: int
) -> None:
    rate = gain_rate(
        gain, ThresholdRule(bound=0, confidence=0.95), rows=rows, discordance=discordance
    )

    assert rate == pytest.approx(mcnemar_rate(gain, rows, discordance), abs=0.03)


@pytest.mark.parametrize(("gain", "without_correction"), [(0.05, 312), (0.03, 870)])
def test_enough_rows_for_a_gain_find_it_four_times_in_five(
    gain: float, without_correction: int
) -> None:
    """Miettinen's formula gives fewer rows than McNemar's exact test needs."""
    enough = enough_to_find(gain)

    assert enough is not None
    assert without_correction < enough < 1.2 * without_correction
    assert mcnemar_rate(gain, enough, 0.1) == pytest.approx(0.8, abs=0.035)


def test_what_is_missed_is_smaller_than_what_is_found() -> None:
    rule = ThresholdRule(bound=0.05, confidence=0.95)
    rate = partial(gain_rate, rule=rule, rows=200, discordance=0.2)
    found, missed = (true_value(rate, often=often, lowest=-1) for often in (0.8, 0.2))

    assert found is not None
    assert missed is not None
    assert 0.05 < missed < found
    assert (rate(found), rate(missed)) == pytest.approx((0.8, 0.2), abs=0.001)


@given(
    gain=st.floats(-1, 1),
    bound=st.floats(0, 1),
    rows=st.floats(0, 1e6),
    discordance=st.floats(0, 1),
    on_interval=st.booleans(),
)
@settings(deadline=None)
def test_a_rate_is_never_anything_else(
    gain: float, bound: float, rows: float, discordance: float, *, on_interval: bool
) -> None:
    rule = ThresholdRule(bound=bound, confidence=0.95, on_interval=on_interval)

    assert 0 <= gain_rate(gain, rule, rows=rows, discordance=discordance) <= 1
    assert 0 <= pass_rate(abs(gain), rule, rows=int(rows)) <= 1


@pytest.mark.parametrize(("rows", "rounded"), [(1, 1), (9, 9), (99, 99), (101, 110), (437, 440)])
def test_rows_are_rounded_up_to_two_digits(rows: int, rounded: int) -> None:
    assert round_up(rows) == rounded


# One of several files leaves: no likelier by luck than a single one would.
ROWS_SEVERAL, LEAST, FILES, CONFIDENCE = 300, 0.85, 4, 0.95


def checked(right: int, confidence: float = CONFIDENCE) -> Check:
    interval = wilson(right, ROWS_SEVERAL, confidence=confidence)
    metric = Metric(name="accuracy", value=right / ROWS_SEVERAL, n=ROWS_SEVERAL, interval=interval)
    return judge(metric, "min", LEAST, decide_on="lower_bound")


def passes(right: int, files: int) -> bool:
    wider = checked(right, corrected_confidence(CONFIDENCE, files))
    return passes_among(checked(right), wider, files).status is Status.PASS


def test_files_at_the_bound_pass_no_more_often_than_one_would() -> None:
    """Each right in the share of the bound, and otherwise than the others in every tenth row."""
    random = np.random.default_rng(5)
    runs = 4000
    shared = random.random((runs, ROWS_SEVERAL)) < LEAST
    counts = []
    for _ in range(FILES):
        own = random.random((runs, ROWS_SEVERAL)) < 0.1
        counts.append(
            np.where(own, random.random((runs, ROWS_SEVERAL)) < LEAST, shared).sum(axis=1)
        )
    limits = [min(n for n in range(ROWS_SEVERAL + 1) if passes(n, files)) for files in (1, FILES)]
    alone, corrected = ((np.max(counts, axis=0) >= limit).mean() for limit in limits)

    assert alone > 0.04  # of the promised 0.025
    assert corrected < 0.025


@pytest.mark.parametrize(("right", "status"), [(268, Status.INCONCLUSIVE), (275, Status.PASS)])
def test_a_check_names_why_more_is_asked_of_it(right: int, status: Status) -> None:
    plain = checked(right)
    found = passes_among(plain, checked(right, corrected_confidence(CONFIDENCE, 3)), 3)

    assert plain.status is Status.PASS
    assert (found.status, found.got, found.interval) == (status, plain.got, plain.interval)
    assert found.note.startswith("one of 3 files leaves: at 98.3 % the lower bound is 0.8")
    assert ("rows would decide" in found.note) is (status is Status.INCONCLUSIVE)


def test_what_is_decided_on_the_value_stays() -> None:
    metric = Metric(name="file_megabytes", value=90.0, n=1)
    check = judge(metric, "max", 100.0, decide_on="point")

    assert passes_among(check, check, 3) == check
