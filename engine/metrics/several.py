"""One of several files leaves, the first that passes on the same rows: each of them has a chance to pass by luck.

So a file passes on a bound only where its interval keeps it at a confidence that is corrected for their number
(Bonferroni): all that a recipe names count, since a file after the first is asked only where those before it failed.
Shown is the interval of the recipe's confidence, as of every other model. No NumPy.
"""

from __future__ import annotations

from engine.evidence import Check, Status
from engine.values import replace
from engine.values.numbers import decimal


def corrected_confidence(confidence: float, files: int) -> float:
    """Return the confidence at which each of so many files is judged, so that all together err no more often."""
    return 1 - (1 - confidence) / files


def is_proved(check: Check) -> bool:
    """Tell whether a check passes by its interval, which luck could have moved."""
    return check.status is Status.PASS and check.decided_on != "point"


def passes_among(check: Check, wider: Check, files: int) -> Check:
    """Return a check, undecided where it passes and `wider` does not: the same check at the corrected confidence."""
    if not is_proved(check):
        return check
    why = f"one of {files} files leaves"
    if wider.interval is not None:
        end = wider.interval.low if wider.direction == "min" else wider.interval.high
        why += f": at {100 * wider.interval.confidence:.3g} % the {check.decided_on} is {decimal(end, 4)}"
    parts = (why, wider.note if wider.status is not Status.PASS else check.note)
    status = Status.PASS if wider.status is Status.PASS else Status.INCONCLUSIVE
    return replace(check, status=status, note="; ".join(filter(None, parts)))
