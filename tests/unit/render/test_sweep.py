"""What a report says of a sweep, and how sure it is of it."""

from typing import Any

import pytest

from engine.evidence import Interval, LearningCurve, Metric, SweepResult, SweepSetting
from engine.render.report.sections.trials import sweep_lines, sweep_sentences
from engine.values import replace
from support import reports


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
