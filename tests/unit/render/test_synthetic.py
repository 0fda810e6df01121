"""The section about synthetic rows, in every form; all numbers are made up."""

from engine.evidence import Comparison, Diversity, Interval, Report, ReviewResult, SyntheticResult
from engine.render.report.card import render_card
from engine.render.report.page import (
    read_json,
    render_html,
    render_json,
    render_markdown,
    render_terminal,
)
from engine.render.report.sections.data import synthetic_lines
from engine.values import replace
from support import reports

RESULT = SyntheticResult(
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
    return replace(reports.accepted(), synthetic=RESULT, without_synthetic=(gain,))


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
    lines = [*synthetic_lines(RESULT)]
    plain = [*synthetic_lines(replace(RESULT, requested=1000, diversity=None, review=None))]

    assert "200 rows were not asked for: the budget does not allow them" in lines
    assert any("repeat each other" in line for line in lines)
    assert len(plain) == 1
    assert "45.3%" in plain[0].replace(" %", "%")


def test_a_report_without_synthetic_rows_has_no_such_section() -> None:
    assert "Synthetic rows" not in render_markdown(reports.accepted())
