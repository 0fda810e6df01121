"""Probabilities after calibration on validation rows, and the threshold below which a model gives no answer."""

from __future__ import annotations

from engine.evidence.measures import CalibrationBin, Metric
from engine.values import Number, Value


class Abstention(Value):
    """A threshold chosen on validation rows, and what it comes to on the holdout."""

    threshold: Number
    """Of the calibrated probability: less is no answer."""
    chance: Number
    """Of the holdout showing both bounds, by what the validation rows say; an estimate."""
    validation_accuracy: Number | None
    """Where it answers; None where it answers nothing."""
    validation_coverage: Number
    accuracy: Metric
    """Share of right answers among the holdout rows that are answered."""
    coverage: Metric
    """Share of holdout rows that are answered."""
    out_of_scope: Metric | None = None
    """Of the holdout rows of `task.out_of_scope`: that get this label, or no answer; None without such a label."""


class CalibratedForm(Value):
    """One form of the model: a temperature fitted on its answers to validation rows, judged on the holdout."""

    form: str
    """`adapter`, or a quantization."""
    fitted_rows: int
    """Validation rows that were answered with probabilities."""
    temperature: Number | None
    """None where there were too few of them; probabilities are then as the model gives them."""
    reason: str = ""
    """Why there is none."""
    before: tuple[Metric, ...] = ()
    """On the holdout: `ece` (bins of equally many rows), `brier`, `nll`."""
    after: tuple[Metric, ...] = ()
    change: tuple[Metric, ...] = ()
    """After minus before, on the same rows."""
    bins_before: tuple[CalibrationBin, ...] = ()
    bins_after: tuple[CalibrationBin, ...] = ()
    abstention: Abstention | None = None
    """None unless the recipe has `acceptance.selective`."""
