"""What a model wrote for training, what of it was kept, and what people found in it."""

from __future__ import annotations

from engine.values import Number, Value, field


class Diversity(Value):
    """How much texts repeat each other: of the synthetic rows, and of as many training rows."""

    rows: int
    """Compared of each."""
    distinct: Number | None
    """Share of the runs of four words that are different ones; None where there are none."""
    real_distinct: Number | None
    nearest: Number | None
    """Mean share of words that a row has in common with its nearest other one; None for one row."""
    real_nearest: Number | None

    @property
    def is_low(self) -> bool:
        """Whether the synthetic rows have less than half as many different runs of words."""
        pair = self.distinct, self.real_distinct
        return None not in pair and 2 * (pair[0] or 0.0) < (pair[1] or 0.0)


class ReviewResult(Value):
    """What people found in a sample of the synthetic rows."""

    file: str
    """As the recipe names it."""
    is_there: bool
    drawn: int
    """Rows of the file that are synthetic rows of this run."""
    reviewed: int
    """Of them, those with a mark."""
    wrong: int
    wrong_high: Number | None
    """Upper end of the one-sided interval of the share that is wrong; None without a review."""
    strange: int = 0
    """Marked rows that are none of this run's."""


class SyntheticResult(Value):
    """Rows that were asked of a model, why some were refused, and what is trained on."""

    name: str
    note: str
    """Who it is and how it was asked."""
    judge: str
    """Who answered the rows again; empty for nobody."""
    requested: int
    """In the recipe."""
    asked: int
    """Fewer than requested where the budget was spent."""
    refused: dict[str, int] = field(default_factory=dict)
    """Rows that are not trained on, by reason, in the order in which was looked."""
    kept: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    """Kept rows by label."""
    train: int = 0
    """Training rows beside them."""
    votes: int = 0
    """Answers to written rows."""
    agreed: int = 0
    """Of them, those that are the wanted one."""
    diversity: Diversity | None = None
    """None without a kept row."""
    digest: str = ""
    """sha256 of the kept rows."""
    review: ReviewResult | None = None
    """None where the recipe names no file."""
    cost: Number | None = None
    """Of all that was asked, at the recipe's prices; None without them."""
    seconds: Number = 0.0
