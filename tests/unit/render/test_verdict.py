"""The first card of a report: whether it can be shipped, in a sentence that is true of what happened."""

from collections.abc import Callable

import pytest

from engine.evidence import Mistake, Report
from engine.render.blocks import Facts
from engine.render.report.outcome import top
from engine.render.report.page import render_html, render_markdown
from engine.values import replace
from support import reports
from unit.render.test_pages import Page


def figure(report: Report, name: str) -> str:
    """A figure of the card, with what belongs to it."""
    figures = top(report).checks[-1]
    assert isinstance(figures, Facts)
    return next(str(value) for title, value in figures.rows if title.startswith(name))


def share(report: Report, name: str) -> int:
    assert report.quantized is not None
    return round(100 * (report.quantized.metric(name).value or 0))


def best(report: Report, name: str) -> int:
    values = (one.scores.metric(name).value or 0 for one in report.baselines)
    return round(100 * max(values))


def test_an_accepted_file_is_counted_in_rows_of_a_hundred_with_the_best_cheaper_way() -> None:
    report = reports.accepted()
    right, other = share(report, "accuracy"), best(report, "accuracy")

    assert top(report).answer == (
        f"You can ship it: of 100 unseen texts it answers {right} right; "
        f"the best cheaper way, `tfidf_svm`, gets {other}."
    )
    assert str(report.quantized and f"{report.quantized.metric('macro_f1').value:.3f}") in figure(
        report, "macro_f1"
    )
    assert figure(report, "file") == "105 MB, model-Q4_K_M.gguf"


@pytest.mark.parametrize(
    ("make", "begin"),
    [
        (reports.refused, "Do not ship it: of 100 unseen texts it answers"),
        (reports.multilabel, "Do not ship it yet: of 100 unseen texts it answers"),
        (reports.baseline_passes, "You can ship `tfidf_svm`, without training: of 100"),
        (reports.failed, "There is nothing to ship."),
        (reports.chat, "You can ship it: on unseen texts it gets 0.796 bits per byte (lower"),
    ],
)
def test_each_verdict_begins_with_what_to_do(make: Callable[[], Report], begin: str) -> None:
    assert top(make()).answer.startswith(begin)


@pytest.mark.parametrize("outcome", ["teacher_no_better", "not_reviewed", "nothing_added"])
def test_without_a_training_there_is_nothing_to_ship(outcome: str) -> None:
    report = replace(reports.failed(), outcome=outcome)

    assert top(report).answer == "There is nothing to ship."


@pytest.mark.parametrize(
    ("value", "rows", "count"),
    [
        (0.999, 1000, "of 100 unseen texts it answers 99 right"),
        (0.001, 1000, "of 100 unseen texts it answers 1 right"),
        (1.0, 1000, "of 100 unseen texts it answers 100 right"),
        (20 / 30, 30, "of 30 unseen texts it answers 20 right"),
    ],
)
def test_all_and_none_are_written_only_where_it_is_so(value: float, rows: int, count: str) -> None:
    report = reports.accepted()
    assert report.quantized is not None
    metrics = tuple(
        replace(one, value=value, n=rows) if one.name == "accuracy" else one
        for one in report.quantized.metrics
    )
    scores = replace(report.quantized, metrics=metrics)

    assert count in top(replace(report, quantized=scores)).answer


def test_a_served_model_is_not_called_cheaper() -> None:
    report = reports.accepted()
    first, *others = report.baselines
    scores = replace(first.scores, metrics=report.quantized.metrics)  # type: ignore[union-attr]
    served = replace(first, name="model", scores=scores)

    answer = top(replace(report, baselines=(served, *others))).answer

    assert "the best other way, `model`, gets" in answer


def wrong(count: int) -> tuple[Mistake, ...]:
    return tuple(
        Mistake(
            id=f"{at:016x}",
            origin=f"rows.csv:{at}",
            text="a text",
            expected="negative",
            answer="positive",
            confidence=0.9,
        )
        for at in range(count)
    )


def test_the_page_counts_the_wrong_rows_that_it_does_not_show() -> None:
    report = replace(reports.accepted(), mistakes=wrong(5))
    assert report.validation_scores is not None
    right = report.validation_scores.metric("accuracy").value
    rows = report.validation_scores.rows
    all_wrong = round(rows * (1 - (right or 0)))

    for text in (render_html(report), render_markdown(report)):
        assert f"{all_wrong} of {rows} validation rows are answered wrongly" in text
        assert f"{all_wrong - 5} more are not shown" in text
    page = Page(render_html(report))
    assert page.text.count("a text") == 5
    main = page.text.partition("Accepted")[2]
    assert main.index("Mistakes") < main.index("Acceptance")
