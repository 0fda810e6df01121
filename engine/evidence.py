"""The values that make up the evidence: metrics with intervals, checks, verdicts, and the report that holds them.

Plain frozen data, no computation beyond reading back JSON. Computed in `engine.metrics` and the stages, shown by
`engine.render`. A number that could not be computed is `None` with a reason, never NaN and never left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The answer of a check or a verdict. Only `PASS` lets the pipeline go on."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WARN = "warn"
    """Shown, not gated."""


class StageStatus(StrEnum):
    """What happened to a stage in a run."""

    RAN = "ran"
    REUSED = "reused"
    SKIPPED = "skipped"
    """Something before it failed or said no."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float
    confidence: float
    method: str
    """`bootstrap (2000 resamples, stratified)`, `wilson`, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number on one set of rows."""

    name: str
    """`macro_f1`, `f1.negative`, `valid_output`, …"""
    value: float | None
    """None where it is undefined; `undefined` then says why."""
    n: int
    """Rows (for a class metric: rows of that class) the number stands on."""
    interval: Interval | None = None
    undefined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """One row of the table by class, or for extraction by field of the answer."""

    label: str
    """A label of the task, or the dotted path of a field."""
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """The rows whose answer had a probability between two bounds."""

    low: float
    high: float
    rows: int
    confidence: float
    """Mean probability of the answers; 0 without rows."""
    accuracy: float
    """Share of them that were right; 0 without rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether an answer's probability is how often such answers are right."""

    bins: tuple[CalibrationBin, ...]
    ece: float
    """Expected calibration error: the mean distance of confidence and accuracy, weighted by rows."""
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
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
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One bound, compared with what was measured."""

    name: str
    """The metric, or `over_baselines.macro_f1`, `overfitting`, `agreement`, `token_parity`, …"""
    status: Status
    got: float | None
    direction: str
    """`min` or `max`."""
    bound: float
    decided_on: str
    """`lower bound`, `upper bound` or `point`: the number that was compared with the bound."""
    n: int
    interval: Interval | None = None
    p_value: float | None = None
    note: str = ""
    """Why, where the numbers do not say it: against which baseline, why inconclusive, what would decide it."""
    p_adjusted: float | None = None
    """`p_value` after Holm's correction over all paired tests of the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks of one gate and their common answer."""

    status: Status
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineResult:
    """What one baseline reaches on the holdout, without any fine-tuning."""

    name: str
    scores: Scores
    passes: bool
    """Every acceptance threshold holds for it."""
    seconds: float
    note: str = ""
    """How it was done: number of shots, features, decoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The tuned model against another one on the same rows, paired."""

    name: str
    """A baseline, or `previous` for the last accepted model of the recipe."""
    metric: str
    difference: float | None
    """How much better the tuned model is, in the metric's own unit; None where it cannot be told."""
    interval: Interval | None
    p_value: float | None
    p_adjusted: float | None
    """After Holm's correction over all comparisons of the run."""
    test: str
    n: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A row whose answer changed from one rung of the ladder to the next."""

    id: str
    target: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the parity ladder: the same holdout, asked again in another form of the model."""

    name: str
    """`adapter`, `merged`, `f16`, or a quantization."""
    scores: Scores
    agreement: Metric | None
    """With the rung before; None on the first one, and for kinds without answers."""
    class_deltas: tuple[tuple[str, float | None], ...] = ()
    """(label or field, F1 minus that of the rung before)."""
    flips: tuple[Flip, ...] = ()
    mean_shift: float | None = None
    """Mean absolute difference of the answer's log-probability to the rung before, where known."""
    largest_shift: float | None = None
    verdict: Verdict | None = None
    """What this rung had to keep; None where nothing was asked of it."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScores:
    """One set of probes, asked before and after training."""

    name: str
    kind: str
    n: int
    before: Metric
    after: Metric
    drop: Metric
    """Before minus after, paired, with interval."""
    p_value: float | None
    """McNemar's exact test of no difference."""
    shift: float | None
    """Mean change of the right answer's log-probability per byte, after minus before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingResult:
    """What training cost in things that it was not about."""

    probes: tuple[ProbeScores, ...]
    overall: ProbeScores
    """All probes together; its drop is what the gate bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointScore:
    """One kept checkpoint on the validation rows."""

    step: int
    epoch: float
    loss: float | None
    """Of training, last logged before it."""
    eval_loss: float | None
    metric: Metric
    """The main metric of the kind on validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One logged moment of training."""

    step: int
    epoch: float
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """How the training went, read from the trainer's own state."""

    backend: str
    backend_version: str
    device: str
    precision: str
    steps: int
    epochs: float
    seconds: float
    rows: int
    supervised_tokens: int
    """Per epoch."""
    trainable_parameters: int
    total_parameters: int
    kept_step: int
    """The checkpoint that became the model."""
    stopped_early: bool
    resumed_from_step: int | None
    adapter_norm: float
    """Frobenius norm over all trained deltas; 0 would mean nothing was learned and is an error."""
    history: tuple[HistoryPoint, ...]
    threads: int = 0
    """In force while it trained; 0 where it was not recorded."""
    peak_memory_bytes: int | None = None
    """Resident size of the training process, or what was allocated on the GPU; None where it was not measured."""
    cpu_seconds: float | None = None
    """Processor time of all threads; None where it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding:
    """What one data check found."""

    check: str
    action: str
    """fail, drop, warn or off, from the recipe."""
    count: int
    message: str
    examples: tuple[str, ...] = ()
    """Places such as `reviews.csv:17`, at most ten, with a short excerpt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSummary:
    """One split: its size, its classes, and a digest of its normalised rows."""

    name: str
    rows: int
    """Different rows; `seen` counts those of weighted sources as often as they are trained on."""
    labels: dict[str, int]
    digest: str
    """sha256 over the sorted normalised rows."""
    seen: int = 0
    """Rows of one epoch: train with its weights; for the others, `rows`."""
    groups: int | None = None
    """Different groups; None unless divided by group."""
    span: tuple[str, str] | None = None
    """First and last time, as written; None unless divided by time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """What one file or data set gave."""

    name: str
    """Its file name, or the hub repository."""
    shape: str
    """How its rows are laid out: `openai_messages`, `sharegpt`, …; `columns` where the recipe names them."""
    rows_read: int
    rows_used: int
    weight: float = 1.0
    into: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """The proof that nothing trained on stands in the holdout."""

    method: str
    """What was compared, how, and above which similarity, in one sentence."""
    similarity: float
    """Jaccard similarity from which two texts are near matches."""
    compared: int
    """Rows of train and validation that were compared with every row of the holdout."""
    found_exact: int
    """Holdout rows with an equal text in train or validation, before anything was dropped."""
    found_near: int
    removed: int
    """Rows of train and validation left out because of it."""
    left_exact: int
    """As `found_exact`, in the rows that training sees: 0 unless the recipe says `warn` or `off`."""
    left_near: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a holdout that the lock had recorded, and of the rows that came since."""

    kept: int
    """Holdout rows that stayed."""
    gone: int
    """Recorded holdout rows that the data no longer holds."""
    added: int
    """Holdout rows that were not recorded before."""
    new_rows: dict[str, int] | None
    """Rows that are new since the record, by split (`none` for those in no split); None where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """What the data stage read, dropped and split."""

    rows_read: int
    rows_used: int
    dropped: dict[str, int]
    """Why rows are not used, by count: `no bin`, `duplicate`, `not sampled`, …"""
    splits: tuple[SplitSummary, ...]
    findings: tuple[DataFinding, ...]
    overlap_exact: int
    """Holdout rows whose normalised text also stands in train or validation."""
    overlap_near: int
    sources: tuple[SourceSummary, ...] = ()
    firewall: Firewall | None = None
    recorded: Recorded | None = None
    """None where no holdout was recorded before, or nothing has to be held (fractions move no row)."""
    folds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A file that leaves."""

    name: str
    format: str
    bytes: int
    sha256: str
    bits_per_weight: float | None = None
    """Effective, from the file's tensors; None for formats without quantization."""
    fallback_tensors: int = 0
    """Tensors the quantizer stored in another type than the one asked for."""
    tensors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A model trained on part of the training rows, judged on the validation rows."""

    share: float
    """Of the training rows."""
    rows: int
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Whether more examples would pay."""

    model: str
    """`tuned`, or `tfidf_svm` for the free hint."""
    judged_on: str
    """`validation`, or how the rows were cross-validated."""
    points: tuple[CurvePoint, ...]
    rising: bool | None
    """The last step still gained more than chance explains; None where it cannot be told."""
    rising_classes: tuple[str, ...]
    message: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutUse:
    """How often a holdout has decided something."""

    digest: str
    """Of the holdout's rows."""
    looks: int
    """Runs in which a verdict was formed on it, this one included; reused verdicts are not new looks."""
    redraws: int
    """How often the recipe's holdout was replaced by another draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScores:
    """One training of the recipe with a seed, judged on the holdout."""

    seed: int
    metrics: tuple[Metric, ...]
    agreement: Metric | None
    """With the answers of the first seed's model; None for that one, and for kinds without answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One metric over all seeds."""

    metric: str
    mean: float
    deviation: float
    """Sample standard deviation."""
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The recipe trained with several seeds: how much of a number is luck. The gate judges the first."""

    runs: tuple[SeedScores, ...]
    spread: tuple[Spread, ...]


class Repeat(StrEnum):
    """How a run stands to the accepted run that its lock records."""

    EXACT = "reproduced exactly"
    WITHIN_NOISE = "reproduced within noise"
    NOT = "not reproduced"
    REUSED = "reused, not reproduced"
    """Results of the store were taken, so nothing was shown."""
    OTHER_RECIPE = "another recipe"
    UNFINISHED = "not compared to the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One fact of the lock beside the same fact of this run."""

    part: str
    """`data`, `base model`, `tokenizer`, `config`, `tool version`, `hardware`, `threads` or `numbers`."""
    name: str
    equal: bool
    locked: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether a metric is that of the lock but for noise: two one-sided tests, paired."""

    metric: str
    locked: float
    found: float
    interval: Interval | None
    """Of found minus locked; it must lie within the margin on both sides."""
    margin: float | None
    """None where nothing says how large the noise is."""
    margin_from: str
    """Where the margin comes from, in words."""
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A run beside the accepted run of its lock."""

    verdict: Repeat
    summary: str
    """One sentence."""
    first_difference: str
    """What differed first, in the order of `Compared.part`; empty for nothing."""
    compared: tuple[Compared, ...] = ()
    equivalence: tuple[Equivalence, ...] = ()
    """Empty where it was not asked: the files are equal, or nothing was recomputed."""
    agreement: Metric | None = None
    """Share of holdout rows with the very answer of the lock."""
    agreement_required: float | None = None
    agreement_from: str = ""
    """Where that bound comes from, in words."""
    reused: tuple[str, ...] = ()
    """Stages whose result was not recomputed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """What one stage did in this run."""

    stage: str
    status: StageStatus
    key: str
    reason: str
    """Why it ran, or when and where the reused result was made."""
    seconds: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A way in which the recipe's evidence got weaker, and that its author means."""

    what: str
    """The key that was changed, or the code of the finding."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What a stage was estimated to take, and took. An error of 0.1 is an estimate a tenth too high."""

    stage: str
    basis: str
    """What the estimate stands on: `reckoned`, `probe`, `run` (the same training, measured), `last run`, or nothing."""
    estimated: str
    """When: before the run, or before training; empty without an estimate."""
    estimated_seconds: float | None
    seconds: float
    seconds_error: float | None
    estimated_memory_bytes: int | None
    memory_bytes: int | None
    """Peak; measured of training only."""
    memory_error: float | None
    estimated_disk_bytes: int | None
    disk_bytes: int
    """What the stage left in the store."""
    disk_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a sceptic needs, by value; `schemas/report.v1.schema.json` describes its JSON."""

    schema: str
    """`report.v1`."""
    recipe_name: str
    description: str
    outcome: str
    """`accepted`, `refused`, `inconclusive`, `baseline_passes`, `failed`, `interrupted` or `stopped` (`--until`)."""
    summary: str
    """One sentence."""
    next_steps: tuple[str, ...]
    """What would help, and the command to continue with."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
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
    agreement: float | None
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
    """What is reused, sampled or estimated in this report."""
    holdout_use: HoldoutUse | None = None
    learning_curves: tuple[LearningCurve, ...] = ()
    """The SVM's, which is free, and with `learning_curve: true` the tuned model's."""
    folds: Scores | None = None
    """Cross-validation: all rows, each judged by the model that did not see it."""
    comparisons: tuple[Comparison, ...] = ()
    ladder: tuple[Rung, ...] = ()
    forgetting: ForgettingResult | None = None
    """None where it was not measured."""
    checkpoints: tuple[CheckpointScore, ...] = ()
    power: tuple[str, ...] = ()
    """What the holdout could and could not show, in sentences; estimates."""
    waivers: tuple[Waived, ...] = ()
    """What the recipe waives, word for word."""
    seeds: Seeds | None = None
    """None unless `method.seeds` asks for more trainings, or before they are done."""
    reproduction: Reproduction | None = None
    """None where the lock proves no accepted run, or is to be renewed."""
    costs: tuple[StageCost, ...] = ()
    """Estimate beside actual, of the stages that ran."""


class Standing(StrEnum):
    """How a newer base model compares with an accepted model."""

    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeLine:
    """One of the newcomer's ways to answer, on one metric."""

    comparison: Comparison
    """How much better the newcomer is, not the accepted model."""
    standing: Standing
    margin: float
    """So much worse counts as as good."""
    accepted: float | None
    newcomer: float | None
    rows: int | None
    """That would tell, an estimate; None where it is told, or where no number of rows would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A newer base model against the accepted model of a recipe, on the same holdout."""

    schema: str
    """`challenge.v1`."""
    recipe_name: str
    run: str
    """Of the accepted model, by folder name."""
    accepted: str
    """Its base model and method, in words."""
    base_model: str
    trained: bool
    """The newcomer was trained as the recipe says; else it answered untouched."""
    holdout: str
    """Digest of its rows."""
    rows: int
    standing: Standing
    candidate: str
    """The way to answer that the standing speaks of: a baseline, or `trained`."""
    lines: tuple[ChallengeLine, ...]
    costs: tuple[str, ...]
    """Size and seconds, in words."""
    edit: str
    """What adopts it, as the recipe would say it."""
    notes: tuple[str, ...]
    started: str
    seconds: float


def to_json(value: Any) -> Any:  # noqa: ANN401 - any of the dataclasses above
    """Plain JSON data of a value of this module."""
    return asdict(value)


def metric_from_json(data: dict[str, Any]) -> Metric:
    """A metric read back from `to_json`."""
    interval = data["interval"]
    return Metric(**{**data, "interval": Interval(**interval) if interval else None})


def scores_from_json(data: dict[str, Any]) -> Scores:
    """Scores read back from `to_json`."""
    return Scores(
        rows=data["rows"],
        metrics=tuple(metric_from_json(item) for item in data["metrics"]),
        classes=tuple(ClassScores(**item) for item in data["classes"]),
        confusion=tuple(tuple(row) for row in data["confusion"]),
        calibration=_calibration_from_json(data.get("calibration")),
    )


def _calibration_from_json(data: dict[str, Any] | None) -> Calibration | None:
    if data is None:
        return None
    return Calibration(**{**data, "bins": tuple(CalibrationBin(**item) for item in data["bins"])})


def _interval_from_json(data: dict[str, Any] | None) -> Interval | None:
    return Interval(**data) if data else None


def comparison_from_json(data: dict[str, Any]) -> Comparison:
    """A comparison read back from `to_json`."""
    return Comparison(**{**data, "interval": _interval_from_json(data["interval"])})


def rung_from_json(data: dict[str, Any]) -> Rung:
    """A rung of the ladder read back from `to_json`."""
    return Rung(
        **{
            **data,
            "scores": scores_from_json(data["scores"]),
            "agreement": metric_from_json(data["agreement"]) if data["agreement"] else None,
            "class_deltas": tuple((label, delta) for label, delta in data["class_deltas"]),
            "flips": tuple(Flip(**flip) for flip in data["flips"]),
            "verdict": verdict_from_json(data["verdict"]) if data["verdict"] else None,
        }
    )


def _probe_from_json(data: dict[str, Any]) -> ProbeScores:
    metrics = {name: metric_from_json(data[name]) for name in ("before", "after", "drop")}
    return ProbeScores(**{**data, **metrics})


def forgetting_from_json(data: dict[str, Any]) -> ForgettingResult:
    """What training cost, read back from `to_json`."""
    return ForgettingResult(
        probes=tuple(_probe_from_json(item) for item in data["probes"]),
        overall=_probe_from_json(data["overall"]),
    )


def checkpoint_from_json(data: dict[str, Any]) -> CheckpointScore:
    """A checkpoint's score read back from `to_json`."""
    return CheckpointScore(**{**data, "metric": metric_from_json(data["metric"])})


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """A verdict read back from `to_json`."""
    return Verdict(
        status=Status(data["status"]),
        checks=tuple(
            Check(
                **{
                    **item,
                    "status": Status(item["status"]),
                    "interval": Interval(**item["interval"]) if item["interval"] else None,
                }
            )
            for item in data["checks"]
        ),
    )


def baseline_from_json(data: dict[str, Any]) -> BaselineResult:
    """A baseline result read back from `to_json`."""
    return BaselineResult(**{**data, "scores": scores_from_json(data["scores"])})


def training_from_json(data: dict[str, Any]) -> TrainingSummary:
    """A training summary read back from `to_json`."""
    history = tuple(HistoryPoint(**item) for item in data["history"])
    return TrainingSummary(**{**data, "history": history})


def curve_from_json(data: dict[str, Any]) -> LearningCurve:
    """A learning curve read back from `to_json`."""
    points = tuple(
        CurvePoint(**{**point, "scores": scores_from_json(point["scores"])})
        for point in data["points"]
    )
    classes = tuple(data["rising_classes"])
    return LearningCurve(**{**data, "points": points, "rising_classes": classes})


def data_from_json(data: dict[str, Any]) -> DataSummary:
    """A data summary read back from `to_json`."""
    return DataSummary(
        **{
            **data,
            "splits": tuple(
                SplitSummary(**{**item, "span": tuple(item["span"]) if item["span"] else None})
                for item in data["splits"]
            ),
            "sources": tuple(SourceSummary(**item) for item in data["sources"]),
            "firewall": Firewall(**data["firewall"]) if data["firewall"] else None,
            "recorded": Recorded(**data["recorded"]) if data["recorded"] else None,
            "findings": tuple(
                DataFinding(**{**item, "examples": tuple(item["examples"])})
                for item in data["findings"]
            ),
        }
    )


def seeds_from_json(data: dict[str, Any]) -> Seeds:
    """Trainings with several seeds read back from `to_json`."""
    return Seeds(
        runs=tuple(
            SeedScores(
                seed=item["seed"],
                metrics=tuple(metric_from_json(metric) for metric in item["metrics"]),
                agreement=metric_from_json(item["agreement"]) if item["agreement"] else None,
            )
            for item in data["runs"]
        ),
        spread=tuple(Spread(**item) for item in data["spread"]),
    )


def reproduction_from_json(data: dict[str, Any]) -> Reproduction:
    """How a run stands to its lock, read back from `to_json`."""
    equivalence = (
        Equivalence(**{**item, "interval": _interval_from_json(item["interval"])})
        for item in data["equivalence"]
    )
    return Reproduction(
        **{
            **data,
            "verdict": Repeat(data["verdict"]),
            "compared": tuple(Compared(**item) for item in data["compared"]),
            "equivalence": tuple(equivalence),
            "agreement": metric_from_json(data["agreement"]) if data["agreement"] else None,
            "reused": tuple(data["reused"]),
        }
    )
