"""Where rows come from, and what is checked of them: `data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.recipe.model.columns import AnswerSpec, LabelSpec, MessagesSpec, PairSpec
from engine.recipe.model.references import Reference

Shape = Literal[
    "auto",
    "columns",
    "openai_messages",
    "sharegpt",
    "alpaca",
    "prompt_completion",
    "dpo",
    "kto",
]
CheckAction = Literal["fail", "drop", "warn", "off", "mask"]
"""`mask` (personal data only): keep the row, with what was found put behind a placeholder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFile:
    """A file that is read line by line beside a source of format `lines`."""

    column: str
    written: str
    """As the recipe says it: a path from the recipe's folder, in the archive, or in the repository."""
    ref: Reference
    """Where it is: the same folder, archive or repository as the source's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place rows come from."""

    ref: Reference
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "lines", "text", "xml"]
    header: tuple[str, ...]
    """Column names of a file that has no header line; empty when it has one."""
    encoding: str
    quoting: Literal["auto", "double", "none"]
    """`auto`: double quotes for csv, none for tsv."""
    config: str
    """Hub data sets: configuration name; empty for the only one."""
    split: str
    """Hub data sets: which split to read; empty elsewhere."""
    hub_file: str
    """Hub data sets: one file of the repository instead of a configuration; empty for none."""
    records: str
    """JSON: key path of the array whose items are rows; XML: the element of a row; empty for the top."""
    explode: str
    """Column holding a list: one row for each item, in the place of the list; empty for none."""
    columns: tuple[ColumnFile, ...]
    """More files of format `lines`, read line by line beside this one."""
    weight: float
    """How often a training row of this source is seen in an epoch; below 1, that share of its rows."""
    into: Literal["", "train", "validation", "holdout"] = ""
    """The split its rows belong to (`splits.by: files`); empty where the engine decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A seeded sample of the rows, drawn after labelling and cleaning."""

    rows: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What to do about each kind of trouble in the data."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Rows in, examples out."""

    sources: tuple[Source, ...]
    """One for each file: a glob of the recipe stands here as the files it matched, sorted."""
    shape: Shape
    label: LabelSpec | None
    """Classification and multilabel."""
    answer: AnswerSpec | None
    """Extraction and generation; None where the shape says it."""
    messages: MessagesSpec | None
    """Chat; None where the shape says it."""
    pair: PairSpec | None
    """Preference; None where the shape says it."""
    sample: Sample | None
    """None: every row."""
    checks: Checks
