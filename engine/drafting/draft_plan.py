"""What can still change while a draft is checked: the sizes of its splits, its checks, its lengths and its bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Final

from engine.data.prepare import Prepared
from engine.data.splitting.column import place_of
from engine.data.token_estimate import estimated_tokens, is_english, row_text
from engine.drafting.column_profile import KEPT, Profile
from engine.drafting.gather import Gathered
from engine.drafting.guess import Guess
from engine.drafting.label_names import Labels, question, task_labels
from engine.drafting.roles import Grouping
from engine.evidence import DataSummary
from engine.kinds import KINDS, AnswerForm, Kind
from engine.metrics.power import ROWS, Spread, ThresholdRule, macro_f1, passing_value
from engine.metrics.power_text import JudgingRows
from engine.recipe.metrics import is_lower_better
from engine.recipe.model import Reference, Task
from engine.values import Value

CONFIDENCE: Final = 0.95
STEP: Final = 0.05
ALMOST_ALL: Final = 0.99
"""What a good model reaches of a share that has to be near 1: its bound is lowered as far as need be."""
FOLDED: Final = range(25, 500)
"""Numbers of rows that folds divide: a quarter of so few shows only bounds far below what a good model is worth."""
FEWEST: Final = 2
"""Rows of a holdout."""
CAUTION: Final = 1.2
"""Rather too many tokens than too few: `recipe data` refuses rows that are longer than the recipe allows."""
LENGTHS: Final = (128, 256, 512, 1024, 2048, 4096, 8192)
"""Tokens that a draft may ask for; the base model of a draft reads the last."""
LONGEST: Final = 2048
AROUND: Final = 64
"""Tokens that the chat template writes around a question and its answer, at most."""
TURN: Final = 15
"""The same of a further turn."""


class Sizes(Value):
    validation: int
    holdout: int
    folds: int = 0
    """0: the rows of the holdout are evaluated."""


def sizes_for(rows: int, *, is_folded: bool) -> Sizes:
    """Return round numbers: a holdout of a quarter, at most 1,000, and a tenth to validate; few rows in folds."""

    def rounded(count: float) -> int:
        step = 50 if count >= 100 else 10 if count >= 20 else 1
        return int(count // step * step)

    return Sizes(
        validation=max(1, rounded(min(500, rows * 0.1))),
        holdout=max(FEWEST, rounded(min(1000, rows * 0.25))),
        folds=5 if is_folded and rows in FOLDED else 0,
    )


def shown_bound(most: float, *, rows: float, spread: Spread = ROWS) -> float:
    """Return the highest bound, from `most` down, that a good model shows with power 0.80; `most` where none is.

    A good model misses half of what the bound lets it miss, or `ALMOST_ALL` of the rows are right.
    """
    is_near_one = most > ALMOST_ALL - STEP
    least = STEP if is_near_one else max(STEP, most - 0.3)
    for step in range(round((most - least) / STEP) + 1):
        bound = round(most - step * STEP, 2)
        rule = ThresholdRule(bound=bound, confidence=CONFIDENCE)
        needed = passing_value(rule, rows=round(rows), spread=spread)
        if needed is not None and needed <= (ALMOST_ALL if is_near_one else (1 + bound) / 2):
            return bound
    return most


@dataclass(kw_only=True)
class DraftPlan:
    name: str
    """What the recipe is drafted from: the name of a file or a folder."""
    target: Path
    model: Reference
    guess: Guess
    gathered: Gathered
    profile: Profile
    sizes: Sizes
    groupings: Sequence[Grouping] = ()
    """Columns by which rows belong together."""
    group: Grouping | None = None
    """The one by which they are divided."""
    checks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Check: (action, why)."""
    summary: DataSummary | None = None
    """What became of the rows when they were divided."""
    tokens: Sequence[float] = ()
    """Of each row with its question: estimates, rather too high."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.guess.kind]

    @cached_property
    def labels(self) -> Labels:
        return task_labels(self.guess, self.profile.columns)

    @property
    def by_files(self) -> bool:
        """Whether the data says which rows are for what."""
        return any(reading.into for reading in self.gathered.readings) or bool(self.guess.split)

    @property
    def validation(self) -> int:
        """Rows that are taken from those that train."""
        marks = self.profile.columns[self.guess.split].values if self.guess.split else ()
        given = {*self.profile.by_split, *(place_of(mark).split for mark in marks)}
        return 0 if self.by_files and "validation" in given else self.sizes.validation

    @property
    def max_length(self) -> int:
        """The tokens that the longest row needs, as a power of two."""
        # Rows are left out rather than every step made longer, as long as they are few.
        are_few = self._longer_than(LONGEST) <= 0.1 * len(self.tokens)
        most, needed = LONGEST if are_few else LENGTHS[-1], max(self.tokens, default=0)
        return next(length for length in LENGTHS if length == most or needed <= length)

    @property
    def too_long(self) -> int:
        """Rows that may need more tokens than the draft asks for."""
        return self._longer_than(self.max_length)

    def _longer_than(self, tokens: int) -> int:
        return sum(size > tokens for size in self.tokens)

    def count_tokens(self, task: Task, prepared: Prepared) -> None:
        """Estimate the tokens of the rows; of two answers, with the longer one."""
        splits = chain(prepared.train, prepared.validation, prepared.holdout)
        rows = [row_text(task, row) for row in islice(splits, KEPT)]
        english = is_english(row.text for row in rows[:200])
        labels = ", ".join(self.labels.names) if "{labels}" in task.instruction else ""
        # Of many labels, those that are longer are balanced by others.
        asked = AROUND + estimated_tokens(labels)
        for text in (task.instruction, task.system):
            asked += CAUTION * estimated_tokens(text, english=is_english([text]))
        self.tokens = [
            round(CAUTION * estimated_tokens(row.text, english=english)) + TURN * max(0, row.turns - 2) + asked
            for row in rows
        ]  # fmt: skip
        if self.too_long:
            self.checks["truncation"] = ("drop", "the longest rows may not fit max_length")
        elif self.profile.rows > KEPT:
            self.checks["truncation"] = ("drop", "rows after the first may not fit max_length")

    @property
    def question(self) -> str:
        return question(self.guess, self.labels)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the bounds that a model must keep: what a useful one might; a person must say what is useful."""
        draft, labels = self.kind.draft, self.labels.names
        if not draft.metric:
            return {}
        if is_lower_better(draft.metric, self.kind.name):
            return {draft.metric: {"max": draft.threshold}}
        is_label = self.kind.answer is AnswerForm.LABEL
        harder = is_label and len(labels) > 10
        threshold = draft.threshold if not harder else 0.7 if len(labels) <= 50 else 0.6
        evaluated = JudgingRows.of(self.summary) if self.summary else None
        asked = self.profile.rows if self.sizes.folds else self.sizes.holdout
        evaluated = evaluated or JudgingRows(rows=self.profile.by_split.get("holdout", asked))
        is_macro = draft.metric == "macro_f1"
        spread = macro_f1(evaluated.portions(tuple(labels))) if is_macro else ROWS
        rows = evaluated.independent(CONFIDENCE)
        bounds = {draft.metric: {"min": shown_bound(threshold, rows=rows, spread=spread)}}
        if is_label:
            bounds["valid_output"] = {"min": shown_bound(0.95, rows=rows)}
        return bounds
