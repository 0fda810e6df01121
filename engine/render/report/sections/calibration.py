"""Whether probabilities mean what they say: a reliability diagram with its numbers and its sentences."""

from __future__ import annotations

from engine.evidence import Calibration, CalibrationBin, Report
from engine.render import blocks
from engine.render.number_format import count, number, percent
from engine.render.report.sections import report_section

_DRAWING = (
    "Each bar holds the answers given with such a probability and reaches to the share of them "
    "that was right; the mark is their mean probability. Calibrated answers end on the dashed line."
)
_CLOSE = 0.01


@report_section("calibration", at=70)
def calibration(report: Report) -> blocks.Section | None:
    """Nothing where answers have no probabilities."""
    result = report.holdout.calibration if report.holdout else None
    if result is None:
        return None
    lines = _lines(result)
    bins = tuple(item for item in result.bins if item.rows)
    shown: list[blocks.Block] = [*blocks.bullets(lines)]
    if bins:
        columns = "probability | >rows | >mean probability | >right | >right minus probability"
        caption = "The answers by their probability"
        shown.append(blocks.ReliabilityChart(label=_label(bins), bins=bins))
        shown.append(blocks.table(caption, columns, map(_row, bins), "narrow"))
    return blocks.Section(
        title="Calibration",
        drawing_lead=_DRAWING if bins else "",
        blocks=tuple(shown),
        card=(lines[0],),
    )


def _lines(result: Calibration) -> list[str]:
    """ECE, Brier score and over- or underconfidence in sentences."""
    points = f"{100 * result.ece:.1f}"
    return [
        (
            f"ECE {number(result.ece)}: an answer's probability is on average {points} points away from "
            "how often such answers are right (0 is best)"
        ),
        f"Brier score {number(result.brier)}: the mean squared error of the probabilities (0 is best)",
        *_confidence(result),
    ]


def _confidence(result: Calibration) -> list[str]:
    rows = sum(item.rows for item in result.bins)
    if not rows:
        return []
    mean = sum(item.rows * item.confidence for item in result.bins) / rows
    accuracy = sum(item.rows * item.accuracy for item in result.bins) / rows
    right = f"right on {percent(accuracy)} of {count(rows)} rows"
    numbers = f"a mean probability of {percent(mean)}, {right}"
    if abs(mean - accuracy) < _CLOSE:
        return [f"neither over- nor underconfident on the whole: {numbers}"]
    return [f"{'over' if mean > accuracy else 'under'}confident on the whole: {numbers}"]


def _name(item: CalibrationBin) -> str:
    return f"{item.low:.2g} to {item.high:.2g}"


def _row(item: CalibrationBin) -> list[str]:
    gap = number(item.accuracy - item.confidence, signed=True)
    return [_name(item), count(item.rows), number(item.confidence), number(item.accuracy), gap]


def _label(bins: tuple[CalibrationBin, ...]) -> str:
    rows = map(_row, bins)
    numbers = (
        f"{name}: {n} rows, probability {mean}, right {right}" for name, n, mean, right, _ in rows
    )
    return "Share of right answers by probability. " + "; ".join(numbers)
