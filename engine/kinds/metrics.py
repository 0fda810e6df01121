"""Metrics that several kinds of tasks share."""

from __future__ import annotations

from typing import Final

from engine.kinds.kind import MetricSpec, Of


def plain(*names: str, of: Of = "") -> tuple[MetricSpec, ...]:
    """Return metrics between 0 and 1 of which more is better."""
    return tuple(MetricSpec(name=name, of=of) for name in names)


ACCURACY: Final = MetricSpec(name="accuracy", is_row_share=True)
EXACT_MATCH: Final = MetricSpec(name="exact_match", is_row_share=True)
VALID_OUTPUT: Final = MetricSpec(name="valid_output", is_row_share=True)
AVERAGES: Final = plain(
    *(
        f"{average}_{metric}"
        for average in ("macro", "micro", "weighted")
        for metric in ("f1", "precision", "recall")
    ),
    "mcc",
)
LABEL_METRICS: Final = (
    MetricSpec(name="ece", better="lower"),
    MetricSpec(name="brier", better="lower", unit="points"),
    MetricSpec(name="abstention", better="either", is_row_share=True),
    VALID_OUTPUT,
    *plain("precision", "recall", "f1", of="label"),
)
"""Of tasks with labels beside the averages: calibration, whether the model answers, and those of each label."""
OF_FIELDS: Final = plain("precision", "recall", "f1", of="field")
LIKELIHOOD: Final = (
    MetricSpec(name="perplexity", better="lower", unit="per token"),
    MetricSpec(name="bits_per_byte", better="lower", unit="bits"),
)
