"""The recipe as a value: frozen, fully resolved, without `None` for a default.

Mirrors `schemas/recipe.schema.json`, section by section; a test walks both and fails on any difference. The schema
describes the keys; the fields describe only the differences. None or an empty value is a key that the recipe lacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from engine.kinds import KINDS, Kind
from engine.recipe.metrics import headline
from engine.values import Value, replace

if TYPE_CHECKING:
    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
else:
    Json = Any  # the codec knows no type that holds itself


class Unordered(Value):
    """A section with lists whose order means nothing."""

    UNORDERED: ClassVar[tuple[str, ...]] = ()

    def in_order(self) -> Self:
        """Return the section with these lists sorted: by their keys in the file, which come first in an item."""
        return replace(
            self, **{name: tuple(sorted(getattr(self, name))) for name in self.UNORDERED}
        )


class Outside(Value):
    """Something outside the recipe's project that the recipe names: a file or folder, a server, a key for a server."""

    code: str
    at: tuple[str | int, ...]
    reference: str
    """The words that the user allows: `read /data/rows.csv`."""
    message: str
    option: tuple[str, str]
    """The option, and its value, that allows it for one call."""
    allowed: bool


class HubRef(Value):
    repo: str
    revision: str | None = None
    """40 hex digits; None only with `allow_moving`."""


class PathRef(Value):
    """A file or folder of the user's."""

    path: Path
    """Absolute path."""
    written: str
    """The path in the recipe, for messages."""
    sha256: str | None = None
    """Digest of the file's bytes, if the recipe pins it."""
    pattern: str = ""
    """The recipe's pattern that the file matched; empty for a plain path."""
    # In the value itself, so that no reader of the path can forget to check it.
    withheld: tuple[Outside, ...] = ()
    """Things outside the recipe's project that were not allowed: then nothing of it is read."""


class PackageRef(Value):
    """A file inside a wheel or sdist of the Python package index: read as an archive, never installed."""

    name: str
    version: str
    sha256: str | None
    """Digest of the archive; None only with `allow_moving`."""
    file: str
    """Path in the archive; `//` steps into an archive inside it."""


Reference = HubRef | PathRef | PackageRef


class FewerLayers(Value):
    """A base model of which only some layers are kept."""

    of: Reference
    keep_layers: str | int | tuple[int, ...]
    """`every_second` or `every_third`, the number of first layers, or their numbers from 0."""


class NewTokenizer(Value):
    size: int


class Scratch(Value):
    """A blank model: blocks as in Llama, with random weights."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    context: int
    seed: int
    tokenizer: NewTokenizer | Reference


BaseModel = Reference | FewerLayers | Scratch


class Task(Value):
    kind: str
    """A name in `engine.kinds.KINDS`."""
    instruction: str
    system: str
    input: str
    """Template over a row's columns: `{column}` or `{a.dotted.1.path}`; `{{` and `}}` are literal.

    Empty if the shape of the rows decides: chat, preference, generation without `data.answer`.
    """
    labels: tuple[str, ...]
    schema: Json
    output: Literal["text", "json"]
    out_of_scope: str = ""
    answer_pattern: str = ""
    """Generation: the answer is its last match; empty for the complete text."""
    max_new_tokens: int = 0
    """Tokens of an answer at most; 0 for the longest training answer and a few more."""

    @property
    def spec(self) -> Kind:
        """The kind; KeyError for an unknown name."""
        return KINDS[self.kind]


class Bin(Value, order=True):
    """Numeric interval of a label; both ends belong to it."""

    label: str
    min: float | None
    max: float | None


class LabelSpec(Unordered):
    column: str
    relabel: tuple[tuple[str, str], ...]
    """(value in the data, label); empty when values are labels already."""
    bins: tuple[Bin, ...]
    separator: str
    missing: Literal["", "empty"] = ""
    """Multilabel: `empty` if a row without the column has no label; else such a row is a problem.

    Null, a blank text and an empty list are no label in both cases.
    """
    UNWRITTEN: ClassVar = frozenset({"missing"})
    """Later fields: with their defaults they are in no stage key, so that keys of older recipes stay."""

    UNORDERED: ClassVar = ("relabel", "bins")


class SpanSpec(Value):
    column: str
    name: str
    start: str
    """Key in each item of the first character, from 0; missing means 0."""
    end: str
    of: str


class TagSpec(Value):
    """Answers in BIO tags, one for each word of a text."""

    column: str
    of: str


class AnswerSpec(Value):
    column: str
    """Generation: the text. Extraction: a JSON object, or a text that holds one. Empty for another source."""
    references: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    """Extraction: (field of the answer, column)."""
    spans: SpanSpec | None
    tags: TagSpec | None
    missing: Literal["", "empty"] = ""
    """Extraction: `empty` if a row without an answer has nothing to extract; else it is dropped, or a problem."""
    UNWRITTEN: ClassVar = frozenset({"missing"})


class MessagesSpec(Unordered):
    column: str
    role: str
    content: str
    roles: tuple[tuple[str, str], ...]
    """(value in the data, system, user, assistant or tool)."""
    system: str
    tools: str
    UNORDERED: ClassVar = ("roles",)


class PairSpec(Value):
    prompt: str
    chosen: str
    rejected: str


Shape = Literal[
    "auto", "columns", "openai_messages", "sharegpt", "alpaca", "prompt_completion", "dpo", "kto"
]
CheckAction = Literal["fail", "drop", "warn", "off", "mask"]
"""`mask` (personal data only): keep the row, with placeholders instead of the data."""


class ColumnFile(Value):
    column: str
    written: str
    """The path in the recipe: from its folder, in the archive, or in the repository."""
    ref: Reference
    """In the same folder, archive or repository as the source."""


class Source(Value):
    ref: Reference
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "lines", "text", "xml"] = (
        "auto"
    )
    header: tuple[str, ...] = ()
    encoding: str = "utf-8"
    quoting: Literal["auto", "double", "none"] = "auto"
    """`auto`: double quotes for csv, none for tsv."""
    config: str = ""
    split: str = ""
    hub_file: str = ""
    """Hub data sets: a file of the repository instead of a configuration."""
    records: str = ""
    """JSON: key path of the array whose items are rows; XML: the element of a row; empty for the top."""
    explode: str = ""
    columns: tuple[ColumnFile, ...] = ()
    weight: float = 1.0
    """Times that a training row of this source is seen in an epoch; below 1, that share of its rows."""
    into: Literal["", "train", "validation", "holdout"] = ""
    split_at: Literal["", "blank_lines"] = ""
    """Format `lines`: the end of a row; empty for the end of each line."""
    delimiter: str = ""


class Sample(Value):
    rows: int
    seed: int


class Checks(Value):
    duplicates: CheckAction
    conflicting_labels: CheckAction
    leakage: CheckAction
    truncation: CheckAction
    empty: CheckAction
    unknown_labels: CheckAction
    imbalance: CheckAction
    near_duplicates: CheckAction
    label_errors: CheckAction
    missing_classes: CheckAction
    output_format: CheckAction
    schema_violations: CheckAction
    mojibake: CheckAction
    control_characters: CheckAction
    personal_data: CheckAction
    languages: CheckAction
    template_tokens: CheckAction
    label_in_input: CheckAction

    @property
    def keeps_splits_apart(self) -> bool:
        """Whether no training row may be in the holdout, even nearly."""
        return self.leakage in ("fail", "drop")


class Replay(Value):
    """General text that is trained with the rows; it is in no split."""

    share: float
    sources: tuple[Source, ...]
    """One for each file, as in `Data`; none for samples of the base model."""
    input: str = "{text}"

    @property
    def is_sampled(self) -> bool:
        return not self.sources


class Data(Value):
    sources: tuple[Source, ...]
    """One for each file: a pattern of the recipe is replaced by the files that it matched, sorted."""
    shape: Shape
    label: LabelSpec | None
    answer: AnswerSpec | None
    messages: MessagesSpec | None
    pair: PairSpec | None
    sample: Sample | None
    checks: Checks
    synthesize: Synthesize | None = None
    replay: Replay | None = None


SplitName = Literal["train", "validation", "holdout"]
SplitBy = Literal["random", "stratified", "group", "time", "column", "files", "files_order"]
BY_ORDER: Final = ("time", "files_order")
"""Ways in which the last rows are the holdout: by a column of times, or in the order of the files."""
Size = int | float | Literal["all"]
"""Rows, a fraction, or all that the files have for it (for train: all others)."""
FROM_TRAIN: Final = "from_train"
"""Size of a validation split that `method.keep: best` needs and the recipe lacks: part of the training rows."""
ValidationSize = Size | Literal["from_train"]


class Splits(Value):
    by: SplitBy
    column: str
    """Column of the group, the time or the split; empty for the other ways."""
    train: Size = "all"
    validation: ValidationSize = "all"
    holdout: Size
    """With folds: one fold, the fraction 1 / folds."""
    folds: int
    """Cross-validation: each row is in the holdout of one of so many trainings; 0 for none."""
    seed: int


BaselineKind = Literal[
    "majority",
    "tfidf_svm",
    "encoder_linear",
    "encoder_tuned",
    "byte_frequencies",
    "compressor",
    "zero_shot",
    "few_shot",
    "retrieved_few_shot",
    "longer_answer",
    "untouched",
    "model",
]


class Endpoint(Value):
    url: str
    model: str
    api_key_env: str
    """Environment variable of the key; empty without a key."""
    input_price: float
    output_price: float
    withheld: tuple[Outside, ...] = ()
    """Things that would be sent to it and were not allowed: then it gets no request."""


class Baseline(Value):
    kind: BaselineKind
    name: str
    """Its name in reports and files: the kind, or the name of a model or an encoder in the recipe."""
    shots: int = 0
    """Answered examples in each prompt; 0 for the kind's own number (a model: none)."""
    ref: Reference | None = None
    """model: a transformers model; encoder_linear, encoder_tuned: a sentence encoder."""
    optional: bool = False
    """encoder_linear, encoder_tuned: skipped if the encoder cannot be fetched."""
    gguf: PathRef | None = None
    endpoint: Endpoint | None = None


class TeacherInputs(Value):
    sources: tuple[Source, ...]
    """One for each file, as in `Data`; none if only soft targets of the labelled rows are learned."""
    rows: int


class SoftTargets(Value):
    temperature: float
    weight: float
    compare_with_answers: bool = False


class Teacher(Value):
    model: Baseline
    """A baseline of the kind `model`, or one of the recipe's own that learn from rows."""
    inputs: TeacherInputs
    min_confidence: float | None
    """`keep.confidence.min`: answers below it are dropped; None keeps all."""
    stop_if_teacher_is_no_better: bool
    soft: SoftTargets | None = None
    """None: only its answers are learned."""


class Agreement(Value):
    votes: int
    min: int
    judge: Baseline | None = None
    """None: the teacher that wrote the rows."""


class Synthesize(Value):
    teacher: Baseline
    rows: int
    max_cost: float | None
    balance: Literal["labels", "as_data"]
    examples: int
    vary: tuple[tuple[str, tuple[str, ...]], ...]
    prompt: str
    """Empty for a prompt that is made of the task's instruction."""
    temperature: float
    seed: int
    agreement: Agreement
    max_share: float
    review: str


class MethodDefault(Value):
    key: str
    value: Json
    reason: str


class EarlyStopping(Value):
    patience: int


PreferenceLoss = Literal["dpo", "ipo", "orpo", "simpo", "kto"]


class Preference(Value):
    loss: PreferenceLoss
    beta: float
    """Weight of the log-probabilities; with IPO and DPO also of the distance to the base model."""
    answer_weight: float = 0.0
    gamma: float = 0.0
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    @property
    def has_reference(self) -> bool:
        """Whether rewards are measured against the base model."""
        return self.loss in ("dpo", "ipo", "kto")

    @property
    def reads_pairs(self) -> bool:
        return self.loss != "kto"


class TrainOnly(Value):
    layers: str | tuple[int, ...] | None = None
    """`last_N`, or numbers from 0; None: no layer."""
    embeddings: bool = False


class Scheduler(Value):
    name: Literal["cosine", "linear", "constant_then_decay"]
    decay: float | None = None
    """Share of all steps in which it falls; None if it falls from the first one on."""
    floor: float = 0.0


class Method(Value):
    kind: Literal["lora", "qlora", "full"]
    rank: int
    alpha: int
    dropout: float
    target_modules: Literal["all_linear", "attention"] | tuple[str, ...]
    dora: bool = False
    rslora: bool = False
    ranks: tuple[tuple[str, int], ...] = ()
    """Ranks of single modules, by name, instead of `rank`."""
    layers: str | tuple[int, ...] | None = None
    """Layers with an adapter: `last_N`, or numbers from 0; None: all."""
    train_only: TrainOnly | None = None
    epochs: float
    """0 with `tokens`."""
    tokens: int | None = None
    """Number of trained tokens, over all epochs."""
    min_steps: int | None = None
    max_steps: int | None = None
    learning_rate: float
    scheduler: Literal["cosine", "linear", "constant"] | Scheduler
    warmup_ratio: float
    weight_decay: float
    loraplus_lr_ratio: float = 1.0
    """Learning rate of B as a multiple of that of A."""
    neftune_alpha: float | None = None
    loss_on: Literal["answers", "everything"] = "answers"
    batch_size: int
    micro_batch_size: int
    max_length: int
    packing: bool = False
    evaluations_per_epoch: int
    early_stopping: EarlyStopping | None
    keep: Literal["best", "last"]
    gradient_checkpointing: bool
    seed: int
    seeds: tuple[int, ...] = ()
    preference: Preference | None = None


class Backend(Value):
    name: str
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    overrides: tuple[tuple[str, Json], ...]


class Sweep(Value):
    settings: tuple[Method, ...]
    """In the order of the recipe; in a grid, the last key varies fastest."""
    choose_by: str


Direction = Literal["min", "max"]


class Threshold(Value, order=True):
    """One bound on one metric, such as `f1.negative` min 0.75."""

    metric: str
    direction: Direction
    bound: float


class MinGain(Value, order=True):
    """The tuned model must beat every baseline on `metric` by `min_gain`, paired."""

    metric: str
    min_gain: float


class MaxDrop(Value, order=True):
    """A model may lose at most `max_drop` of `metric` against another: the quantized file against the merged model."""

    metric: str
    max_drop: float


class Probe(Value):
    name: str
    kind: Literal["builtin", "multiple_choice", "cloze", "minimal_pairs"]
    source: Source | None = None
    """None for `builtin`."""
    limit: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    """(part, column), for names that are not the usual ones."""


class GeneralText(Value):
    source: Source | None
    """None for the sentences of the built-in probes."""
    input: str
    limit: int
    max_rise: float
    """`bits_per_byte.max_rise`: after minus before."""


class Forgetting(Value):
    probes: tuple[Probe, ...]
    max_drop: float
    text: GeneralText | None = None


class LogProbabilityDrift(Value):
    max_drop: float
    """Nats per token, base model minus tuned model."""


class LengthDrift(Value):
    max_ratio: float


class Drift(Value):
    chosen_log_probability: LogProbabilityDrift | None = None
    answer_length: LengthDrift | None = None


class Least(Value):
    min: float


class Selective(Value):
    accuracy: Least
    coverage: Least


class AgainstTeacher(Value):
    drops: tuple[MaxDrop, ...]
    max_parameters: float | None
    min_speed: float | None


class SyntheticReview(Value):
    min_reviewed: float | None
    """Rows, or below 1 a share of the kept rows; None: no row has to be reviewed."""
    max_wrong: float | None
    """Bound on the upper end of the interval; None: wrong rows are dropped, and not gated."""


class Acceptance(Unordered):
    confidence: float
    decide_on: Literal["lower_bound", "point"]
    metrics: tuple[Threshold, ...]
    over_baselines: tuple[MinGain, ...]
    max_overfitting_gap: float | None
    """Most that train may be above validation in the kind's main metric; None: not gated."""
    over_previous: tuple[MaxDrop, ...] = ()
    forgetting: Forgetting | None = None
    drift: Drift | None = None
    against_teacher: AgainstTeacher | None = None
    synthetic: SyntheticReview | None = None
    over_without_synthetic: tuple[MinGain, ...] = ()
    stride: int | None = None
    """Tokens by which a window moves over the documents of an evaluation; None: blocks of `method.max_length`."""
    selective: Selective | None = None

    UNORDERED: ClassVar = ("metrics", "over_baselines", "over_previous", "over_without_synthetic")


MIN_PARITY: Final = 0.98
"""Default of `export.parity.agreement.min`."""
ONNX: Final = "onnx"
"""The format that is a graph, in a folder of its name."""


class Export(Unordered):
    formats: tuple[Literal["safetensors", "gguf", "ollama", "onnx"], ...]
    quantizations: tuple[str, ...]
    """llama.cpp's names, in the order of the recipe: Q4_K_M, Q8_0, …; the smallest that passes is exported."""
    max_drops: tuple[MaxDrop, ...]
    """`after_quantization.<metric>.max_drop`."""
    thresholds: tuple[Threshold, ...]
    """`after_quantization.<metric>.min|max`; one metric is `agreement` with the merged model."""
    importance_matrix: bool = False
    calibrate: bool | None = None
    """Fit a temperature to the answers to validation rows; with `acceptance.selective` always."""
    min_parity: float = MIN_PARITY
    """Agreement of adapter and merged model, and of merged model and each form that should lose nothing."""
    graph_precision: Literal["fp32", "fp16"] | None = None
    """Precision of the weights of a graph; None: fp32."""

    UNORDERED: ClassVar = ("formats", "max_drops", "thresholds")

    @property
    def has_quantized_file(self) -> bool:
        return not {"gguf", "ollama"}.isdisjoint(self.formats)

    @property
    def has_graph(self) -> bool:
        return ONNX in self.formats


class Waiver(Value):
    what: str
    why: str


class Recipe(Value, eq=False):
    name: str
    description: str
    file: Path
    extends: str = ""
    """The parent, as the recipe names it, which is merged in; empty without one."""
    allow_moving: bool
    task: Task
    base_model: BaseModel
    data: Data
    splits: Splits
    baselines: tuple[Baseline, ...]
    stop_if_baseline_passes: bool
    learning_curve: bool
    method: Method
    """With a sweep: the method that its settings change."""
    acceptance: Acceptance
    export: Export
    backend: Backend
    teacher: Teacher | None = None
    sweep: Sweep | None = None
    waivers: tuple[Waiver, ...] = ()
    method_defaults: tuple[MethodDefault, ...] = ()
    """Keys of `method` that the file lacks, with the reasons for their values."""

    def __eq__(self, other: object) -> bool:
        """Compare all but `method_defaults`: a file with every default written out is the same recipe."""
        compared = self.__struct_fields__[: self.__struct_fields__.index("method_defaults")]
        return isinstance(other, Recipe) and all(
            getattr(self, name) == getattr(other, name) for name in compared
        )

    __ne__ = object.__ne__  # the opposite: a Struct has a comparison of its own
    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    @property
    def headline(self) -> str:
        bounded = (one.metric for one in self.acceptance.metrics)
        return headline(self.task.kind, bounded, answer_pattern=self.task.answer_pattern)

    @property
    def file_thresholds(self) -> tuple[Threshold, ...]:
        """Bounds of the quantized file: the tuned model's and its own, the stricter of two on a metric."""
        strictest: dict[tuple[str, str], Threshold] = {}
        for bound in (*self.acceptance.metrics, *self.export.thresholds):
            known = strictest.setdefault((bound.metric, bound.direction), bound)
            if (bound.bound > known.bound) == (bound.direction == "min"):
                strictest[bound.metric, bound.direction] = bound
        return tuple(strictest.values())

    @property
    def calibrates(self) -> bool:
        """Whether a temperature is fitted to the answers to validation rows."""
        return bool(self.export.calibrate) or self.acceptance.selective is not None

    @property
    def rows_added_by(self) -> Literal["", "synthesize", "teach"]:
        """The one stage that adds rows to those of the sources; empty without one."""
        if self.data.synthesize is not None:
            return "synthesize"
        # A teacher without rows to answer gives probabilities for the rows of the sources.
        return "teach" if self.teacher is not None and self.teacher.inputs.sources else ""
