"""The sections about a teacher and its student, in every form; all numbers are made up."""

from typing import Any

import pytest

from engine.evidence import (
    Comparison,
    Diversity,
    Interval,
    KeptAtConfidence,
    LearnedTargets,
    Report,
    ReviewResult,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StartSummary,
    StudentAgainstTeacher,
    SyntheticResult,
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
from engine.render.report.sections.comparisons import soft_line, teacher_line
from engine.render.report.sections.data import synthetic_lines
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


# The sections about soft targets; all numbers are made up.
RESULT = SoftTargetsResult(
    rows=1200,
    tokens=3600,
    kept_tokens=32,
    probability=0.987,
    agreement=0.91,
    asked=1000,
    seconds=42.0,
)


def softly(*, difference: float = 0.02, low: float = -0.01, asked: int = 1000) -> Report:
    report = reports.accepted()
    assert report.training is not None
    assert report.holdout is not None
    compared = Comparison(
        name="answers",
        metric="macro_f1",
        difference=difference,
        interval=Interval(
            low=low, high=0.05, confidence=0.95, method="percentile bootstrap, 2000, paired"
        ),
        p_value=0.2,
        p_adjusted=0.2,
        test="exact McNemar",
        n=40,
    )
    learned = LearnedTargets(first=1.25, last=0.21)
    return replace(
        report,
        training=replace(report.training, soft_targets=learned),
        soft_targets=replace(RESULT, asked=asked),
        soft_against_answers=SoftAgainstAnswers(answers=report.holdout, comparisons=(compared,)),
    )


def test_the_report_says_what_was_asked_and_how_near_the_student_came() -> None:
    text = render_markdown(softly())

    assert "1200 different ones, 3600 learned tokens" in text
    assert "the 32 most probable tokens at each, with 98.7 % of the probability" in text
    assert "1000 rows when this was made, 42.0 s; 200 had been asked before" in text
    assert "1.25 nats a token at the first step, 0.21 in the last epoch" in text


def test_soft_targets_and_answers_stand_beside_each_other_without_a_winner() -> None:
    for report in (softly(), softly(difference=-0.04, low=-0.08)):
        text = render_markdown(report)
        section = text.split("Soft targets and answers")[1].split("\n## ")[0]

        assert "another task or seed may turn it round" in section
        assert not [word for word in ("winner", "wins", "should use") if word in section]
    assert "+0.020" in render_markdown(softly())
    assert "0.040 [" in render_markdown(softly(difference=-0.04, low=-0.08))


def test_the_card_and_the_page_have_the_lines() -> None:
    report = softly()

    assert "oft targets against answers alone: macro" in render_card(report)
    assert "oft targets of 3600 tokens in 1200 rows, 1000 asked now" in render_card(report)
    assert "Soft targets and answers" in render_html(report)
    assert soft_line(replace(RESULT, asked=0)).endswith("none asked now")


# The section about synthetic rows, in every form; all numbers are made up.
RESULT_SYNTHETIC = SyntheticResult(
    name="writer",
    note="`qwen` at http://localhost:8000/v1, no shots",
    judge="judge",
    requested=1200,
    asked=1000,
    refused={
        "another answer when asked again": 150,
        "too near a row that judges": 20,
        "not asked: the budget": 200,
        "wrong by the review": 2,
    },
    kept=828,
    labels={"positive": 428, "negative": 400},
    train=1000,
    votes=3000,
    agreed=2700,
    diversity=Diversity(
        rows=300, distinct=0.41, real_distinct=0.93, nearest=0.66, real_nearest=0.31
    ),
    digest="ab" * 32,
    review=ReviewResult(
        file="look.csv", is_there=True, drawn=60, reviewed=60, wrong=2, wrong_high=0.1007
    ),
    cost=1.25,
    seconds=300.0,
)


def written() -> Report:
    gain = Comparison(
        name="without synthetic rows",
        metric="macro_f1",
        difference=0.031,
        interval=Interval(low=0.004, high=0.058, confidence=0.95, method="bootstrap"),
        p_value=0.02,
        p_adjusted=0.02,
        test="permutation",
        n=300,
        note="",
    )
    return replace(reports.accepted(), synthetic=RESULT_SYNTHETIC, without_synthetic=(gain,))


def test_every_form_says_what_became_of_the_rows() -> None:
    report = written()

    for text in (
        render_markdown(report),
        render_html(report),
        render_terminal(report, width=100, colour=False),
    ):
        for part in ("too near a row that judges", "wrong by the review", "without them", "10.1"):
            assert part in text
    card = render_card(report)
    assert "828 of 1000 rows that writer wrote are kept" in card
    assert "60 synthetic rows reviewed, 2 wrong" in card
    assert read_json(render_json(report)) == report


def test_what_speaks_against_the_rows_stands_in_lines_of_its_own() -> None:
    lines = [*synthetic_lines(RESULT_SYNTHETIC)]
    plain = [
        *synthetic_lines(replace(RESULT_SYNTHETIC, requested=1000, diversity=None, review=None))
    ]

    assert "200 rows were not asked for: the budget does not allow them" in lines
    assert any("repeat each other" in line for line in lines)
    assert len(plain) == 1
    assert "45.3%" in plain[0].replace(" %", "%")


# Where the model came from stands in the report only where it was made for the run.
TITLE = "Where the model came from"


def test_the_layers_that_are_left_are_named_with_their_share() -> None:
    start = StartSummary(
        kind="fewer_layers",
        parameters=63_700_000,
        parameters_before=134_500_000,
        kept=(0, 3, 6),
        of=9,
    )

    text = render_markdown(replace(reports.accepted(), start=start))

    assert TITLE in text
    assert "3 of 9: 0, 3, 6" in text
    assert "63.7 M of 134.5 M (47 %)" in text


def test_a_blank_model_has_its_size_and_its_tokenizer() -> None:
    start = StartSummary(
        kind="scratch", parameters=2_755_008, vocabulary=512, bytes_per_token=1.884
    )

    text = render_markdown(replace(reports.accepted(), start=start))

    assert "2.8 M, drawn by seed" in text
    assert "512 tokens" in text
    assert "1.88 of the training text" in text
