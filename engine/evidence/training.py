"""The training: its course, its checkpoints, what was forgotten, and whether more rows would pay."""

from typing import Any, Final

from engine.evidence.measures import Metric, Scores
from engine.values import Number, Value, field


class ReplayResult(Value):
    sampled: bool
    """The base model wrote it; else it was given."""
    share: Number
    """The share that the recipe asks for, of the tokens that are learned in an epoch."""
    reached: Number
    """The share that was reached."""
    texts: int
    """Samples, or blocks of at most `method.max_length` tokens."""
    tokens: int
    """Learned of them in an epoch."""
    own_tokens: int
    """Learned of the task's rows in an epoch."""
    read: int
    """Documents that were read, or samples that were drawn."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Texts left out, by reason."""
    seconds: Number = 0.0
    """Seconds that sampling took when it was done; 0 for given text."""


class SweepSetting(Value):
    """One setting of `method`, trained and asked the validation rows."""

    values: dict[str, Any]
    """Values of the keys in which some setting differs from `method`."""
    metric: Metric
    """The metric that chooses."""
    validation_loss: Number | None
    """Loss of the kept checkpoint."""
    trainable_parameters: int | None
    """None where its training failed, as `metric.undefined` then says."""
    steps: int | None
    seconds: Number | None
    behind: Metric | None = None
    """How much worse than the chosen one, paired, with an interval that holds for all settings together; None for
    that one, and for one that left no model."""

    @property
    def may_be_as_good(self) -> bool:
        """The validation rows do not tell it from the chosen one; without an interval they do not either."""
        if self.behind is None:
            return False
        return self.behind.interval is None or self.behind.interval.low <= 0


class SweepResult(Value):
    metric: str
    rows: int
    """Validation rows that were asked."""
    chosen: int
    """Place in `settings`."""
    settings: tuple[SweepSetting, ...]

    @property
    def winner(self) -> SweepSetting:
        return self.settings[self.chosen]


class StartSummary(Value):
    """How the folder of the model that was trained was made."""

    kind: str
    """`scratch` or `fewer_layers`."""
    parameters: int
    """Parameters at the start of training."""
    parameters_before: int = 0
    """fewer_layers: of the whole model."""
    kept: tuple[int, ...] = ()
    """fewer_layers: numbers of the layers that are kept, counted from 0."""
    of: int = 0
    """fewer_layers: how many there were."""
    vocabulary: int = 0
    """scratch: tokens."""
    bytes_per_token: Number = 0.0
    """scratch: of the training text, on average."""


class HistoryPoint(Value):
    """One logged moment of training."""

    step: int
    epoch: Number
    loss: Number | None = None
    eval_loss: Number | None = None
    learning_rate: Number | None = None
    grad_norm: Number | None = None


class LearnedTargets(Value):
    """How close a training came to the probabilities of its teacher."""

    first: Number | None
    """Divergence in nats a token at the first optimizer step; None where training went on from a checkpoint."""
    last: Number
    """Mean of the last epoch's steps."""


class PrefixSharing(Value):
    """Whether the rows of a batch shared the computation of the tokens that they all begin with."""

    used: bool
    difference: Number | None = None
    """Relative difference of loss and gradients to those of plain batches, on a few rows before the first step."""
    reason: str = ""
    """Why batches were plain after all."""


class TrainingSummary(Value):
    """The course of the training, read from the trainer's own state."""

    backend: str
    backend_version: str
    device: str
    precision: str
    steps: int
    epochs: Number
    seconds: Number
    rows: int
    supervised_tokens: int
    """Per epoch."""
    trainable_parameters: int
    total_parameters: int
    kept_step: int
    """The checkpoint that became the model."""
    stopped_early: bool
    resumed_from_step: int | None
    adapter_norm: Number
    """Frobenius norm over all trained deltas; 0 would mean nothing was learned and is an error."""
    history: tuple[HistoryPoint, ...]
    threads: int = 0
    """Threads while it trained; 0 where they were not recorded."""
    peak_memory_bytes: int | None = None
    """Resident size of the training process, or what was allocated on the GPU; None where it was not measured."""
    cpu_seconds: Number | None = None
    """Processor time of all threads; None where it was not measured."""
    rows_left_out: int | None = None
    """Rows of an epoch that the data stage gave and training did not see; None where they were not counted."""
    rows_cut: int | None = None
    """Rows of an epoch that were shortened to `method.max_length`; None where they were not counted."""
    shared_prefix: PrefixSharing | None = None
    """None where batches were to be plain from the outset."""
    packed_documents: int | None = None
    """Documents, or blocks of long ones, that stood in the rows of an epoch; None where none were packed."""
    padding: Number | None = None
    """Share of packed rows, up to `method.max_length`, in which nothing stood; None where none were packed."""
    soft_targets: LearnedTargets | None = None
    """None where only answers are learned."""
    processes: int | None = None
    """Processes that trained together; None for one."""
    repeated_rows: int | None = None
    """Rows that were seen twice an epoch, to fill the last batch of all processes; None for one process."""

    @property
    def kept_loss(self) -> float | None:
        """Validation loss of the checkpoint that became the model; None where none was measured there."""
        kept = (
            point.eval_loss
            for point in reversed(self.history)
            if point.step == self.kept_step and point.eval_loss is not None
        )
        return next(kept, None)


class CheckpointScore(Value):
    """One kept checkpoint on the validation rows."""

    step: int
    epoch: Number
    loss: Number | None
    """Training loss, last logged before it."""
    eval_loss: Number | None
    metric: Metric
    """The main metric of the kind on validation."""


class ProbeScores(Value):
    """One set of probes, asked before and after training."""

    name: str
    kind: str
    n: int
    before: Metric
    after: Metric
    drop: Metric
    """Before minus after, paired, with interval."""
    p_value: Number | None
    """McNemar's exact test of no difference."""
    shift: Number | None
    """Mean change of the right answer's log-probability per byte, after minus before."""


class GeneralTextScores(Value):
    """How well general text is predicted before and after training, in bits per byte."""

    builtin: bool
    """The sentences of the built-in probes; else the recipe names the text."""
    documents: int
    bytes: int
    left_out: int
    """Documents near text that is replayed, which is trained on."""
    before: Metric
    after: Metric
    rise: Metric
    """After minus before, paired over documents, with interval."""
    p_value: Number | None
    """Paired permutation test of no difference."""


class ForgettingResult(Value):
    """Losses of the model in abilities that training was not about."""

    probes: tuple[ProbeScores, ...]
    overall: ProbeScores
    """All probes together; its drop is what the gate bounds."""
    text: GeneralTextScores | None = None
    """None where the recipe bounds nothing of general text."""


CHOSEN_LOG_PROBABILITY: Final = "chosen_log_probability"
ANSWER_LENGTH: Final = "answer_length"


class DriftScore(Value):
    """One thing that training on preferences can move in the model's answers."""

    name: str
    """`CHOSEN_LOG_PROBABILITY` or `ANSWER_LENGTH`, as the recipe calls them."""
    before: Number | None
    """Value of the untouched base model: nats a token, or tokens an answer."""
    after: Number | None
    change: Metric
    """The value that the gate bounds: before minus after, or after divided by before."""


class DriftResult(Value):
    scores: tuple[DriftScore, ...]


class CurvePoint(Value):
    """A model trained on part of the training rows, judged on the validation rows."""

    share: Number
    """Share of the training rows."""
    rows: int
    scores: Scores


class LearningCurve(Value):
    """Whether more examples would pay."""

    model: str
    """`tuned`, or `tfidf_svm` for the free hint."""
    judged_on: str
    """`validation`, or how the rows were cross-validated."""
    points: tuple[CurvePoint, ...]
    rising: bool | None
    """The last step still gained more than chance explains; None where it is not known."""
    rising_classes: tuple[str, ...]
    message: str
    """One sentence for people."""
