"""What repeating shows: the trainings with other seeds, and a run beside the accepted run of its lock."""

from __future__ import annotations

from enum import StrEnum

from engine.evidence.measures import Interval, Metric
from engine.values import Number, Value


class SeedScores(Value):
    """One training of the recipe with a seed, judged on the holdout."""

    seed: int
    metrics: tuple[Metric, ...]
    agreement: Metric | None
    """With the answers of the first seed's model; None for that one, and for kinds without answers."""


class SeedSpread(Value):
    """One metric over all seeds."""

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
    """How a run stands to the accepted run that its lock records."""

    EXACT = "reproduced exactly"
    WITHIN_NOISE = "reproduced within noise"
    NOT = "not reproduced"
    REUSED = "reused, not reproduced"
    """Results of the store were taken, so nothing was shown."""
    OTHER_RECIPE = "another recipe"
    UNFINISHED = "not compared to the end"


class FactComparison(Value):
    """One fact of the lock beside the same fact of this run."""

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
    """Of found minus locked; it must lie within the margin on both sides."""
    margin: Number | None
    """None where nothing says how large the noise is."""
    margin_from: str
    """Where the margin comes from, in words."""
    holds: bool


class Reproduction(Value):
    """A run beside the accepted run of its lock."""

    verdict: Repeat
    summary: str
    """One sentence."""
    first_difference: str
    """What differed first, in the order of `FactComparison.part`; empty for nothing."""
    compared: tuple[FactComparison, ...] = ()
    equivalence: tuple[Equivalence, ...] = ()
    """Empty where it was not asked: the files are equal, or nothing was recomputed."""
    agreement: Metric | None = None
    """Share of holdout rows with the very answer of the lock."""
    agreement_required: Number | None = None
    agreement_from: str = ""
    """Where that bound comes from, in words."""
    reused: tuple[str, ...] = ()
    """Stages whose result was not recomputed."""
