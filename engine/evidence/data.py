"""The rows of a run: read, found, dropped and split, and how often the holdout was used."""

from __future__ import annotations

from engine.values import Number, Value, field


class Lengths(Value):
    split: str
    rows: int
    """Rows of the split."""
    measured: int
    """Rows that were measured: all, or as many drawn evenly."""
    median: int
    p95: int
    """Nearest rank: 95 of 100 rows are at most this long."""
    longest: int
    over: int | None
    """Measured rows over the limit; None where lengths are not in tokens."""


class ShownExample(Value):
    id: str
    origin: str
    split: str
    labels: tuple[str, ...]
    input: str
    target: str
    beside: tuple[str, ...] = ()
    """Texts besides the answer: other right ones, the rejected one, its thumb."""


class TrainingRows(Value):
    """The number of rows that a run trains, as `recipe plan` has it too."""

    train: int
    validation: int
    of: int
    """Training rows in the data, before any is left out for its length or cut into blocks."""
    counted: bool
    """Whether the number is exact: counted by the base model's tokenizer, or changed by nothing."""
    steps: int | None
    """None while a sweep has not chosen the method, or while a stage adds rows."""
    note: str
    """A remark where the trained rows are not simply those of the split."""
    stops_early: bool = False
    """`steps` are the most: the recipe asks for early stopping."""
    added_by: str = ""
    """The stage whose rows are trained beside these, so that nothing here is the number of all; empty for none."""


class DataView(Value):
    recipe: str
    kind: str
    summary: DataSummary | None
    """None where the rows could not be divided."""
    refusing: tuple[str, ...] = ()
    """Checks that stop a run."""
    unit: str = "tokens"
    """The unit of the lengths: `tokens` or `characters`."""
    why_characters: str = ""
    max_length: int = 0
    lengths: tuple[Lengths, ...] = ()
    notes: tuple[str, ...] = ()
    """Remarks of rendering: rewritten chats, documents in blocks."""
    training: TrainingRows | None = None
    """None where a run would stop before it trains."""
    thumbs: tuple[str, ...] = ()
    """Rows with one answer and a thumb: how many of either kind each split has."""
    examples: tuple[ShownExample, ...] = ()
    row: ShownRow | None = None


class ShownSegment(Value):
    """A stretch of text and whether it is learned from."""

    text: str
    supervised: bool


class ShownRow(Value):
    """One row as the model sees it."""

    id: str
    origin: str
    split: str
    segments: tuple[ShownSegment, ...]
    """Without a tokenizer: the text itself, unmarked."""
    rejected: tuple[ShownSegment, ...] = ()
    """The other answer of a preference pair."""
    tokens: int | None = None
    """None where there was no tokenizer."""
    supervised: int | None = None
    note: str = ""
    """A remark for people, such as that it is too long."""


class RowCounts(Value):
    model: str
    """sha256 of the file that was asked, or the key of the weights."""
    temperature: Number
    """Temperature of the probabilities; 1 where they are not calibrated."""
    abstain_below: Number | None
    rows: int
    """Rows that were answered; blank ones are not."""
    abstained: int
    labels: tuple[tuple[str, int], ...]
    """How often each was the most probable answer, abstained or not; empty for kinds without labels."""
    confidence: tuple[int, ...]
    """Answers by probability, in bins of 0.05; all 0 where answers have none."""
    characters: tuple[int, ...]
    """Rows by the length of the question: below 2, 4, 8, … characters."""
    similarity: tuple[int, ...] = ()
    """Rows by how similar the nearest training row is, in bins of 0.05; empty where no training rows were at hand."""


class CountDifference(Value):
    """One thing in which two counts were compared."""

    what: str
    """`labels`, `confidence`, `characters`, `similarity` or `abstained`."""
    effect: Number
    """0 to 1: the share of rows that is elsewhere (labels, abstained), or the largest distance of cumulative shares."""
    p_value: Number
    p_adjusted: Number
    """Corrected by Holm over all comparisons."""
    differs: bool


class DataFinding(Value):
    check: str
    action: str
    """fail, drop, warn or off, from the recipe."""
    count: int
    message: str
    examples: tuple[str, ...] = ()
    """Places such as `reviews.csv:17`, at most ten, with a short excerpt."""


class SplitSummary(Value):
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
    group_sizes: tuple[tuple[int, int], ...] = ()
    """(rows, groups of so many rows), from the smallest on; empty unless divided by group."""
    span: tuple[str, str] | None = None
    """First and last time, as written; None unless divided by time."""
    asked: int | None = None
    """Rows that the recipe asks for; None where it asks for a share or for all."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that checks dropped after the draw, by check."""
    replaced: int = 0
    """Unused rows that took the places of these."""


class SplitLengths(Value):
    """The rows of a split by their length, counted by the base model's tokenizer."""

    split: str
    """`train`, `validation` or `holdout`."""
    given: int
    """Rows of an epoch, as the data stage counts them: those of weighted sources as often as they are seen."""
    used: int
    """Rows of an epoch that are trained or judged; documents count by their blocks."""
    left_out: int
    """Rows of `given` that are left out, longer than `max_length`; never of the holdout."""
    left_out_marked: int
    """Rows of `given` that are left out for tokens of the chat template."""
    cut: int
    """Rows of `given` that are shortened to `max_length`; never of the holdout."""
    longest: int
    """Tokens of the longest row that is used."""
    max_length: int
    """The `max_length` of the recipe's method."""
    over_max_length: int
    """Used rows that are longer; only of the holdout, which is asked whole."""
    window: int | None
    """Tokens that the base model reads at most; None where its configuration does not say."""
    over_window: int
    """Used rows that are longer."""


class SourceSummary(Value):
    """The rows of one file or data set."""

    name: str
    """Its file name, or the hub repository."""
    shape: str
    """The layout of its rows: `openai_messages`, `sharegpt`, …; `columns` where the recipe names them."""
    rows_read: int
    rows_used: int
    weight: Number = 1.0
    into: str = ""


class Firewall(Value):
    """The proof that nothing trained on stands in the holdout."""

    method: str
    """The texts that were compared, how, and above which similarity, in one sentence."""
    similarity: Number
    """Jaccard similarity from which two texts are near matches."""
    compared: int
    """Rows of train and validation that were compared with every row of the holdout."""
    found_exact: int
    """Holdout rows with an equal text in train or validation, before anything was dropped."""
    found_near: int
    removed: int
    """Rows of train and validation left out because of it."""
    left_exact: int
    """Like `found_exact`, in the rows that training sees: 0 unless the recipe says `warn` or `off`."""
    left_near: int


class Recorded(Value):
    """A holdout that the lock had recorded, compared with the present rows and those that are new."""

    kept: int
    """Holdout rows that stayed."""
    gone: int
    """Recorded holdout rows that the data no longer holds."""
    added: int
    """Holdout rows that were not recorded before."""
    new_rows: dict[str, int] | None
    """Rows that are new since the record, by split (`none` for those in no split); None where unknown."""


class DataSummary(Value):
    """The rows that the data stage read, dropped and split."""

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

    @property
    def rows_beside_holdout(self) -> int:
        """Rows of train and validation, once all that a check drops is left out."""
        return sum(split.rows for split in self.splits if split.name != "holdout")


class HoldoutUse(Value):
    digest: str
    """Digest of the holdout's rows."""
    looks: int
    """Runs in which a verdict was formed on it, this one included; reused verdicts are not new looks."""
    redraws: int
    """How often the recipe's holdout was replaced by another draw."""
