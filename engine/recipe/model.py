"""The recipe as a value: frozen, fully resolved, no `None` that means "default".

Mirrors `schemas/recipe.schema.json`, section by section; a test walks both and fails on any difference. The schema
says what a key means; here fields say what differs. None, or nothing, is what a recipe does not have.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from engine.kinds import KINDS, Kind
from engine.recipe.metrics import headline
from engine.values import Value, replace

# What a recipe points at: models, data sets and files, on the hub, on the disk or in a package; and JSON.

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
    """Something outside the recipe's project that the recipe names: a file or folder, a server, a key for one."""

    code: str
    at: tuple[str | int, ...]
    reference: str
    """What it comes to, in the words that the user allows: `read /data/rows.csv`."""
    message: str
    option: tuple[str, str]
    """What allows it for one call: the option and its value."""
    allowed: bool


class HubRef(Value):
    repo: str
    revision: str | None = None
    """40 hex digits, or None where the recipe says `allow_moving`."""


class PathRef(Value):
    """A file or folder of the user's."""

    path: Path
    """Absolute, resolved against the recipe's folder."""
    written: str
    """As the recipe says it; this, not `path`, is shown."""
    sha256: str | None = None
    """Of the file's bytes, where the recipe pins it."""
    pattern: str = ""
    """The recipe's pattern that the file matched; empty for a path that is none."""
    # In the value itself, so that no reader of the path can forget to ask.
    withheld: tuple[Outside, ...] = ()
    """What of it is outside the recipe's project and was not allowed: then nothing of it is read."""


class PackageRef(Value):
    """A file inside a wheel or sdist of the Python package index: read as an archive, never installed."""

    name: str
    version: str
    sha256: str | None
    """Of the archive; None only where the recipe says `allow_moving`."""
    file: str
    """Path in the archive; `//` steps into an archive inside it."""


Reference = HubRef | PathRef | PackageRef


# What training starts from: `base_model`.


class FewerLayers(Value):
    """A model of which only some layers are kept."""

    of: Reference
    keep_layers: str | int | tuple[int, ...]
    """`every_second` or `every_third`, how many of the first ones, or their numbers, counted from 0."""


class NewTokenizer(Value):
    size: int


class Scratch(Value):
    """A blank model: blocks as in Llama, with weights drawn by seed."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    context: int
    seed: int
    tokenizer: NewTokenizer | Reference


BaseModel = Reference | FewerLayers | Scratch


# What the model is asked to do: `task`.


class Task(Value):
    kind: str
    """A name of `engine.kinds.KINDS`; `spec` says what is known of it."""
    instruction: str
    system: str
    input: str
    """Template over a row's columns: `{column}` or `{a.dotted.1.path}`; `{{` and `}}` are literal.

    Empty where the shape of the rows says what is read: chat, preference, generation without `data.answer`.
    """
    labels: tuple[str, ...]
    schema: Json
    output: Literal["text", "json"]
    out_of_scope: str = ""
    answer_pattern: str = ""
    """Generation: what its last match holds is the answer; empty for the whole text."""
    max_new_tokens: int = 0
    """Of an answer when a model is asked; 0 for the longest training answer and a few more."""

    @property
    def spec(self) -> Kind:
        """What is known of the task's kind; KeyError for a name that is none."""
        return KINDS[self.kind]


# Where in a row the label, the answer, the turns or the pair stand: `data.label` and the keys beside it.


class Bin(Value, order=True):
    """A numeric interval that stands for a label; both ends belong to it."""

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
    """Multilabel: `empty` where a row without the column has no label; else such a row is a problem.

    Null, a blank text and an empty list are no label whatever stands here.
    """
    UNWRITTEN: ClassVar = frozenset({"missing"})
    """Fields that came later: with their defaults they are in no stage key, so that those of older recipes stay."""

    UNORDERED: ClassVar = ("relabel", "bins")


class SpanSpec(Value):
    column: str
    name: str
    start: str
    """In each item: first character, from 0; missing means 0."""
    end: str
    of: str


class TagSpec(Value):
    """Answers marked as BIO tags, one for each word of a text."""

    column: str
    of: str


class AnswerSpec(Value):
    column: str
    """Generation: the text. Extraction: a JSON object, or a text that holds one. Empty for another way."""
    references: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    """Extraction: (field of the answer, column)."""
    spans: SpanSpec | None
    tags: TagSpec | None
    missing: Literal["", "empty"] = ""
    """Extraction: `empty` where a row without an answer has nothing to extract; else it is left out, or a problem."""
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


# Where rows come from, and what is checked of them: `data`.

Shape = Literal[
    "auto", "columns", "openai_messages", "sharegpt", "alpaca", "prompt_completion", "dpo", "kto"
]
CheckAction = Literal["fail", "drop", "warn", "off", "mask"]
"""`mask` (personal data only): keep the row, with what was found put behind a placeholder."""


class ColumnFile(Value):
    column: str
    written: str
    """As the recipe says it: a path from the recipe's folder, in the archive, or in the repository."""
    ref: Reference
    """Where it is: the same folder, archive or repository as the source's."""


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
    """Hub data sets: one file of the repository instead of a configuration; empty for none."""
    records: str = ""
    """JSON: key path of the array whose items are rows; XML: the element of a row; empty for the top."""
    explode: str = ""
    columns: tuple[ColumnFile, ...] = ()
    weight: float = 1.0
    """How often a training row of this source is seen in an epoch; below 1, that share of its rows."""
    into: Literal["", "train", "validation", "holdout"] = ""
    split_at: Literal["", "blank_lines"] = ""
    """Format `lines`: where a row ends; empty for the end of each line."""
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
        """Whether nothing that training sees may stand, even nearly, among what judges."""
        return self.leakage in ("fail", "drop")


class Replay(Value):
    """General text that is trained beside the rows; it is in no split."""

    share: float
    sources: tuple[Source, ...]
    """One for each file, as in `Data`; none where the base model's own samples are taken."""
    input: str = "{text}"

    @property
    def is_sampled(self) -> bool:
        return not self.sources


class Data(Value):
    sources: tuple[Source, ...]
    """One for each file: a glob of the recipe stands here as the files it matched, sorted."""
    shape: Shape
    label: LabelSpec | None
    answer: AnswerSpec | None
    messages: MessagesSpec | None
    pair: PairSpec | None
    sample: Sample | None
    checks: Checks
    synthesize: Synthesize | None = None
    replay: Replay | None = None


# How rows are divided: `splits`.

SplitName = Literal["train", "validation", "holdout"]
SplitBy = Literal["random", "stratified", "group", "time", "column", "files", "files_order"]
BY_ORDER: Final = ("time", "files_order")
"""Ways by which the last rows are the holdout: by a column of times, or as the files have them."""
Size = int | float | Literal["all"]
"""Rows, a fraction, or all that the files say (for train: all that is left)."""
FROM_TRAIN: Final = "from_train"
"""Size of a validation split that the recipe does not give and `method.keep: best` needs: part of the training rows."""
ValidationSize = Size | Literal["from_train"]


class Splits(Value):
    by: SplitBy
    column: str
    """Of the group, the time or the split; empty for the other ways."""
    train: Size = "all"
    validation: ValidationSize = "all"
    holdout: Size
    """With folds: what one fold is, the fraction 1 / folds."""
    folds: int
    """Cross-validation: each row is in the holdout of one of so many trainings; 0 for none."""
    seed: int


# What the tuned model has to beat: `baselines`.

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
    """The environment variable that holds the key; empty for none."""
    input_price: float
    output_price: float
    withheld: tuple[Outside, ...] = ()
    """What asking it would send that was not allowed: then it is not asked."""


class Baseline(Value):
    kind: BaselineKind
    name: str
    """What reports and files call it: the kind, or the name that the recipe gives a model or an encoder."""
    shots: int = 0
    """Answered examples in each prompt; 0 for the kind's own number (a model: none)."""
    ref: Reference | None = None
    """model: a transformers model; encoder_linear, encoder_tuned: a sentence encoder."""
    optional: bool = False
    """encoder_linear, encoder_tuned: left out where the encoder cannot be fetched."""
    gguf: PathRef | None = None
    endpoint: Endpoint | None = None


# Another model whose answers are learned from: `teacher`.


class TeacherInputs(Value):
    sources: tuple[Source, ...]
    """One for each file, as in `Data`; none where only soft targets of the labelled rows are learned."""
    rows: int


class SoftTargets(Value):
    temperature: float
    weight: float
    compare_with_answers: bool = False


class Teacher(Value):
    model: Baseline
    """Of the kind `model`, asked as a baseline is; or one of the recipe's own that learn from rows."""
    inputs: TeacherInputs
    min_confidence: float | None
    """`keep.confidence.min`: answers below it are left out; None keeps all."""
    stop_if_teacher_is_no_better: bool
    soft: SoftTargets | None = None
    """None: only its answers are learned."""


# Another model that writes training rows: `data.synthesize`.


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
    """Empty for one that is made of the task's instruction."""
    temperature: float
    seed: int
    agreement: Agreement
    max_share: float
    review: str


# How, and by whom, the base model is trained: `method` and `backend`.


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
    """Weight of the log-probabilities; of IPO and DPO also how near the model stays to its base."""
    answer_weight: float = 0.0
    gamma: float = 0.0
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    @property
    def has_reference(self) -> bool:
        """Whether rewards are measured against the untouched base model."""
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
    """Share of all steps in which it falls; None where it falls from the first one on."""
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
    """By module, over `rank`; by name."""
    layers: str | tuple[int, ...] | None = None
    """Which layers get an adapter: `last_N`, or numbers from 0; None: all."""
    train_only: TrainOnly | None = None
    epochs: float
    """0 where `tokens` says how long it is trained."""
    tokens: int | None = None
    """How many tokens are trained, over all epochs."""
    min_steps: int | None = None
    max_steps: int | None = None
    learning_rate: float
    scheduler: Literal["cosine", "linear", "constant"] | Scheduler
    warmup_ratio: float
    weight_decay: float
    loraplus_lr_ratio: float = 1.0
    """Rate of B as a multiple of that of A."""
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


# The settings that are tried before one becomes the model: `sweep`.


class Sweep(Value):
    settings: tuple[Method, ...]
    """In the order of the recipe; of a grid, the last key varies fastest."""
    choose_by: str


# What must hold of the tuned model: `acceptance`, and the bounds that `export` shares.

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
    """The quantized file may lose at most `max_drop` of `metric` against the merged model."""

    metric: str
    max_drop: float


class Probe(Value):
    name: str
    kind: Literal["builtin", "multiple_choice", "cloze", "minimal_pairs"]
    source: Source | None = None
    """None for `builtin`."""
    limit: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    """(what it holds, column), where the names are not the usual ones."""


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
    """Nats a token, base model minus tuned model."""


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
    """Rows, or below 1 a share of those that are kept; None: none has to be looked at."""
    max_wrong: float | None
    """By the upper end of the interval; None: wrong rows are left out, and not gated."""


class Acceptance(Unordered):
    confidence: float
    decide_on: Literal["lower_bound", "point"]
    metrics: tuple[Threshold, ...]
    over_baselines: tuple[MinGain, ...]
    max_overfitting_gap: float | None
    """How far train may stand above validation in the kind's main metric; None: not gated."""
    over_previous: tuple[MaxDrop, ...] = ()
    forgetting: Forgetting | None = None
    drift: Drift | None = None
    against_teacher: AgainstTeacher | None = None
    synthetic: SyntheticReview | None = None
    over_without_synthetic: tuple[MinGain, ...] = ()
    stride: int | None = None
    """Tokens by which a window moves over documents that are judged; None: blocks of `method.max_length`."""
    selective: Selective | None = None

    UNORDERED: ClassVar = ("metrics", "over_baselines", "over_previous", "over_without_synthetic")


# What leaves, and what it must keep: `export`.

MIN_PARITY: Final = 0.98
"""Where a recipe gives none."""
ONNX: Final = "onnx"
"""The format that is a graph, in a folder of its name."""


class Export(Unordered):
    formats: tuple[Literal["safetensors", "gguf", "ollama", "onnx"], ...]
    quantizations: tuple[str, ...]
    """llama.cpp's names, in the order of the recipe: Q4_K_M, Q8_0, …; the smallest that passes leaves."""
    max_drops: tuple[MaxDrop, ...]
    """`after_quantization.<metric>.max_drop`."""
    thresholds: tuple[Threshold, ...]
    """`after_quantization.<metric>.min|max`, among them `agreement` with the merged model."""
    importance_matrix: bool = False
    calibrate: bool | None = None
    """Fit a temperature to the answers to validation rows; with `acceptance.selective` always."""
    min_parity: float = MIN_PARITY
    """Agreement of adapter and merged model, and of merged model and each form that should lose nothing."""
    graph_precision: Literal["fp32", "fp16"] | None = None
    """Of the weights of a graph; None: fp32."""

    UNORDERED: ClassVar = ("formats", "max_drops", "thresholds")

    @property
    def has_quantized_file(self) -> bool:
        return not {"gguf", "ollama"}.isdisjoint(self.formats)

    @property
    def has_graph(self) -> bool:
        return ONNX in self.formats


# The whole recipe, and what it waives.


class Waiver(Value):
    what: str
    why: str


class Recipe(Value, eq=False):
    name: str
    description: str
    file: Path
    extends: str = ""
    """The parent, as the recipe names it; what it says is merged in. Empty for none."""
    allow_moving: bool
    task: Task
    base_model: BaseModel
    data: Data
    splits: Splits
    baselines: tuple[Baseline, ...]
    stop_if_baseline_passes: bool
    learning_curve: bool
    method: Method
    """With a sweep: what its settings change."""
    acceptance: Acceptance
    export: Export
    backend: Backend
    teacher: Teacher | None = None
    sweep: Sweep | None = None
    waivers: tuple[Waiver, ...] = ()
    method_defaults: tuple[MethodDefault, ...] = ()
    """Keys of `method` that the file leaves open, with the reason of their values."""

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
        """What the quantized file must keep: the tuned model's bounds and its own, the stricter of two on a metric."""
        strictest: dict[tuple[str, str], Threshold] = {}
        for one in (*self.acceptance.metrics, *self.export.thresholds):
            known = strictest.setdefault((one.metric, one.direction), one)
            if (one.bound > known.bound) == (one.direction == "min"):
                strictest[one.metric, one.direction] = one
        return tuple(strictest.values())

    @property
    def calibrates(self) -> bool:
        """Whether a temperature is fitted to the answers to validation rows."""
        return bool(self.export.calibrate) or self.acceptance.selective is not None

    @property
    def rows_added_by(self) -> Literal["", "synthesize", "teach"]:
        """The stage that adds rows to those of the sources; empty for none, and a recipe has one at most."""
        if self.data.synthesize is not None:
            return "synthesize"
        # without rows to answer a teacher gives probabilities of those that are there
        return "teach" if self.teacher is not None and self.teacher.inputs.sources else ""
