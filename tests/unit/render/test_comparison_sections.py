"""The sections about a teacher, soft targets, synthetic rows and starts: a golden text, and its variants."""

from typing import Any

import pytest

from engine.evidence import Report, StartSummary
from engine.render import markdown
from engine.render.report.page import render_markdown
from engine.render.report.sections import report_sections
from engine.render.report.sections.comparisons import soft_line, teacher_line
from engine.render.report.sections.data import synthetic_lines
from engine.values import replace
from support import reports
from support.golden import Golden

ANCHORS = ("synthetic", "teacher", "soft-targets", "student", "start", "soft-against-answers")


def taught(**changes: Any) -> Report:
    report = reports.taught()
    assert report.teacher is not None
    return replace(report, teacher=replace(report.teacher, **changes))


def test_the_sections_are_the_golden_ones_and_stand_in_no_other_report(golden: Golden) -> None:
    sections = report_sections(taught())

    assert not set(ANCHORS) & set(report_sections(reports.accepted()))
    golden(
        "render/taught.md", "\n\n".join(markdown.section(sections[one]) for one in ANCHORS) + "\n"
    )


def test_a_teacher_that_was_not_asked_says_so() -> None:
    found = taught(is_better=False, asked=0, kept=0, read=0).teacher
    assert found is not None

    assert teacher_line(found) == (
        "teacher larger: no better than a cheap baseline, so it labelled no rows"
    )


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


def test_lines_say_only_what_there_is_to_say() -> None:
    soft, synthetic = reports.taught().soft_targets, reports.taught().synthetic
    assert soft is not None
    assert synthetic is not None
    plain = replace(synthetic, requested=1000, diversity=None, review=None)

    assert soft_line(replace(soft, asked=0)).endswith("none asked now")
    assert any("repeat each other" in line for line in synthetic_lines(synthetic))
    assert len([*synthetic_lines(plain)]) == 1


def test_a_blank_model_has_its_size_and_its_tokenizer() -> None:
    start = StartSummary(
        kind="scratch", parameters=2_755_008, vocabulary=512, bytes_per_token=1.884
    )

    text = render_markdown(replace(reports.accepted(), start=start))

    assert "2.8 M, drawn by seed" in text
    assert "512 tokens" in text
    assert "1.88 of the training text" in text
