"""What was decided: checks and verdicts, and the baselines and comparisons that they stand on."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from engine.evidence.measures import Interval, Scores
from engine.values import Number, Value


class Status(StrEnum):
    """The answer of a check or a verdict. Only `PASS` lets the pipeline go on."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WARN = "warn"
    """Shown, not gated."""


THRESHOLD: Final = "threshold"
"""The kind of a check whose name is that of a metric."""
DIFFERENCES: Final = (
    "over_baselines", "over_previous", "over_without_synthetic", "against_teacher", "drop",
)  # fmt: skip
"""Kinds that bound the difference of a metric between two models."""
OF_FORMS: Final = ("parity", "shift", "largest_shift", "token_parity", "teacher_ratio")
"""Kinds that compare a form of the model, a place where prompts are read, or its teacher, with it."""
DRIFT: Final = "drift"
"""The kind that bounds how far a training on preferences moves the model's answers."""
SELECTIVE: Final = "selective"
"""The kind that bounds what a model does that gives no answer where it is not sure."""
OF_MODELS: Final = (
    "overfitting", "forgetting", "ended", "free_output", "weights", "finite", "ends_turn", "reload", "task_file",
)  # fmt: skip
"""Kinds of which a verdict has one at most: their name says all."""
EXPORTED: Final = ("merged", "onnx", "openvino")
"""Exported forms beside the quantized file: their name begins that of each check of `acceptance` on them.

OpenVINO is in reports of earlier versions.
"""


class Check(Value):
    """One threshold, compared with what was measured."""

    name: str
    """The metric, or `over_baselines.macro_f1`, `onnx.macro_f1`, `overfitting`, `agreement`, `token_parity`, …"""
    status: Status
    got: Number | None
    direction: str
    """`min` or `max`."""
    bound: Number
    decided_on: str
    """`lower bound`, `upper bound` or `point`: the number that was compared with the bound."""
    n: int
    interval: Interval | None = None
    p_value: Number | None = None
    note: str = ""
    """Why, where the numbers do not say it: against which baseline, why inconclusive, what would decide it."""
    p_adjusted: Number | None = None
    """`p_value` after Holm's correction over all paired tests of the gate."""

    # Derived and never written: digests in locks and bundles are of the JSON, which older versions read too.
    @property
    def asked(self) -> str:
        """The name without the exported form that the check is of: as the tuned model's check is named."""
        first, _, rest = self.name.partition(".")
        return rest if first in EXPORTED else self.name

    @property
    def kind(self) -> str:
        """One of `DIFFERENCES`, `OF_FORMS` and `OF_MODELS`, `DRIFT`, `SELECTIVE`, or `THRESHOLD`."""
        first = self.asked.partition(".")[0]
        known = (*DIFFERENCES, *OF_FORMS, *OF_MODELS, DRIFT, SELECTIVE)
        return first if first in known else THRESHOLD

    @property
    def metric(self) -> str:
        """The metric as recipes name it, such as `f1.billing`; empty for what is no metric."""
        if self.kind in DIFFERENCES:
            return self.asked.partition(".")[2]
        return self.asked if self.kind == THRESHOLD else ""

    @property
    def label(self) -> str:
        """The class of `f1.billing`, the form of `shift.f16`, the end of `drift.` and `selective.`; else empty."""
        name = self.asked if self.kind in (*OF_FORMS, DRIFT, SELECTIVE) else self.metric
        return name.partition(".")[2]


class Verdict(Value):
    """All checks of one gate and their common answer."""

    status: Status
    checks: tuple[Check, ...]


class BaselineResult(Value):
    """What one baseline reaches on the holdout, without any fine-tuning."""

    name: str
    scores: Scores
    passes: bool
    """Every acceptance threshold holds for it."""
    seconds: Number
    note: str = ""
    """How it was done: number of shots, features, decoding."""
    bytes: int | None = None
    """Of the model's weights, in memory or as a file; None where there is none, or it is served."""


class Comparison(Value):
    """The tuned model against another one on the same rows, paired."""

    name: str
    """A baseline, or `previous` for the last accepted model of the recipe."""
    metric: str
    difference: Number | None
    """How much better the tuned model is, in the metric's own unit; None where it is not known."""
    interval: Interval | None
    p_value: Number | None
    p_adjusted: Number | None
    """After Holm's correction over all comparisons of the run."""
    test: str
    n: int
    note: str = ""
