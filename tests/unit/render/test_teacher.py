"""The sections about a teacher and its student, in every form; all numbers are made up."""

from typing import Any

import pytest

from engine.evidence import (
    Comparison,
    Interval,
    KeptAtConfidence,
    Report,
    StudentAgainstTeacher,
    TeacherResult,
)
from engine.render.report.card import render_card
from engine.render.report.page import (
    read_json,
    render_html,
    render_json,
    render_markdown,
    render_terminal,
)
from engine.render.report.sections.comparisons import teacher_line
from engine.values import replace
from support import reports


def taught(**changes: Any) -> Report:
    report = reports.accepted()
    teacher = TeacherResult(
        name="larger",
        note="another model, no shots, constrained to the labels",
        metric="macro_f1",
        validation=report.validation_scores,
        baselines={"tfidf_svm": 0.71, "few_shot": None},
        is_better=True,
        read=1000,
        left_out={"near the holdout": 12, "duplicate": 3},
        asked=985,
        refused={"below the confidence": 185},
        kept=800,
        labels={"positive": 500, "negative": 300},
        min_confidence=0.8,
        confidence=(KeptAtConfidence(confidence=0.8, kept=0.75, right=0.94),),
        holdout=report.holdout,
        parameters=135_000_000,
        rows_per_second=20.0,
        cost=1.25,
        seconds=61.0,
    )
    against = StudentAgainstTeacher(
        comparisons=(
            Comparison(
                name="larger", metric="macro_f1", difference=-0.021,
                interval=Interval(low=-0.045, high=0.003, confidence=0.95, method="paired bootstrap"),
                p_value=0.08, p_adjusted=0.08, test="paired permutation test", n=400,
            ),
        ),
        both_right=350, only_teacher_right=20, only_student_right=11, neither_right=19,
        parameters=63_700_000, teacher_parameters=135_000_000,
        rows_per_second=60.0, teacher_rows_per_second=20.0,
    )  # fmt: skip
    return replace(report, teacher=replace(teacher, **changes), against_teacher=against)


def test_every_row_is_shown_by_what_became_of_it() -> None:
    text = render_markdown(taught())

    assert "## Teacher" in text
    assert "| near the holdout | 12 |" in text
    assert "| answer below the confidence | 185 |" in text
    assert "| kept | 800 |" in text
    assert "labels kept: positive 500, negative 300" in text
    assert "| `tfidf_svm` | 0.710 |" in text
    assert "| at least 0.800 | 75% | 94% |" in text.replace(" %", "%")
    assert "1.2500" in text


def test_the_student_stands_beside_its_teacher() -> None:
    text = render_markdown(taught())

    assert "## Student against teacher" in text
    assert "| only the teacher right | 20 |" in text
    assert "0.47 times" in text
    assert "3.00 times" in text
    assert "0.045, +0.003] |" in text


def test_page_terminal_and_card_show_both_and_json_reads_back() -> None:
    report = taught()

    for shown in (render_html(report), render_terminal(report, width=100, colour=False)):
        assert "Student against teacher" in shown
    assert "teacher larger: 800 of 985 answers kept" in render_card(report).replace(
        "Teacher", "teacher"
    )
    assert read_json(render_json(report)) == report


def test_a_teacher_that_was_not_asked_says_so_and_a_report_without_one_shows_nothing() -> None:
    found = taught(is_better=False, asked=0, kept=0, read=0).teacher
    assert found is not None

    assert teacher_line(found) == (
        "teacher larger: no better than a cheap baseline, so it labelled no rows"
    )
    assert "Teacher" not in render_markdown(reports.accepted())


@pytest.mark.parametrize(
    ("asked", "trained", "expected"),
    [
        (0, False, "it labelled no rows, and nothing was trained."),
        (985, False, "No model was trained on it in this run."),
        (985, True, "learned as faithfully as what it gets right.\n"),
    ],
)
def test_a_student_is_called_trained_only_where_one_was(
    asked: int, trained: bool, expected: str
) -> None:
    report = taught(is_better=bool(asked), asked=asked)
    if not trained:
        report = replace(report, training=None)

    lead = render_markdown(report).partition("## Teacher\n\n")[2].partition("\n\n")[0]

    assert expected in f"{lead}\n"
    assert "was trained on its answers" not in lead
