"""How rows are divided, how long they may be and what is asked of the model: from counts alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from engine.kinds import AnswerForm, Kind

HOLDOUT_SHARE: Final = 0.25
VALIDATION_SHARE: Final = 0.1
MOST_HOLDOUT: Final = 1000
MOST_VALIDATION: Final = 500
FEW_ROWS: Final = 200
"""Rows below which a holdout says little, and folds may say more."""
BYTES_A_TOKEN: Final = 3.0
"""A cautious figure: English has four, other languages fewer."""
TEMPLATE_TOKENS: Final = 64
"""Of the chat template and its system message."""
SHORTEST: Final = 128
LONGEST: Final = 2048
MANY_LABELS: Final = 10
VERY_MANY_LABELS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows of the splits that are not for training."""

    validation: int
    holdout: int


def sizes_for(rows: int) -> Sizes:
    """Return round numbers: a quarter to judge by, at most 1,000, and a tenth to steer by."""
    return Sizes(
        validation=max(1, _round(min(MOST_VALIDATION, rows * VALIDATION_SHARE))),
        holdout=max(2, _round(min(MOST_HOLDOUT, rows * HOLDOUT_SHARE))),
    )


STEPS: Final = ((100, 50), (20, 10), (0, 1))
"""(from, multiples of) that sizes are rounded down to."""


def _round(count: float) -> int:
    step = next(step for least, step in STEPS if count >= least)
    return int(count // step * step)


def max_length_for(longest_bytes: int) -> tuple[int, bool]:
    """Return the tokens that the longest row needs, as a power of two, and whether that is enough."""
    needed = longest_bytes / BYTES_A_TOKEN + TEMPLATE_TOKENS
    length = SHORTEST
    while length < needed and length < LONGEST:
        length *= 2
    return length, length >= needed


def threshold_for(kind: Kind, labels: int) -> float:
    """Return a bound that a useful model might hold; a person must say what useful means."""
    # The more labels there are, the harder it is to hit the one that is right.
    if kind.answer is AnswerForm.LABEL and labels > MANY_LABELS:
        return 0.7 if labels <= VERY_MANY_LABELS else 0.6
    return kind.draft.threshold


def reachable(share: float, rows: int) -> float:
    """Return `share`, or less where even a faultless model's lower bound on so few rows is below it."""
    quantile = NormalDist().inv_cdf(0.975)
    # The lower end of Wilson's interval when every row is right.
    best = rows / (rows + quantile**2)
    return min(share, int(best * 100 - 1) / 100)
