"""What `recipe data` shows, as a value; `engine.data_view.view` makes it, `engine.render.data` writes it."""

from __future__ import annotations

from engine.evidence import DataSummary
from engine.values import Value


class Lengths(Value):
    """How long the rows of one split are, in tokens or characters."""

    split: str
    rows: int
    """In the split."""
    measured: int
    """Rows that were measured: all, or as many drawn evenly."""
    median: int
    p95: int
    """Nearest rank: 95 of 100 rows are at most this long."""
    longest: int
    over: int | None
    """Measured rows over the limit; None where lengths are not in tokens."""


class ShownExample(Value):
    """An example in a line or two."""

    id: str
    origin: str
    split: str
    labels: tuple[str, ...]
    input: str
    target: str
    beside: tuple[str, ...] = ()
    """What stands beside the answer: other right ones, the rejected one, the thumb it got."""


class TrainingRows(Value):
    """How many rows a run trains, as `recipe plan` has it too."""

    train: int
    validation: int
    of: int
    """Training rows in the data, before any is left out for its length or cut into blocks."""
    counted: bool
    """By the base model's tokenizer, or nothing changes them; else `train` is an estimate or `of`."""
    steps: int | None
    """None while a sweep has not chosen the method, or while a stage adds rows."""
    note: str
    """In words, where not simply the rows of the split are trained."""
    stops_early: bool = False
    """`steps` are the most: the recipe asks for early stopping."""
    added_by: str = ""
    """The stage whose rows are trained beside these, so that nothing here is the number of all; empty for none."""


class DataView(Value):
    """All of it."""

    recipe: str
    kind: str
    summary: DataSummary | None
    """None where the rows could not be divided."""
    refusing: tuple[str, ...] = ()
    """Checks that stop a run."""
    unit: str = "tokens"
    """Of the lengths: `tokens` or `characters`."""
    why_characters: str = ""
    max_length: int = 0
    lengths: tuple[Lengths, ...] = ()
    notes: tuple[str, ...] = ()
    """What rendering has to say: rewritten chats, documents in blocks."""
    training: TrainingRows | None = None
    """None where a run would stop before it trains."""
    thumbs: tuple[str, ...] = ()
    """Of rows with one answer and a thumb: how many of either kind each split has."""
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
    """Of a preference pair: the other answer."""
    tokens: int | None = None
    """None where there was no tokenizer."""
    supervised: int | None = None
    note: str = ""
    """A remark for people, such as that it is too long."""
