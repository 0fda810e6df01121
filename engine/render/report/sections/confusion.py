"""Which labels the model takes for others: the confusion matrix."""

from __future__ import annotations

from engine.evidence import Report
from engine.kinds import AnswerForm
from engine.render import blocks
from engine.render.labels import absent, shown_model
from engine.render.metric_format import kind_of
from engine.render.number_format import count
from engine.render.report.sections import report_section

_LEAD = "Rows are what is true, columns what {model} answered."
_DRAWING = "Shades are shares of the row: blue where it is right, red where it is not."


@report_section("confusion", at=60)
def confusion(report: Report) -> blocks.Section | None:
    """Nothing for kinds without one label a row."""
    # Where a row has one label, one can be taken for another.
    if kind_of(report).answer is not AnswerForm.LABEL:
        return None
    found, labels = shown_model(report), report.labels
    if found is None:
        return blocks.Section(title="Confusion", blocks=(absent(report, "evaluate"),))
    model, scores = found
    matrix = blocks.Matrix(
        caption=f"Confusion of {len(labels)} labels on {count(scores.rows)} holdout rows",
        labels=labels,
        answers=(*labels, "invalid output"),
        counts=scores.confusion,
    )
    lead = _LEAD.format(model=model)
    return blocks.Section(title="Confusion", lead=lead, drawing_lead=_DRAWING, blocks=(matrix,))
