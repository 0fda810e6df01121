"""Whether the rows that judge became easier: how many of them the simplest model answers, before and now.

The model counts words (multinomial naive Bayes with one added to every count, as in Manning, Raghavan and Schütze,
Introduction to Information Retrieval, 13.2): it is fitted here on the training rows of each version, in plain Python,
since a review loads no library of models. It stands for the cheap baselines of a recipe and is not one of them, so what
it says is an estimate. Only for tasks with one label a row.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from engine.data.examples.example import Example
from engine.evidence.review import Effect, Finding
from engine.kinds import AnswerForm
from engine.review.compare import Versions
from engine.review.judges import OF_THE_JUDGES, Judges
from engine.review.rows import RowDivider
from engine.review.version import Side
from engine.values import dataclass

MOST_LEARNED: Final = 4000
"""Training rows that the model counts, evenly spaced."""
MOST_ASKED: Final = 2000
"""Judging rows that it answers, evenly spaced."""
CLEAR: Final = 2.0
"""Standard errors by which two shares of right answers have to differ."""
_WORD: Final = re.compile(r"\w+")


@dataclass(slots=True)
class WordCounts:
    """Naive Bayes over the words of texts."""

    _rows: Counter[str] = field(default_factory=Counter)
    """By label."""
    _words: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Of each word, by label."""
    _totals: Counter[str] = field(default_factory=Counter)

    def learn(self, text: str, label: str) -> None:
        """Count the words of one more text."""
        words = words_of(text)
        self._rows[label] += 1
        self._totals[label] += len(words)
        for word in words:
            self._words[word][label] += 1

    def answer(self, text: str, *, without: str = "") -> str:
        """Return the likeliest label. `without` is that of a text which was learned, and is answered without itself."""
        words = [word for word in words_of(text) if word in self._words]
        own = Counter(words)
        scores = {
            label: self._score(label, words, own if label == without else {})
            for label, rows in self._rows.items()
            if rows > (label == without)
        }
        # The first of equals by name, so that nothing depends on the order of rows.
        return max(sorted(scores), key=scores.__getitem__, default="")

    def _score(self, label: str, words: Sequence[str], own: Mapping[str, int]) -> float:
        total = self._totals[label] - sum(own.values()) + len(self._words)
        counts = (self._words[word][label] - own.get(word, 0) + 1 for word in words)
        rows = self._rows[label] - bool(own)
        return math.log(rows) + sum(math.log(count / total) for count in counts)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in small letters."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the model answers of the rows that judge."""

    right: int
    rows: int

    @property
    def share(self) -> float:
        """Of right answers."""
        return self.right / self.rows


def with_ease(
    findings: Sequence[Finding], judges: Judges, versions: Versions, rows: RowDivider
) -> list[Finding]:
    """Return the findings, the first that speaks of other judges with what became of how easy they are."""
    about = [one for one in findings if one.effect is Effect.WEAKER and one.code in OF_THE_JUDGES]
    if not about or judges.rows is None or judges.rows.is_same:
        return list(findings)
    before, now = (answered(side, rows) for side in (versions.old, versions.new))
    if before is None or now is None:
        return list(findings)
    says = "; ".join(filter(None, (about[0].says, ease_text(before, now))))
    return [replace(one, says=says) if one is about[0] else one for one in findings]


def answered(side: Side, rows: RowDivider) -> Answered | None:
    """Fit the model on the training rows of a version and ask it those that judge; None where they are not read."""
    if side.recipe.task.spec.answer is not AnswerForm.LABEL:
        return None
    training, judging = rows.training(side), rows.judging(side)
    if training is None or judging is None:
        return None
    with_folds = bool(side.recipe.splits.folds)
    asked = _spaced(judging, MOST_ASKED)
    if not asked:
        return None
    counts = WordCounts()
    # With folds every row is learned from and judges; each is then answered without itself.
    for row in asked if with_folds else _spaced(training, MOST_LEARNED):
        counts.learn(row.input, row.target)
    answers = [counts.answer(one.input, without=one.target if with_folds else "") for one in asked]
    right = sum(answer == one.target for answer, one in zip(answers, asked, strict=True))
    return Answered(right=right, rows=len(asked))


def ease_text(before: Answered, now: Answered) -> str:
    """Say whether the judges became easier, with the numbers that it rests on."""
    pooled = (before.right + now.right) / (before.rows + now.rows)
    error = math.sqrt(pooled * (1 - pooled) * (1 / before.rows + 1 / now.rows))
    difference = now.share - before.share
    is_clear = abs(difference) > CLEAR * error
    word = ("easier" if difference > 0 else "harder") if is_clear else "not clearly easier"
    return (
        f"{word} for a count of words (an estimate): {now.right} of {now.rows} right, "
        f"before {before.right} of {before.rows}"
    )


def _spaced(rows: Iterable[Example], most: int) -> list[Example]:
    """Return at most that many rows, evenly spaced."""
    listed = list(rows)
    step = -(-len(listed) // most) if listed else 1
    return listed[::step]
