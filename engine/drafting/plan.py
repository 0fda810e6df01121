"""What is asked for while a draft is checked, and the labels that follow from it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from engine.drafting.guess import Guess
from engine.drafting.profile import ColumnProfile, Profile
from engine.drafting.reading import Reading
from engine.drafting.roles import labels_of
from engine.drafting.sizes import Sizes
from engine.kinds import KINDS, AnswerForm

MANY_CLASSES: Final = 12


@dataclass(slots=True, kw_only=True)
class DraftPlan:
    """What can still change while the draft is checked."""

    guess: Guess
    profile: Profile
    readings: tuple[Reading, ...]
    sizes: Sizes
    longest: int = 0
    """Bytes of the longest row, without what is asked."""
    checks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Check: (action, why)."""

    @property
    def by_files(self) -> bool:
        """Whether the file says which rows are for what."""
        return len(self.readings) > 1


def bins(plan: DraftPlan) -> tuple[tuple[str, str, float], ...]:
    """(label, min or max, bound) where the label is a scale; empty for classes."""
    guess_, column = plan.guess, _column(plan)
    if (
        KINDS[guess_.kind].answer is not AnswerForm.LABEL
        or not column.is_number
        or len(column.values) <= MANY_CLASSES
    ):
        return ()
    numbers = sorted(float(value) for value in column.values.elements())
    low, high = numbers[len(numbers) // 3], numbers[-1 - len(numbers) // 3]
    names = ("negative", "positive") if numbers[0] < 0 < numbers[-1] else ("low", "high")
    if low == high:
        high = next((number for number in numbers if number > low), high)
    return ((names[0], "max", _short(low)), (names[1], "min", _short(high)))


def labels(plan: DraftPlan) -> list[str]:
    """Return the labels of the task, those that are renamed left out."""
    scale = bins(plan)
    if scale:
        return [label for label, _, _ in scale]
    separator = plan.guess.separator if KINDS[plan.guess.kind].answer is AnswerForm.LABELS else None
    taken = set(relabelled(plan))
    return [label for label in labels_of(_column(plan), separator or None) if label not in taken]


def relabelled(plan: DraftPlan) -> dict[str, str]:
    """Labels that a reader takes for another one, by their blanks or their case."""
    if KINDS[plan.guess.kind].answer is not AnswerForm.LABEL or bins(plan):
        return {}
    found: dict[str, Counter[str]] = {}
    for label, count in _column(plan).values.items():
        folded = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        found.setdefault(folded, Counter())[label] = count
    renamed: dict[str, str] = {}
    for spellings in found.values():
        # Without blanks at its ends first, then the commonest.
        best = max(spellings, key=lambda one: (one == one.strip(), spellings[one]))
        renamed |= {one: best.strip() for one in spellings if one != best.strip()}
    return renamed


def _column(plan: DraftPlan) -> ColumnProfile:
    return plan.profile.columns[plan.guess.label]


def _short(number: float) -> float:
    return float(f"{number:.3g}")
