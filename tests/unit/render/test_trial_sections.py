"""Learning curves, folds and sweeps in a report."""

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
from engine.render import blocks
from engine.render.report.page import closing_block, render_markdown
from engine.render.report.sections import report_sections
from engine.render.report.sections.trials import sweep_lines, sweep_sentences
from engine.values import replace
from support import reports


def test_the_last_lines_of_a_run_have_one_curve_the_tuned_models_where_there_is_one() -> None:
    report = reports.repeated()
    svm, tuned = (replace(one, message=one.model) for one in report.learning_curves)

    for curves, model in (((svm, tuned), "tuned"), ((svm,), "tfidf_svm")):
        text = closing_block(replace(report, learning_curves=curves), colour=False)
        assert f"learning curve: {model}\n" in text
        assert text.count("learning curve") == 1


def test_rows_that_were_decoded_freely_are_counted_where_they_are_others() -> None:
    report = reports.repeated()
    assert report.free is not None

    assert "| free decoding | rows |" in render_markdown(report)
    fewer = replace(report, free=replace(report.free, rows=60))
    assert "| free decoding (60 rows) | rows |" in render_markdown(fewer)


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
