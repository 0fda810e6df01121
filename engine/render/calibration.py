"""Whether probabilities mean what they say, in words and rows that every format shares."""

from __future__ import annotations

from engine.evidence import Calibration, CalibrationBin
from engine.render.quantities import count, number, percent

COLUMNS = ("probability said", "rows", "said on average", "right", "right minus said")
_CLOSE = 0.01


def lines(found: Calibration) -> list[str]:
    """ECE, Brier score and the lean in sentences without full stops."""
    points = f"{100 * found.ece:.1f}"
    return [
        (
            f"ECE {number(found.ece)}: an answer's probability is on average {points} points away from "
            "how often such answers are right (0 is best)"
        ),
        f"Brier score {number(found.brier)}: the mean squared error of the probabilities (0 is best)",
        *_lean(found),
    ]


def _lean(found: Calibration) -> list[str]:
    rows = sum(item.rows for item in found.bins)
    if not rows:
        return []
    said = sum(item.rows * item.confidence for item in found.bins) / rows
    right = sum(item.rows * item.accuracy for item in found.bins) / rows
    told = (
        f"it says {percent(said)} on average and is right on {percent(right)} of {count(rows)} rows"
    )
    if abs(said - right) < _CLOSE:
        return [f"on the whole neither too sure nor too unsure: {told}"]
    return [f"on the whole too {'sure' if said > right else 'unsure'}: {told}"]


def bin_name(item: CalibrationBin) -> str:
    """The bounds of a bin: `0.8 to 0.9`."""
    return f"{item.low:.2g} to {item.high:.2g}"


def cells(item: CalibrationBin) -> list[str]:
    """One row under `COLUMNS`."""
    gap = number(item.accuracy - item.confidence, signed=True)
    return [bin_name(item), count(item.rows), number(item.confidence), number(item.accuracy), gap]


def filled(found: Calibration) -> list[CalibrationBin]:
    """The bins that hold rows."""
    return [item for item in found.bins if item.rows]
