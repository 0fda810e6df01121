"""Every number on the tuned model that is not of one class or field."""

from __future__ import annotations

from engine.evidence import Report, Scores
from engine.render import blocks
from engine.render.labels import estimate, find_metric, judged_by
from engine.render.metric_format import direction, kind_of, value_of, whole_list
from engine.render.number_format import DASH, count
from engine.render.report.sections import report_section


@report_section("metrics", at=40)
def metrics(report: Report) -> blocks.Section | None:
    """Nothing before the model was evaluated."""
    scores = report.folds or report.holdout
    names = whole_list(kind_of(report), scores, report.free)
    if scores is None or not names:
        return None
    freely = f"free decoding{_of_other_rows(scores, report.free)}"
    columns = f"metric | >value | >{freely} | >rows | "
    rows = (_row(scores, report.free, name) for name in names)
    caption = f"The tuned model on the holdout, {judged_by(report)}"
    shown = blocks.table(caption, columns, rows, "narrow")
    return blocks.Section(title="Every metric", blocks=(shown,))


def _of_other_rows(scores: Scores, free: Scores | None) -> str:
    """With folds, what is decoded freely are the rows of the file that ships alone."""
    return f" ({count(free.rows)} rows)" if free and free.rows != scores.rows else ""


def _row(scores: Scores, free: Scores | None, name: str) -> list[blocks.Cell]:
    own, other = find_metric(scores, name), find_metric(free, name)
    shown = estimate(own) if own else DASH
    freely = value_of(name, other.value) if other and other.value is not None else DASH
    rows = count(measured.n) if (measured := own or other) else DASH
    return [blocks.Code(name), shown, freely, rows, blocks.Muted(direction(name))]
