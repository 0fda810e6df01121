"""How far a training on preferences moved the model's answers from those of the untouched base model."""

from __future__ import annotations

from engine.evidence import DriftScore, Report
from engine.evidence.training import ANSWER_LENGTH, CHOSEN_LOG_PROBABILITY
from engine.render import blocks
from engine.render.labels import checks_of
from engine.render.number_format import count, interval, number
from engine.render.report.sections import report_section

_LEAD = (
    "Both models on the same holdout rows. Training on preferences can make the chosen answers less likely too, as "
    "long as the rejected ones fall further, and answers longer."
)
_COLUMNS = "what | change:got | before → after:required | rows | gate:status"
_NAMES = {
    CHOSEN_LOG_PROBABILITY: ("log-probability of chosen answers", "nats a token, drop"),
    ANSWER_LENGTH: ("length of the model's own answers", "tokens an answer, ratio"),
}


@report_section("drift", at=102)
def drift(report: Report) -> blocks.Section | None:
    """Nothing where it was not measured."""
    if report.drift is None:
        return None
    checks = {check.label: check for check in checks_of(report.gate) if check.kind == "drift"}
    rows = []
    for score in report.drift.scores:
        name, unit = _NAMES.get(score.name, (score.name, ""))
        check = checks.get(score.name)
        cells: tuple[blocks.Cell, ...] = (
            blocks.Strong(name),
            _change(score),
            f"{number(score.before)} → {number(score.after)}",
            count(score.change.n),
            blocks.status_badge(check.status) if check else "",
        )
        rows.append(blocks.Row(cells=cells, note=unit))
    caption = "Base model and tuned model"
    return blocks.Section(
        title="Drift",
        lead=_LEAD,
        blocks=(blocks.table(caption, _COLUMNS, rows, "cards"),),
        card=tuple(f"drift, {drift_line(score)}" for score in report.drift.scores),
    )


def drift_line(score: DriftScore) -> str:
    """One number in one line."""
    name, unit = _NAMES.get(score.name, (score.name, ""))
    moved = f"{number(score.before)} before, {number(score.after)} after"
    return f"{name}: {moved} ({unit} {_change(score).value})"


def _change(score: DriftScore) -> blocks.Estimate:
    is_signed = score.name == CHOSEN_LOG_PROBABILITY
    shown = number(score.change.value, signed=is_signed)
    return blocks.Estimate(shown, interval(score.change.interval, signed=is_signed))
