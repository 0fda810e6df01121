"""The run beside its lock: what was the same, and what was not."""

from __future__ import annotations

from engine.evidence import FactComparison, Report, Reproduction
from engine.render import blocks
from engine.render.metric_format import value_of
from engine.render.number_format import DASH, interval, percent
from engine.render.report.sections import report_section

_LEAD = (
    "The lock beside the recipe records an accepted run. This is what was the same, and what was not, in the "
    "order in which one thing causes the next."
)


@report_section("reproduction", at=20)
def reproduction(report: Report) -> blocks.Section | None:
    """Nothing where there is no lock to compare with."""
    result = report.reproduction
    if result is None:
        return None
    parts: list[blocks.Block] = [blocks.sentence(result.summary)]
    if facts := _facts(result):
        parts.append(blocks.Facts(facts))
    if result.equivalence:
        caption = "Is each metric the same but for noise: the interval must lie within the margin"
        columns = "metric | >in the lock | >in this run | >difference, 90 % | >margin | "
        parts.append(blocks.table(caption, columns, _tested_rows(result), "narrow"))
    if result.compared:
        columns = "what | in the lock | in this run | "
        rows = _compared_rows(result)
        parts.append(blocks.table("The lock and this run", columns, rows, "narrow"))
    summary = (result.summary,)
    return blocks.Section(
        title="Reproduction", lead=_LEAD, blocks=tuple(parts), card=summary, closing=summary
    )


def _facts(result: Reproduction) -> tuple[tuple[str, blocks.Cell], ...]:
    facts = [("differs first", result.first_difference)] if result.first_difference else []
    if result.reused:
        facts.append(("not recomputed", ", ".join(result.reused)))
    margins = dict.fromkeys(f"{test.metric}: {test.margin_from}" for test in result.equivalence)
    facts += [("margin", margin) for margin in margins]
    if result.agreement and result.agreement.value is not None:
        same = round(result.agreement.value * result.agreement.n)
        needed = result.agreement_required
        wanted = f"; {percent(needed)} expected: {result.agreement_from}" if needed else ""
        facts.append(("same answers", f"{same} of {result.agreement.n}{wanted}"))
    return tuple(facts)


def _compared_rows(result: Reproduction) -> list[list[str]]:
    """Each fact of the lock beside that of the run, by part; equal facts of one part in one row."""
    rows: list[list[str]] = []
    for part in dict.fromkeys(item.part for item in result.compared):
        items = [item for item in result.compared if item.part == part]
        equal = [item for item in items if item.equal]
        rows += [_compared_row(item) for item in items if not item.equal or len(equal) == 1]
        rows += [[part, DASH, DASH, f"{len(equal)} equal"]] if len(equal) > 1 else []
    return rows


def _compared_row(item: FactComparison) -> list[str]:
    return [_name(item), item.locked, item.found, "equal" if item.equal else "differs"]


def _name(item: FactComparison) -> str:
    return item.name if item.name == item.part else f"{item.part}: {item.name}"


def _tested_rows(result: Reproduction) -> list[list[str]]:
    """Each metric that was tested for equivalence."""
    rows = []
    for test in result.equivalence:
        spread = interval(test.interval, signed=True) or DASH
        margin = DASH if test.margin is None else f"±{test.margin:.3f}"
        values = [value_of(test.metric, value) for value in (test.locked, test.found)]
        rows.append(
            [test.metric, *values, spread, margin, "within" if test.holds else "not within"]
        )
    return rows
