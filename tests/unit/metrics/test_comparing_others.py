"""The student against its teacher: what it may lose, and what it has to save."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence import Status, StudentAgainstTeacher, TeacherResult
from engine.metrics.comparing import (
    WITHOUT,
    against_teacher,
    compare_with,
    holm,
    judge_against_teacher,
    judge_without_synthetic,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import score
from engine.recipe.model import Acceptance, AgainstTeacher, MaxDrop, MinGain
from engine.values import replace
from support.tasks import task

Answers = Callable[[Mapping[str, str]], list[Prediction]]
TASK = task("classification", labels=("a", "b"))
JUDGING = Judging(task=TASK, confidence=0.95, seed=7)
TEACHER = {"a": "a" * 97 + "b" * 3, "b": "b" * 97 + "a" * 3}
NEAR = {"a": "a" * 96 + "b" * 4, "b": "b" * 96 + "a" * 4}
FAR = {"a": "a" * 80 + "b" * 20, "b": "b" * 80 + "a" * 20}


def bounds(drop: float | None = None, **ratios: float) -> Acceptance:
    drops = () if drop is None else (MaxDrop(metric="accuracy", max_drop=drop),)
    taught = AgainstTeacher(
        drops=drops, max_parameters=ratios.get("size"), min_speed=ratios.get("speed")
    )
    return Acceptance(
        confidence=0.95,
        decide_on="lower_bound",
        metrics=(),
        over_baselines=(),
        max_overfitting_gap=None,
        against_teacher=taught,
    )


def bounds_of_nothing() -> Acceptance:
    return replace(bounds(), against_teacher=None)


def beside(
    student: list[Prediction], teacher: list[Prediction], acceptance: Acceptance, **facts: Any
) -> StudentAgainstTeacher:
    drops = acceptance.against_teacher.drops if acceptance.against_teacher else ()
    metrics = [drop.metric for drop in drops] or [JUDGING.main]
    compared = compare_with("larger", student, teacher, JUDGING, metrics)
    result = TeacherResult(
        name="larger", note="", metric="macro_f1", validation=None, baselines={}, is_better=True,
        parameters=facts.get("of_teacher"), rows_per_second=facts.get("its_speed"),
    )  # fmt: skip
    return against_teacher(
        student, teacher, compared, teacher=result, parameters=50, rows_per_second=30.0
    )


@pytest.mark.parametrize(
    ("student", "status"), [(NEAR, Status.PASS), (TEACHER, Status.PASS), (FAR, Status.FAIL)]
)
def test_a_student_may_lose_so_much_by_the_worse_end_of_the_interval(
    answers: Answers, student: Mapping[str, str], status: Status
) -> None:
    acceptance = bounds(0.05)
    found = beside(answers(student), answers(TEACHER), acceptance)
    (check,) = judge_against_teacher(found, acceptance, rows=200)

    assert (check.name, check.direction, check.bound) == ("against_teacher.accuracy", "max", 0.05)
    assert check.status is status
    assert check.kind == "against_teacher"
    assert "`larger`" in check.note


def test_a_drop_within_the_bound_that_the_rows_cannot_tell_is_not_decided(
    answers: Answers,
) -> None:
    acceptance = bounds(0.012)
    found = beside(answers(NEAR), answers(TEACHER), acceptance)
    (check,) = judge_against_teacher(found, acceptance, rows=200)

    assert check.got == pytest.approx(0.01)
    assert check.status is Status.INCONCLUSIVE


def test_size_and_speed_are_bounded_as_ratios(answers: Answers) -> None:
    acceptance = bounds(size=0.6, speed=1.5)
    same = answers(TEACHER)
    small = beside(same, same, acceptance, of_teacher=100, its_speed=15.0)
    large = beside(same, same, acceptance, of_teacher=60, its_speed=25.0)

    found = judge_against_teacher(small, acceptance, rows=200)
    assert [(one.name, one.got, one.status) for one in found] == [
        ("teacher_ratio.parameters", 0.5, Status.PASS),
        ("teacher_ratio.rows_per_second", 2.0, Status.PASS),
    ]
    assert {one.status for one in judge_against_teacher(large, acceptance, rows=200)} == {
        Status.FAIL
    }


def test_what_was_not_measured_passes_no_bound(answers: Answers) -> None:
    acceptance = bounds(size=9.0)
    found = beside(answers(TEACHER), answers(TEACHER), acceptance)
    (check,) = judge_against_teacher(found, acceptance, rows=200)

    assert (check.got, check.status) == (None, Status.FAIL)


def test_rows_are_counted_by_who_is_right_and_nothing_is_judged_without_bounds(
    answers: Answers,
) -> None:
    found = beside(answers(FAR), answers(TEACHER), bounds())

    counts = (found.both_right, found.only_teacher_right, found.only_student_right)
    assert (*counts, found.neither_right) == (160, 34, 0, 6)
    assert [one.metric for one in found.comparisons] == ["macro_f1"]
    assert judge_against_teacher(found, bounds(), rows=200) == ()
    assert judge_against_teacher(None, bounds_of_nothing(), rows=200) == ()


def test_a_comparison_that_is_missing_fails_each_of_its_bounds() -> None:
    """Without it there was no check, and a bundle that left both out was one of a model that kept its bounds."""
    checks = judge_against_teacher(None, bounds(0.1, size=0.5, speed=2.0), rows=200)

    assert [(one.kind, one.got, one.status) for one in checks] == [
        ("against_teacher", None, Status.FAIL),
        ("teacher_ratio", None, Status.FAIL),
        ("teacher_ratio", None, Status.FAIL),
    ]


@pytest.mark.parametrize(
    ("kind", "target", "given"),
    [("extraction", '{"x":1}', '{"x":1.0}'), ("generation", "a", "b"), ("generation", "a ", "a")],
)
def test_who_is_right_is_counted_as_exact_match_counts_it(
    kind: str, target: str, given: str
) -> None:
    """A student with an exact match of 1.0 stood there as right on no row."""
    rows = [
        Prediction(
            id=f"{number:016x}", target=target, label=given, text=given, probability=None,
            references=(target, "b") if kind == "generation" else (),
        )
        for number in range(4)
    ]  # fmt: skip
    judging = replace(JUDGING, task=task(kind))
    result = TeacherResult(
        name="larger", note="", metric="exact_match", validation=None, baselines={}, is_better=True
    )

    found = against_teacher(rows, rows, (), teacher=result, parameters=50, rows_per_second=None)

    assert score(rows, judging).metric("exact_match").value == 1.0
    assert (found.both_right, found.neither_right) == (4, 0)


# The tuned model against the same training without the synthetic rows.
JUDGING_WITHOUT_SYNTHETIC = Judging(
    task=task("classification", labels=("a", "b")), confidence=0.95, seed=7
)


def acceptance(gain: float | None) -> Acceptance:
    gains = () if gain is None else (MinGain(metric="accuracy", min_gain=gain),)
    return Acceptance(
        confidence=0.95,
        decide_on="lower_bound",
        metrics=(),
        over_baselines=(),
        max_overfitting_gap=None,
        over_without_synthetic=gains,
    )


def answered(right: int, of: int = 200) -> list[Prediction]:
    return [
        Prediction(id=str(n), target="a" if n % 2 else "b", text="", probability=None, label=label)
        for n in range(of)
        for label in [("a" if n % 2 else "b") if n < right else ("b" if n % 2 else "a")]
    ]


def status(gain: float, *, tuned: int, without: int) -> Status:
    bounds = acceptance(gain)
    models = answered(tuned), answered(without)
    compared = compare_with(WITHOUT, *models, JUDGING_WITHOUT_SYNTHETIC, ["accuracy"])
    (check,) = judge_without_synthetic(compared, bounds)
    assert check.name == "over_without_synthetic.accuracy"
    return check.status


def test_rows_that_help_pass_and_others_do_not() -> None:
    assert status(0.0, tuned=190, without=150) is Status.PASS
    assert status(0.0, tuned=150, without=190) is Status.FAIL
    assert status(0.3, tuned=190, without=150) is Status.FAIL
    assert status(0.0, tuned=151, without=150) is Status.INCONCLUSIVE


def test_nothing_is_judged_without_a_bound_and_nothing_passes_without_numbers() -> None:
    assert judge_without_synthetic((), acceptance(None)) == ()
    (check,) = judge_without_synthetic((), acceptance(0.0))
    assert check.status is not Status.PASS


@given(st.lists(st.floats(0, 1), max_size=12))
def test_it_is_statsmodels_formula(p_values: list[float]) -> None:
    """As `multipletests(method="holm")`: a running maximum over the sorted ones, cut at 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = [p_values[place] * (len(order) - rank) for rank, place in enumerate(order)]
    expected = {place: min(1, max(scaled[: rank + 1])) for rank, place in enumerate(order)}

    found = holm(p_values)

    assert pytest.approx([expected[place] for place in range(len(p_values))]) == list(found)
    assert all(adjusted >= p for adjusted, p in zip(found, p_values, strict=True))
