"""The run beside its lock, and the recipe with several seeds."""

from __future__ import annotations

from engine.evidence import Report
from engine.render import repeating
from engine.render.html.markup import Markup, tag
from engine.render.html.parts import facts, prose, section, table
from engine.render.wording import main_metric

_MANY_METRICS = 8


def reproduction(report: Report) -> Markup:
    """The section; empty where there is no lock to compare with."""
    found = report.reproduction
    if found is None:
        return Markup("")
    parts = [tag("p", prose(found.summary))]
    parts += [facts(told)] if (told := repeating.facts(found)) else []
    if found.equivalence:
        caption = "Is each metric the same but for noise: the interval must lie within the margin"
        columns = list(repeating.TESTED)
        rows = repeating.tested_rows(found)
        parts.append(table(caption, columns, rows, kind="narrow", numeric=frozenset({1, 2, 3, 4})))
    if found.compared:
        rows = repeating.compared_rows(found)
        parts.append(table("The lock and this run", list(repeating.COLUMNS), rows, kind="narrow"))
    return section("reproduction", "Reproduction", *parts, lead=repeating.LEAD)


def seeds(report: Report) -> Markup:
    """The section; empty unless the recipe asks for further seeds."""
    found = report.seeds
    if found is None:
        return Markup("")
    metric = main_metric(report)
    shown = [metric, *(name for name in repeating.seed_metrics(found) if name != metric)]
    names = [name for name in shown if name in repeating.seed_metrics(found)][:_MANY_METRICS]
    rows = repeating.seed_rows(found, names)
    columns = [*repeating.SEED_COLUMNS, *names]
    numeric = frozenset(range(1, len(columns)))
    shown_table = table("Every seed on the holdout", columns, rows, kind="narrow", numeric=numeric)
    line = facts([("noise", repeating.seeds_line(found, metric))])
    return section("seeds", "Seeds", line, shown_table, lead=repeating.SEEDS_LEAD)
