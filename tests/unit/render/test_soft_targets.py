"""The sections about soft targets; all numbers are made up."""

from engine.evidence import (
    Comparison,
    Interval,
    LearnedTargets,
    Report,
    SoftAgainstAnswers,
    SoftTargetsResult,
)
from engine.render.report.card import render_card
from engine.render.report.page import read_json, render_html, render_json, render_markdown
from engine.render.report.sections.comparisons import soft_line
from engine.values import replace
from support import reports

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


def test_reports_without_soft_targets_say_nothing_of_them() -> None:
    assert "oft targets" not in render_markdown(reports.accepted())


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = softly()

    assert read_json(render_json(report)) == report
