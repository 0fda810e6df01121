"""Decisions: checks, verdicts, comparisons, exported files, and the diagnosis of a refused model."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from engine.evidence.measures import Interval, Metric, Scores
from engine.values import Number, Value


class ChallengeOutcome(StrEnum):
    """The comparison of a newer base model with an accepted model."""

    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"
    UNKNOWN = "cannot be decided"

    @classmethod
    def _missing_(cls, value: object) -> ChallengeOutcome | None:
        # Results that were stored before 0.2.0.
        return cls.UNKNOWN if value == "cannot be told" else None


class ChallengeLine(Value):
    """One of the newcomer's ways to answer, on one metric."""

    comparison: Comparison
    """How much better the new model is than the accepted one."""
    standing: ChallengeOutcome
    margin: Number
    """The difference that still counts as equal."""
    accepted: Number | None
    newcomer: Number | None
    rows: int | None
    """Estimated rows that would decide; None where it is decided, or where no number of rows would."""


class Challenge(Value):
    schema: str
    """`challenge.v1`."""
    recipe_name: str
    run: str
    """Folder name of the accepted model's run."""
    accepted: str
    """Its base model and method, in words."""
    base_model: str
    trained: bool
    """The newcomer was trained as the recipe says; else it answered untouched."""
    holdout: str
    """Digest of its rows."""
    rows: int
    standing: ChallengeOutcome
    candidate: str
    """The way to answer that the standing speaks of: a baseline, or `trained`."""
    lines: tuple[ChallengeLine, ...]
    costs: tuple[str, ...]
    """Size and seconds, in words."""
    edit: str
    """The edit of the recipe that adopts it."""
    notes: tuple[str, ...]
    started: str
    seconds: Number


class Fit(StrEnum):
    """Scores of a model on the rows that it was trained on and on rows that it never saw."""

    UNDERFITTED = "underfitted"
    OVERFITTED = "overfitted"
    FITS = "fits"
    NOISE_CEILING = "noise_ceiling"
    """It answers as well as the labels of the rows allow."""
    NOT_KNOWN = "not_known"


class RecipeEdit(Value):
    """One key of the recipe and the value that would help; both values as YAML writes them."""

    key: str
    """The dotted key: `method.epochs`."""
    current: str
    proposed: str


class Diagnosis(Value):
    """The joint reading of scores on train, validation and holdout and of the losses."""

    fit: Fit
    reasons: tuple[str, ...]
    """The numbers that it stands on, or why it is not known; the one that decided first."""
    cause: str = ""
    """A cause to remove before any setting of the training: the base model's language, missing rows of a label."""
    edits: tuple[RecipeEdit, ...] = ()
    """Edits to be made together; empty where none is known to help."""
    yaml: str = ""
    """The same edits, ready to paste into the recipe: `method: {epochs: 5}`."""


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
    status: Status
    checks: tuple[Check, ...]


class BaselineResult(Value):
    """The scores of one baseline on the holdout, without any fine-tuning."""

    name: str
    scores: Scores
    passes: bool
    """Every acceptance threshold holds for it."""
    seconds: Number
    note: str = ""
    """How it was evaluated: number of shots, features, decoding."""
    bytes: int | None = None
    """Bytes of the model's weights, in memory or as a file; None where there is none, or it is served."""


class Comparison(Value):
    """The tuned model against another one on the same rows, paired."""

    name: str
    """A baseline, or `previous` for the last accepted model of the recipe."""
    metric: str
    difference: Number | None
    """How much better the tuned model is, in the metric's own unit; None where that is unknown."""
    interval: Interval | None
    p_value: Number | None
    p_adjusted: Number | None
    """Corrected by Holm over all comparisons of the run."""
    test: str
    n: int
    note: str = ""


class ExportedFile(Value):
    name: str
    format: str
    bytes: int
    sha256: str
    bits_per_weight: Number | None = None
    """Effective, from the file's tensors; None for formats without quantization."""
    fallback_tensors: int = 0
    """Tensors the quantizer stored in another type than the one asked for."""
    tensors: int = 0


class Flip(Value):
    """A row whose answer changed from one rung of the ladder to the next."""

    id: str
    target: str
    before: str | None
    after: str | None


class FormResult(Value):
    """One step of the parity ladder: another form of the model, evaluated on the same holdout."""

    name: str
    """`adapter`, `merged`, `f16`, or a quantization."""
    scores: Scores
    """Scores on the rows that it was evaluated on."""
    agreement: Metric | None
    """Agreement with the rung before, on the rows of this one; None on the first, and for kinds without answers."""
    sampled_of: int | None = None
    """Rows of the holdout, where this rung was asked only a sample of them; None where it was asked all."""
    class_deltas: tuple[tuple[str, Number | None], ...] = ()
    """(label or field, F1 minus that of the rung before)."""
    flips: tuple[Flip, ...] = ()
    ties: int | None = None
    """Flips that rounding explains, since the rung before hardly preferred its answer."""
    mean_shift: Number | None = None
    """Mean absolute difference of the answer's log-probability to the rung before, where known."""
    largest_shift: Number | None = None
    """The largest of them, that of one row in a hundred left out."""
    verdict: Verdict | None = None
    """The checks of this rung; None where it had none."""
    note: str = ""
    free: Scores | None = None
    """Scores of free decoding, for an exported form whose `acceptance` these decide."""
    comparisons: tuple[Comparison, ...] = ()
    """Comparisons of an exported form with the baselines and the last accepted model, like the tuned model's."""
