"""Learning curves and folds in every format: shown where there are some, and nothing where there are none."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.evidence import (
    Interval,
    LearningCurve,
    Metric,
    Report,
    Status,
    SweepResult,
    SweepSetting,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.sweeping import ShareResult, learning_curve
from engine.render import blocks
from engine.render.blocks import Table
from engine.render.report.card import render_card
from engine.render.report.page import closing_block, render_html, render_markdown
from engine.render.report.sections import report_sections
from engine.render.report.sections.trials import learning, sweep_lines, sweep_sentences
from engine.values import replace
from support import reports
from support.tasks import task

LABELS = ("<b>", "bug")
SHARES = ((0.25, 30), (0.5, 60), (1.0, 90))
Render = Callable[[Report], str]


def predictions(right: int) -> list[Prediction]:
    """Of 100 rows of each label, as many right as asked."""
    return [
        Prediction(
            id=f"{target}{row}",
            target=target,
            label=target if row < right else LABELS[1 - LABELS.index(target)],
            text="",
            probability=None,
        )
        for target in LABELS
        for row in range(100)
    ]


@pytest.fixture
def report() -> Report:
    """An accepted run with a curve of each model and with folds."""
    judged = [
        ShareResult(share=share, rows=int(100 * share), predictions=predictions(right))
        for share, right in SHARES
    ]
    svm, tuned = (
        learning_curve(
            model,
            judged,
            Judging(task=task("classification", labels=LABELS), confidence=0.95, seed=7),
            judged_on="validation",
        )
        for model in ("tfidf_svm", "tuned")
    )
    folds = tuned.points[-1].scores
    return replace(reports.accepted(), learning_curves=(svm, tuned), folds=folds)


def test_the_table_of_a_curve_holds_every_class_and_the_last_gain(report: Report) -> None:
    shown = next(block for block in learning(report) if isinstance(block, Table))

    assert [column.name for column in shown.columns] == [
        "F1 of",
        "25%: 25 rows",
        "50%: 50 rows",
        "100%: 100 rows",
        "last gain",
    ]
    # 30, 60 and 90 of 100 right in both classes: F1 is the same share
    assert [row.cells for row in shown.rows] == [
        (name, "0.300", "0.600", "0.900", "+0.300") for name in ("macro average", *LABELS)
    ]


def test_the_last_lines_of_a_run_name_the_tuned_models_curve_alone(report: Report) -> None:
    text = " ".join(closing_block(report, colour=False).split())

    assert "learning curve: the tuned model still gains: +0.300 macro-F1" in text
    assert "the SVM" not in text
    assert "cross-validation: macro-F1 0.900" in text
    assert "on 200 rows" in text
    hint = replace(report, learning_curves=report.learning_curves[:1], folds=None)
    assert "the SVM still gains" in " ".join(closing_block(hint, colour=False).split())


def test_rows_that_were_decoded_freely_are_counted_where_they_are_others(report: Report) -> None:
    assert report.folds is not None
    assert report.free is not None
    assert report.free.rows != report.folds.rows

    assert f"| free decoding ({report.free.rows} rows) | rows |" in render_markdown(report)
    alone = render_markdown(replace(report, folds=None))
    assert "| free decoding | rows |" in alone


@pytest.mark.parametrize("render", [render_markdown, render_html])
def test_pages_show_both_curves_and_the_folds(report: Report, render: Render) -> None:
    page = render(report)

    assert page.count("How much data") == 1 + (render is render_html)  # and in its contents
    for text in ("SVM on TF-IDF, judged on validation", "still gains: ", "Cross-validation"):
        assert text in page
    assert page.count("0.300") >= 6
    assert "<b>" not in page.replace("`<b>`", "")


def test_the_page_draws_each_curve_and_says_it_in_words(report: Report) -> None:
    page = render_html(report)

    text = "25% of the rows 0.300, 50% of the rows 0.600, 100% of the rows 0.900"
    assert page.count(text) == 2  # two curves, each drawn once for every width


def test_the_card_says_what_it_was_judged_by(report: Report) -> None:
    card = render_card(report)

    assert "rows, each by the model that never saw it" in card
    assert "the tuned model still gains" in card


# What a report says of a sweep, and how sure it is of it.
def behind(low: float) -> Metric:
    interval = Interval(low=low, high=0.5, confidence=0.95, method="bootstrap")
    return Metric(name="macro_f1", value=0.2, n=20, interval=interval)


def setting(value: float | None, far: Metric | None = None, **values: Any) -> SweepSetting:
    return SweepSetting(
        values=values or {"rank": 8},
        metric=Metric(name="macro_f1", value=value, n=20, undefined="" if value else "ran away"),
        validation_loss=None,
        trainable_parameters=None,
        steps=None,
        seconds=None,
        behind=far,
    )


def swept(*others: SweepSetting, **values: Any) -> SweepResult:
    settings = (setting(0.9, **values), *others)
    return SweepResult(metric="macro_f1", rows=20, chosen=0, settings=settings)


FAR, NEAR, LOST = setting(0.7, behind(0.1)), setting(0.7, behind(-0.1)), setting(None)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ((FAR, FAR), "these rows tell it from every other one"),
        ((NEAR, NEAR), "these rows tell no other one from it"),
        ((FAR, NEAR), "these rows do not tell 1 of the 2 others from it"),
        ((FAR, LOST), "these rows tell it from every other one; 1 left no model that could be judged"),
        ((LOST,), "no other one left a model that could be judged"),
    ],
)  # fmt: skip
def test_how_sure_the_choice_is(others: tuple[SweepSetting, ...], says: str) -> None:
    assert sweep_lines(swept(*others))[0].endswith(f"; {says}")


def test_what_else_is_measured_on_the_rows_that_chose_is_reported() -> None:
    report = replace(reports.accepted(), learning_curves=())
    assert report.gate is not None
    gap = replace(report.gate.checks[0], name="overfitting", got=0.01, bound=0.1, interval=None)
    gated = replace(report, gate=replace(report.gate, checks=(*report.gate.checks, gap)))
    bare = replace(report, gate=replace(report.gate, checks=()))
    curve = LearningCurve(
        model="tuned",
        judged_on="validation",
        points=(),
        rising=None,
        rising_classes=(),
        message="",
    )

    assert "The overfitting gap" in " ".join(sweep_sentences(gated, swept(FAR)))
    assert "learning curve" in " ".join(
        sweep_sentences(replace(bare, learning_curves=(curve,)), swept(FAR))
    )
    assert len(sweep_sentences(bare, swept(FAR))) == 2


def test_full_training_is_kept_without_what_describes_an_adapter() -> None:
    sentence = sweep_sentences(reports.accepted(), swept(FAR, kind="full", learning_rate=2e-5))[-1]

    assert sentence.startswith("To keep it, write kind: full, learning_rate: 2e-05 into the method")
    assert "rank, alpha, dropout, target_modules" in sentence


# The colour of what was forgotten is that of its check, which the interval's end may decide.
def tones(report: Report) -> list[str]:
    section = report_sections(report)["forgetting"]
    tables = [block for block in section.blocks if isinstance(block, blocks.Table)]
    cells = [cell for table in tables for row in table.rows for cell in row.cells]
    return [cell.tone for cell in cells if isinstance(cell, blocks.Track)]


@pytest.mark.parametrize("status", [Status.PASS, Status.INCONCLUSIVE, Status.FAIL])
def test_all_probes_have_the_tone_of_their_check(status: Status) -> None:
    report = reports.refused_by_forgetting()
    assert report.gate is not None
    checks = [
        replace(check, status=status) if check.kind == "forgetting" else check
        for check in report.gate.checks
    ]
    judged = replace(report, gate=replace(report.gate, checks=tuple(checks)))

    *single, whole = tones(judged)

    assert whole == status.value
    assert set(single) <= {"plain"}
