"""Where the model is good: precision, recall and F1 of every class, or field of the answer."""

from __future__ import annotations

from engine.evidence import ClassScores, Report, Scores
from engine.render import blocks
from engine.render.labels import (
    absent,
    class_words,
    estimate,
    find_metric,
    has_classes,
    shown_model,
)
from engine.render.number_format import count, number
from engine.render.report.sections import report_section

_FEW_LABELS = 12
"""Up to here classes stand in label order; beyond, the weakest first."""


@report_section("classes", at=50)
def classes(report: Report) -> blocks.Section | None:
    """Nothing for kinds whose answers have neither classes nor fields."""
    if not has_classes(report):
        return None
    found, words = shown_model(report), class_words(report)
    if found is None:
        return blocks.Section(title=words.title, blocks=(absent(report, "evaluate"),))
    model, scores = found
    is_long = len(scores.classes) > _FEW_LABELS
    rows = sorted(scores.classes, key=_weakness) if is_long else scores.classes
    columns = (
        f"{words.singular} | >precision | >recall | >F1 | >{words.support} | >{words.predicted}"
    )
    order, layout = ("weakest first", "tall") if is_long else ("in the recipe's order", "")
    caption = f"Every {words.singular} on the holdout, {order}"
    cells = (_row(scores, item, words.support) for item in rows)
    shown = blocks.table(caption, columns, cells, layout)
    lead = (
        words.lead
        if report.holdout
        else f"{words.lead} Numbers of {model}, which passes without training.".lstrip()
    )
    return blocks.Section(title=words.title, lead=lead, blocks=(shown,))


def _weakness(item: ClassScores) -> float:
    return -1.0 if item.f1 is None else item.f1


def _row(scores: Scores, item: ClassScores, support: str) -> list[blocks.Cell]:
    return [
        blocks.Label(item.label),
        _share(item.precision, "never predicted"),
        _share(item.recall, f"no {support}"),
        estimate(find_metric(scores, f"f1.{item.label}")),
        count(item.support),
        count(item.predicted),
    ]


def _share(value: float | None, reason: str) -> str:
    return number(value) if value is not None else blocks.Muted(f"not computed: {reason}")
