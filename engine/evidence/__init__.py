"""The values that make up the evidence: metrics with intervals, checks, verdicts, and the report that holds them.

Plain frozen data, no computation beyond reading back JSON. Computed in `engine.metrics` and the stages, shown by
`engine.render`. A number that could not be computed is `None` with a reason, never NaN and never left out.
Each module owns one question a sceptic asks; what a run did and the report that holds all stand here.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from engine.evidence.data import (
    CountDifference,
    DataFinding,
    DataSummary,
    Firewall,
    HoldoutUse,
    Recorded,
    RowCounts,
    SourceSummary,
    SplitLengths,
    SplitSummary,
)
from engine.evidence.measures import (
    Abstention,
    CalibratedForm,
    Calibration,
    CalibrationBin,
    ClassScores,
    Interval,
    Metric,
    Mistake,
    Scores,
    find_metric,
)
from engine.evidence.teacher import (
    Diversity,
    KeptAtConfidence,
    ReviewResult,
    SoftAgainstAnswers,
    SoftTargetsResult,
    StudentAgainstTeacher,
    SyntheticResult,
    TeacherResult,
)
from engine.evidence.training import (
    CheckpointScore,
    CurvePoint,
    DriftResult,
    DriftScore,
    ForgettingResult,
    GeneralTextScores,
    HistoryPoint,
    LearnedTargets,
    LearningCurve,
    PrefixSharing,
    ProbeScores,
    ReplayResult,
    StartSummary,
    SweepResult,
    SweepSetting,
    TrainingSummary,
)
from engine.evidence.verdicts import (
    BaselineResult,
    Challenge,
    ChallengeLine,
    ChallengeOutcome,
    Check,
    Comparison,
    Diagnosis,
    ExportedFile,
    Fit,
    Flip,
    FormResult,
    RecipeEdit,
    Status,
    Verdict,
)
from engine.values import Number, Value, field


class SeedScores(Value):
    """One training of the recipe with a seed, judged on the holdout."""

    seed: int
    metrics: tuple[Metric, ...]
    agreement: Metric | None
    """Agreement with the answers of the first seed's model; None for that one, and for kinds without answers."""


class SeedSpread(Value):
    metric: str
    mean: Number
    deviation: Number
    """Sample standard deviation."""
    low: Number
    high: Number


class Seeds(Value):
    """The recipe trained with several seeds: how much of a number is luck. The gate judges the first."""

    runs: tuple[SeedScores, ...]
    spread: tuple[SeedSpread, ...]


class Repeat(StrEnum):
    """The comparison of a run with the accepted run that its lock records."""

    EXACT = "reproduced exactly"
    WITHIN_NOISE = "reproduced within noise"
    NOT = "not reproduced"
    REUSED = "reused, not reproduced"
    """Results of the store were taken, so nothing was shown."""
    OTHER_RECIPE = "another recipe"
    UNFINISHED = "not compared to the end"


class FactComparison(Value):
    part: str
    """`data`, `base model`, `tokenizer`, `config`, `tool version`, `hardware`, `threads` or `numbers`."""
    name: str
    equal: bool
    locked: str
    found: str


class Equivalence(Value):
    """Whether a metric is that of the lock but for noise: two one-sided tests, paired."""

    metric: str
    locked: Number
    found: Number
    interval: Interval | None
    """Interval of found minus locked; it must lie within the margin on both sides."""
    margin: Number | None
    """None where nothing says how large the noise is."""
    margin_from: str
    """The source of the margin, in words."""
    holds: bool


class Reproduction(Value):
    """A run beside the accepted run of its lock."""

    verdict: Repeat
    summary: str
    """One sentence."""
    first_difference: str
    """The first difference, in the order of `FactComparison.part`; empty for none."""
    compared: tuple[FactComparison, ...] = ()
    equivalence: tuple[Equivalence, ...] = ()
    """Empty where it was not asked: the files are equal, or nothing was recomputed."""
    agreement: Metric | None = None
    """Share of holdout rows with the very answer of the lock."""
    agreement_required: Number | None = None
    agreement_from: str = ""
    """The source of that bound, in words."""
    reused: tuple[str, ...] = ()
    """Stages whose result was not recomputed."""


class StageStatus(StrEnum):
    RAN = "ran"
    REUSED = "reused"
    SKIPPED = "skipped"
    """A stage before it failed or refused the model."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StageRecord(Value):
    stage: str
    status: StageStatus
    key: str
    reason: str
    """Why it ran, or when and where the reused result was made."""
    seconds: Number
    problems: tuple[str, ...] = ()


class StageCost(Value):
    """Estimate and actual cost of a stage. An error of 0.1 is an estimate a tenth too high."""

    stage: str
    basis: str
    """The basis of the estimate: `computed`, `probe`, `run` (the same training, measured), `last run`, or nothing."""
    estimated: str
    """When: before the run, or before training; empty without an estimate."""
    estimated_seconds: Number | None
    seconds: Number
    seconds_error: Number | None
    estimated_memory_bytes: int | None
    memory_bytes: int | None
    """Peak; measured of training only."""
    memory_error: Number | None
    estimated_disk_bytes: int | None
    disk_bytes: int
    """Bytes of the stage's results in the store."""
    disk_error: Number | None


class Waived(Value):
    """A way in which the recipe's evidence got weaker, and that its author means."""

    what: str
    """The key that was changed, or the code of the finding."""
    why: str


class Report(Value):
    """Everything a sceptic needs, by value; `schemas/report.v1.schema.json` describes its JSON."""

    schema: str
    """`report.v1`."""
    recipe_name: str
    description: str
    outcome: str
    """`accepted`, `refused`, `inconclusive`, `baseline_passes`, `not_reviewed`, `nothing_added`,
    `teacher_no_better`, `failed`, `interrupted` or `stopped` (`--until`)."""
    summary: str
    """One sentence."""
    next_steps: tuple[str, ...]
    """Actions that would help, and the command to continue with."""
    started: str
    """ISO 8601, UTC."""
    seconds: Number
    run_directory: str
    labels: tuple[str, ...]
    task: dict[str, Any]
    base_model: str
    method: str
    """One line: `lora r16 on …`."""
    stages: tuple[StageRecord, ...]
    data: DataSummary | None
    baselines: tuple[BaselineResult, ...]
    training: TrainingSummary | None
    holdout: Scores | None
    """The tuned model, constrained decoding."""
    free: Scores | None
    """The tuned model, free decoding: what a caller without a grammar gets."""
    train_scores: Scores | None
    validation_scores: Scores | None
    gate: Verdict | None
    verify: Verdict | None
    quantized: Scores | None
    agreement: Number | None
    """Share of holdout rows on which the quantized file and the merged model give the same label."""
    flips: tuple[dict[str, Any], ...]
    """Holdout rows whose label changed by quantization: id, target, merged, quantized."""
    files: tuple[ExportedFile, ...]
    warnings: tuple[str, ...]
    recipe_text: str
    resolved_recipe: str
    """YAML."""
    backend_config: str
    versions: dict[str, str]
    environment: dict[str, str]
    """Device, cores, threads, memory, platform; no host name, no user name, no paths."""
    notes: tuple[str, ...] = field(default=())
    """Statements on what is reused, sampled or estimated in this report."""
    holdout_use: HoldoutUse | None = None
    learning_curves: tuple[LearningCurve, ...] = ()
    """The SVM's, which is free, and with `learning_curve: true` the tuned model's."""
    folds: Scores | None = None
    """Cross-validation: all rows, each judged by the model that did not see it."""
    comparisons: tuple[Comparison, ...] = ()
    ladder: tuple[FormResult, ...] = ()
    forgetting: ForgettingResult | None = None
    """None where it was not measured."""
    checkpoints: tuple[CheckpointScore, ...] = ()
    power: tuple[str, ...] = ()
    """Statements on what the holdout could and could not show; estimates."""
    waivers: tuple[Waived, ...] = ()
    """The recipe's waivers, word for word."""
    sweep: SweepResult | None = None
    """None unless the recipe has a sweep, or before it is done."""
    seeds: Seeds | None = None
    """None unless `method.seeds` asks for more trainings, or before they are done."""
    reproduction: Reproduction | None = None
    """None where the lock proves no accepted run, or is to be renewed."""
    costs: tuple[StageCost, ...] = ()
    """Estimate beside actual, of the stages that ran."""
    lengths: tuple[SplitLengths, ...] = ()
    """Rows left out or cut for their length, by split; empty before the rows were rendered."""
    start: StartSummary | None = None
    """None where the base model is trained as it came, or before it was."""
    diagnosis: Diagnosis | None = None
    """Whether training did too little, too much or enough; None where no trained model was judged."""
    drift: DriftResult | None = None
    """Preference: how far the answers moved; None where the recipe bounds nothing of it."""
    teacher: TeacherResult | None = None
    """Who answered the rows without labels; None without a teacher, or before it was asked."""
    against_teacher: StudentAgainstTeacher | None = None
    """The tuned model beside its teacher; None before the gate."""
    synthetic: SyntheticResult | None = None
    """Rows that a model has written for training; None without them, or before it was asked."""
    without_synthetic: tuple[Comparison, ...] = ()
    """The tuned model beside the same training without those rows; empty where no gain over it is bounded."""
    replay: ReplayResult | None = None
    """General text that was trained beside the rows; None where the recipe asks for none."""
    soft_targets: SoftTargetsResult | None = None
    """None where only answers of a teacher are learned, or before it was asked."""
    soft_against_answers: SoftAgainstAnswers | None = None
    """None where the recipe does not compare them, or before it has."""
    calibrated: tuple[CalibratedForm, ...] = ()
    """The tuned model, then the exported file; empty where the recipe asks for no calibration."""
    headline: str = ""
    """The metric that summaries show: that of the kind, or the first with a threshold where that has none."""
    mistakes: tuple[Mistake, ...] = ()
    """Wrong validation rows of the tuned model, the most confident first: 20 of them, long texts cut."""
    command: str = ""
    """The command that runs the recipe again."""
