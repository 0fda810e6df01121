"""Probabilities after calibration on validation rows, before and after, and where the model gives no answer."""

from __future__ import annotations

import math

from engine.evidence import Abstention, CalibratedForm, CalibrationBin, Metric, Report
from engine.render import blocks
from engine.render.number_format import NOTHING, count, interval, number, percent
from engine.render.report.sections import report_section

_LEAD = (
    "A temperature, fitted on validation rows, makes answers more or less sure and changes none of them. "
    "The holdout only judges: the calibration error below has bins of equally many rows."
)
_DRAWING = "The file that leaves, or the model before it, after calibration; each bar holds equally many answers."
_COLUMNS = "form | metric | before:got | after:got | change:got"
_NAMES = {
    "ece": "ECE",
    "ece_less_chance": "ECE, less chance",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
}


@report_section("calibrated", at=72)
def calibrated(report: Report) -> blocks.Section | None:
    """Nothing where the recipe asks for no calibration."""
    if not report.calibrated:
        return None
    last = report.calibrated[-1]
    rows = [row for form in report.calibrated for row in _rows(form)]
    scope = [_none_of_these(last.abstention)] if last.abstention else []
    lines = [*(line for form in report.calibrated for line in _lines(form)), *scope]
    shown: list[blocks.Block] = [*blocks.bullets(lines)]
    if rows:
        caption = f"On the holdout, {len(last.bins_before)} bins of equally many rows"
        shown.append(blocks.table(caption, _COLUMNS, rows, "cards"))
    if last.bins_after:
        label = f"Share of right answers by calibrated probability, {last.form}"
        shown.append(blocks.ReliabilityChart(label=label, bins=last.bins_after))
    return blocks.Section(
        title="Calibration on validation rows",
        lead=_LEAD,
        drawing_lead=_DRAWING if last.bins_after else "",
        blocks=tuple(shown),
        card=(*_lines(last), *scope),
        closing=tuple(_abstains(last)),
    )


def _rows(form: CalibratedForm) -> list[blocks.Row]:
    after = {metric.name: metric for metric in form.after}
    change = {metric.name: metric for metric in form.change}
    return [
        blocks.Row(
            cells=(
                form.form,
                _NAMES.get(metric.name, metric.name),
                _estimate(metric),
                _estimate(after.get(metric.name)),
                _estimate(change.get(metric.name), signed=True),
            )
        )
        for metric in form.before
    ]


def _estimate(metric: Metric | None, *, signed: bool = False) -> blocks.Estimate | blocks.Muted:
    if metric is None or metric.value is None:
        return blocks.Muted(NOTHING)
    shown = number(metric.value, signed=signed)
    return blocks.Estimate(shown, interval(metric.interval, signed=signed))


def _lines(form: CalibratedForm) -> list[str]:
    """What was fitted, what a faultless calibration would read, and where it abstains; in sentences."""
    rows = f"{count(form.fitted_rows)} validation rows"
    if form.temperature is None:
        fitted = f"{form.form}: no temperature ({form.reason}): probabilities are as the model gives them"
    else:
        word = "less" if form.temperature > 1 else "more"
        fitted = f"{form.form}: temperature {number(form.temperature)}, fitted on {rows}, so answers get {word} sure"
    found = [fitted]
    if form.bins_after:
        faultless = (
            f"even faultless probabilities read an ECE of about {number(_chance(form.bins_after))}"
        )
        found.append(f"{form.form}: with so many rows {faultless}")
    if form.abstention is not None:
        chance = percent(form.abstention.chance)
        expected = f"by the validation rows the holdout shows both bounds with a chance of {chance}"
        found += [*_abstains(form), f"{form.form}: {expected}"]
    return found


def _abstains(form: CalibratedForm) -> list[str]:
    """Where the form gives no answer, and what it is worth elsewhere, in one sentence; none without a threshold."""
    found = form.abstention
    if found is None:
        return []
    where = (
        f"answers {percent(found.coverage.value or 0.0)} of {count(found.coverage.n)} holdout rows"
    )
    if found.accuracy.value is not None:
        where = f"{where}, {percent(found.accuracy.value)} of them right"
    below = f"abstains below a probability of {number(found.threshold)}"
    return [f"{form.form} {below if found.threshold else 'abstains never'}: {where}"]


def _none_of_these(found: Abstention) -> str:
    """Say what is known of texts that belong to no label."""
    metric = found.out_of_scope
    if metric is None or metric.value is None:
        return (
            "every row of validation and holdout has a label that fits: how often other texts are held back "
            "was not measured"
        )
    span = interval(metric.interval)
    held = f"{percent(metric.value)} {span}".rstrip()
    return f"of {count(metric.n)} holdout rows that no other label fits, {held} get no other label"


def _chance(bins: tuple[CalibrationBin, ...]) -> float:
    """Estimate the calibration error of faultless probabilities: the mean distance that chance leaves in each bin."""
    rows = sum(item.rows for item in bins)
    spread = (
        item.rows * math.sqrt(2 / math.pi * item.confidence * (1 - item.confidence) / item.rows)
        for item in bins
    )
    return sum(spread) / rows
