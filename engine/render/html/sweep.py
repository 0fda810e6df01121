"""The settings that were tried, and which became the model."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import sweeping
from engine.render.html.markup import Markup, tag
from engine.render.html.parts import prose, section, table


def sweep(report: Report) -> Markup:
    """The section; empty without a sweep."""
    found = report.sweep
    if found is None:
        return Markup("")
    told = [
        tag("p", prose(sentence[:1].upper() + sentence[1:]))
        for sentence in sweeping.sentences(report, found)
    ]
    columns = [*sweeping.keys(found), *sweeping.columns(found)]
    numeric = frozenset(range(len(columns) - 1))
    shown = table(
        "Every setting on the validation rows",
        columns,
        sweeping.rows(found),
        kind="narrow",
        numeric=numeric,
    )
    return section("sweep", "Sweep", *told, shown, lead=sweeping.LEAD)
