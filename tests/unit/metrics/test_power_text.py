import re
from typing import Any

import pytest

from engine.metrics.power_text import Discordance, JudgingRows, estimate_power
from engine.recipe.model import Acceptance, MaxDrop, MinGain, Threshold
from engine.values import replace
from support.tasks import task

TASK = task("classification", labels=("a", "b"))
COUNTED = JudgingRows(rows=300, classes={"a": 180, "b": 120})
NOTHING = Acceptance(
    confidence=0.95,
    decide_on="lower_bound",
    metrics=(),
    over_baselines=(),
    max_overfitting_gap=None,
)


def least(metric: str, bound: float) -> Acceptance:
    return replace(NOTHING, metrics=(Threshold(metric=metric, direction="min", bound=bound),))


def most(metric: str, bound: float) -> Acceptance:
    return replace(NOTHING, metrics=(Threshold(metric=metric, direction="max", bound=bound),))


def gaining(metric: str, gain: float) -> Acceptance:
    return replace(NOTHING, over_baselines=(MinGain(metric=metric, min_gain=gain),))


def power_lines(
    acceptance: Acceptance, judges: JudgingRows = COUNTED, **changes: Any
) -> tuple[str, ...]:
    return estimate_power(acceptance, TASK, judges, **changes).lines


def test_a_threshold_says_which_model_passes_and_how_many_rows_would_do() -> None:
    [line] = power_lines(least("accuracy", 0.8))

    assert line == (
        "accuracy `min 0.80 (lower bound)` on 300 holdout rows: power 0.80 at a true accuracy of 0.862, "
        "0.60 at 0.85; 490 holdout rows give power 0.80."
    )


def test_a_maximum_is_described_from_its_own_side() -> None:
    [line] = power_lines(most("abstention", 0.1))

    assert line.startswith("abstention `max 0.10 (upper bound)` on 300 holdout rows")
    assert "power 0.80 at a true abstention of 0.054" in line


def test_on_the_point_a_model_that_is_not_good_enough_is_described() -> None:
    [line] = power_lines(replace(least("accuracy", 0.8), decide_on="point"))

    assert "0.778, which is not good enough, still passes with 0.20" in line


def test_a_bound_that_no_model_reaches_is_reported() -> None:
    [line] = power_lines(least("valid_output", 0.97), JudgingRows(rows=60))

    assert line == (
        "valid_output `min 0.97 (lower bound)` on 60 holdout rows: power below 0.80 at every true value; "
        "870 holdout rows give power 0.80 at 0.985."
    )


def test_a_class_with_few_rows_cannot_pass() -> None:
    [line] = power_lines(least("f1.b", 0.7), JudgingRows(rows=300, classes={"a": 288, "b": 12}))

    assert line == (
        "`b` has 12 of 300 holdout rows; about 750 holdout rows would bring it to 30, and with "
        "fewer f1.b cannot pass, only fail or stay undecided."
    )


def test_a_class_that_will_have_few_rows_cannot_pass() -> None:
    [line, *_] = power_lines(least("recall.b", 0.7), JudgingRows(rows=50))

    assert line.startswith("`b` has about 25 of 50 holdout rows; about 60 holdout rows")


@pytest.mark.parametrize("metric", ["macro_f1", "f1.b", "macro_recall"])
def test_what_cannot_be_computed_is_reported(metric: str) -> None:
    [line, *_] = power_lines(least(metric, 0.7), JudgingRows(rows=60, classes={"a": 60, "b": 0}))

    assert line == (
        f"{metric} cannot be computed: none of 60 holdout rows is of `b`, so it cannot pass."
    )


def test_balanced_accuracy_is_of_the_classes_that_have_rows() -> None:
    """The plan had it fail for want of a class, and the gate passed it."""
    judges = JudgingRows(rows=60, classes={"a": 60, "b": 0})
    [line, *_] = power_lines(least("balanced_accuracy", 0.7), judges)

    assert line.startswith(
        "balanced_accuracy `min 0.70 (lower bound)` on 60 holdout rows: power 0.80 at a true"
    )


@pytest.mark.parametrize("metric", ["mcc", "brier", "ece"])
def test_what_cannot_be_predicted_is_not_guessed(metric: str) -> None:
    [line] = power_lines(least(metric, 0.5))

    assert line == f"How many rows `{metric}` takes is known once there are answers."


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("text", "bits_per_byte"), ("chat", "perplexity"), ("preference", "preference_margin")],
)
def test_a_difference_of_what_is_no_share_is_not_guessed(kind: str, metric: str) -> None:
    """It was counted as rows that one of two models gets right."""
    acceptance = replace(
        least(metric, 0.5),
        over_baselines=(MinGain(metric=metric, min_gain=0.03),),
        over_previous=(MaxDrop(metric=metric, max_drop=0.01),),
    )

    found = estimate_power(acceptance, task(kind), JudgingRows(rows=300))

    assert found.lines == (f"How many rows `{metric}` takes is known once there are answers.",)
    assert [one.power for one in found.estimates] == [None]


def test_a_gain_says_what_is_missed_what_is_found_and_what_it_stands_on() -> None:
    gain, given = power_lines(gaining("accuracy", 0.05))

    assert gain == (
        "accuracy `min_gain 0.05` over a baseline on 300 holdout rows: power 0.80 at a true gain of 0.121, "
        "0.20 at 0.079; 610 holdout rows give power 0.80 at 0.10."
    )
    assert given == (
        "Estimates, where only one of model and best baseline is right on 20 of 100 rows (a guess) and the other"
        " baselines are clearly worse."
    )


def test_a_measured_discordance_takes_the_place_of_the_guess() -> None:
    found = Discordance(share=0.08, source="measured")
    *_, given = power_lines(gaining("accuracy", 0.05), discordance=found)

    assert "is right on 8 of 100 rows (measured)" in given


def test_a_gain_over_nothing_is_not_predicted() -> None:
    assert power_lines(gaining("accuracy", 0.05), has_baselines=False) == ()


def test_a_model_as_good_as_the_previous_one_may_well_be_undecided() -> None:
    previous = replace(NOTHING, over_previous=(MaxDrop(metric="accuracy", max_drop=0.01),))

    line, _ = power_lines(previous)

    assert line == (
        "accuracy `max_drop 0.01` on 300 holdout rows: power 0.07 for a model as good as the previous one; "
        "7,900 holdout rows give power 0.80."
    )


def test_uneven_classes_ask_more_of_a_macro_average() -> None:
    def passing(judges: JudgingRows) -> float:
        found = re.search(
            r"a true macro_f1 of ([0-9.]+)", power_lines(least("macro_f1", 0.8), judges)[0]
        )
        assert found is not None
        return float(found[1])

    assert passing(COUNTED) < passing(JudgingRows(rows=300, classes={"a": 270, "b": 30}))


def test_groups_count_by_their_number_and_more_groups_are_proposed() -> None:
    """They counted as their rows, so that five groups were promised what no model reaches on them."""
    groups = replace(COUNTED, group_sizes=((7, 40), (20, 1)))
    line, given = power_lines(least("accuracy", 0.8), groups)

    assert line == (
        "accuracy `min 0.80 (lower bound)` on 300 holdout rows in 41 groups: power 0.80 at a true accuracy of 0.958, "
        "0.07 at 0.85; 560 holdout groups give power 0.80."
    )
    assert "(300 holdout rows in 41 groups count as 36 independent ones)" in given


@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        (((14, 5),), 0.541),  # five equal groups: 0.025 ** (1 / 6)
        (((2, 1), (5, 2), (10, 1), (100, 1)), 0.207),
    ],
)
def test_a_bound_that_no_model_keeps_on_so_few_groups_is_found(
    sizes: tuple[tuple[int, int], ...], most: float
) -> None:
    rows = sum(size * count for size, count in sizes)

    def is_found(bound: float, sizes: tuple[tuple[int, int], ...], **changes: Any) -> bool:
        acceptance = replace(least("macro_f1", bound), **changes)
        judges = JudgingRows(rows=rows, group_sizes=sizes)
        return estimate_power(acceptance, TASK, judges).estimates[0].is_out_of_reach

    assert is_found(0.8, sizes)
    # as many rows as the groups count are a whole number, so near the bound it errs by one
    assert not is_found(most - 0.1, sizes)
    assert not is_found(0.8, sizes, decide_on="point")
    assert not is_found(0.8, ())


@pytest.mark.parametrize(
    ("kind", "metric", "expected"),
    [
        ("multilabel", "macro_f1", "a true macro_f1 of "),
        ("multilabel", "hamming_loss", "scatter as far as they can"),
        ("generation", "rouge_l", "scores of rows scatter as far as they can"),
        ("generation", "numeric_match", "a true numeric_match of "),
        ("extraction", "field_f1", "scores of rows scatter as far as they can"),
        ("extraction", "schema_validity", "a true schema_validity of "),
        ("chat", "bits_per_byte", "is known once there are answers"),
    ],
)
def test_every_kind_has_power_lines(kind: str, metric: str, expected: str) -> None:
    labels = ("a", "b") if kind == "multilabel" else ()
    bound = most if metric in ("hamming_loss", "bits_per_byte") else least

    lines = estimate_power(
        bound(metric, 0.5), task(kind, labels=labels), JudgingRows(rows=300)
    ).lines

    assert expected in " ".join(lines)
