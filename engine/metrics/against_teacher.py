"""The student against its teacher on the same rows: what it may lose, and what it has to save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.evidence import Check, Comparison, Metric, StudentAgainstTeacher, TeacherResult
from engine.metrics.comparing import comparisons_with, corrected, judge_difference
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.verdict import judge
from engine.recipe.model import Acceptance, Direction

NAME = "against_teacher"
RATIO = "teacher_ratio"


def compare_with_teacher(
    student: Sequence[Prediction],
    answers: Sequence[Prediction],
    judging: Judging,
    *,
    acceptance: Acceptance,
    name: str,
) -> tuple[Comparison, ...]:
    """Compare on every bounded metric, else on the main one."""
    from engine.metrics.resampling import pair  # brings numpy

    bounds = acceptance.against_teacher
    metrics = [drop.metric for drop in bounds.drops] if bounds else []
    models = pair(student, answers, judging)
    return corrected(comparisons_with(name, models, metrics or [judging.main]))


def against_teacher(
    student: Sequence[Prediction],
    answers: Sequence[Prediction],
    comparisons: tuple[Comparison, ...],
    *,
    teacher: TeacherResult,
    parameters: int,
    rows_per_second: float | None,
) -> StudentAgainstTeacher:
    its = {row.id: is_right(row) for row in answers}
    pairs = [(is_right(row), its[row.id]) for row in student]
    return StudentAgainstTeacher(
        comparisons=comparisons,
        both_right=pairs.count((True, True)),
        only_teacher_right=pairs.count((False, True)),
        only_student_right=pairs.count((True, False)),
        neither_right=pairs.count((False, False)),
        parameters=parameters,
        teacher_parameters=teacher.parameters,
        rows_per_second=rows_per_second,
        teacher_rows_per_second=teacher.rows_per_second,
    )


def judge_against_teacher(
    found: StudentAgainstTeacher | None, acceptance: Acceptance, *, rows: int
) -> tuple[Check, ...]:
    """Judge every bound of `acceptance.against_teacher`; nothing where the recipe has none. What is missing fails."""
    drops = judge_teacher_drops(found.comparisons if found else (), acceptance)
    return (*drops, *judge_ratios(found, acceptance, rows=rows))


def judge_teacher_drops(
    comparisons: Sequence[Comparison], acceptance: Acceptance
) -> Iterator[Check]:
    compared = {one.metric: one for one in comparisons}
    for drop in acceptance.against_teacher.drops if acceptance.against_teacher else ():
        comparison = compared.get(drop.metric)
        against = f"`{comparison.name}`" if comparison else ""
        yield judge_difference(drop, comparison, against, acceptance, name=NAME)


def judge_ratios(
    found: StudentAgainstTeacher | None, acceptance: Acceptance, *, rows: int
) -> Iterator[Check]:
    bounds, missing = acceptance.against_teacher, "not measured"
    if bounds is None:
        return
    size, speed = (found.size_ratio, found.speed_ratio) if found else (None, None)
    ratios: tuple[tuple[str, float | None, Direction, float | None], ...] = (
        ("parameters", size, "max", bounds.max_parameters),
        ("rows_per_second", speed, "min", bounds.min_speed),
    )
    for name, value, direction, bound in ratios:
        if bound is not None:
            undefined = "" if value is not None else missing
            metric = Metric(name=f"{RATIO}.{name}", value=value, n=rows, undefined=undefined)
            yield judge(metric, direction, bound, decide_on="point")
