"""Measurements: metrics with their intervals, scores by class, and calibration."""

from __future__ import annotations

import re
from typing import Final

from engine.values import Number, Value

INVALID: Final = "invalid output"
"""The name of any answer that is no label."""


class Abstention(Value):
    """A threshold chosen on validation rows, and what it comes to on the holdout."""

    threshold: Number
    """The calibrated probability below which no answer is given."""
    chance: Number
    """Chance that the holdout shows both bounds, estimated from the validation rows."""
    validation_accuracy: Number | None
    """Accuracy on the rows that it answers; None where it answers none."""
    validation_coverage: Number
    accuracy: Metric
    """Share of right answers among the holdout rows that are answered."""
    coverage: Metric
    """Share of holdout rows that are answered."""
    out_of_scope: Metric | None = None
    """On holdout rows of `task.out_of_scope`: the share with this label or no answer; None without such a label."""


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
    """Before calibration, on the holdout: `ece` (bins of equally many rows), `brier`, `nll`."""
    after: tuple[Metric, ...] = ()
    change: tuple[Metric, ...] = ()
    """After minus before, on the same rows."""
    bins_before: tuple[CalibrationBin, ...] = ()
    bins_after: tuple[CalibrationBin, ...] = ()
    abstention: Abstention | None = None
    """None unless the recipe has `acceptance.selective`."""


class Interval(Value):
    low: Number
    high: Number
    confidence: Number
    method: str
    """`bayesian bootstrap (2000 draws, two rows added)`, `wilson`, …"""

    # Derived and never written: digests in locks and bundles are of the JSON, which older versions read too.
    @property
    def groups(self) -> int:
        """Number of resampled groups, as the method states it; 0 where rows were resampled."""
        found = re.search(r" of (\d+) groups", self.method)
        return int(found[1]) if found else 0


class Metric(Value):
    name: str
    """`macro_f1`, `f1.negative`, `valid_output`, …"""
    value: Number | None
    """None where it is undefined; `undefined` then says why."""
    n: int
    """Rows (for a class metric: rows of that class) the number stands on."""
    interval: Interval | None = None
    undefined: str = ""

    @classmethod
    def missing(cls, name: str, why: str = "not measured", *, n: int = 0) -> Metric:
        return cls(name=name, value=None, n=n, undefined=why)


class Mistake(Value):
    """A row that the tuned model answers wrongly."""

    id: str
    origin: str
    """The row's place, such as `reviews.csv:17`."""
    text: str
    expected: str
    answer: str
    """The answer as the model wrote it; of a preference the rejected answer."""
    confidence: Number | None
    """The probability of the answer; None where it is not known."""
    differs: tuple[str, ...] = ()
    """The fields of an object that differ, with both values."""


class ClassScores(Value):
    """One row of the table by class, or for extraction by field of the answer."""

    label: str
    """A label of the task, or the dotted path of a field."""
    precision: Number | None
    recall: Number | None
    f1: Number | None
    support: int
    predicted: int


class CalibrationBin(Value):
    """The rows whose answer had a probability between two bounds."""

    low: Number
    high: Number
    rows: int
    confidence: Number
    """Mean probability of the answers; 0 without rows."""
    accuracy: Number
    """Share of them that were right; 0 without rows."""


class Calibration(Value):
    """Whether an answer's probability is how often such answers are right."""

    bins: tuple[CalibrationBin, ...]
    ece: Number
    """Expected calibration error: the mean distance of confidence and accuracy, weighted by rows."""
    brier: Number


class Scores(Value):
    """One model judged on one set of rows."""

    rows: int
    metrics: tuple[Metric, ...]
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Target (row) by prediction (column), in label order; one more column at the end for invalid output.

    Empty for kinds without one label a row.
    """
    calibration: Calibration | None = None
    """None where answers have no probabilities."""

    def metric(self, name: str) -> Metric:
        """The metric of that name; KeyError when it was not computed."""
        if (metric := find_metric(self, name)) is None:
            raise KeyError(name)
        return metric

    def mistaken(self, labels: tuple[str, ...]) -> list[tuple[str, str, int]]:
        """Mistakes as (target, answer, rows), most first, ties in label order; answers that are no label come last.

        Empty for kinds without one label a row.
        """
        if len(self.confusion) != len(labels):
            return []
        pairs = [
            (target, answer, count)
            for row, (target, counts) in enumerate(zip(labels, self.confusion, strict=True))
            for column, (answer, count) in enumerate(zip((*labels, INVALID), counts, strict=True))
            if column != row and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])


def find_metric(scores: Scores | None, name: str) -> Metric | None:
    """The metric, or None when there are no scores or it is not among them."""
    metrics = scores.metrics if scores else ()
    return next((metric for metric in metrics if metric.name == name), None)
