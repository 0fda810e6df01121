"""The power of each threshold as facts of the plan: a table, and below it what it assumes and leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.metrics.power import OFTEN, SELDOM
from engine.metrics.power_text import PowerEstimate, PowerEstimates, judging_rows
from engine.render import blocks
from engine.render.number_format import DASH, count

Fact = str | blocks.Table
_COLUMNS = f"metric | threshold | {OFTEN:.2f} from | power at"


def power_facts(found: PowerEstimates) -> list[tuple[str, Fact]]:
    """Return the facts named `power`; none where nothing is gated."""
    shown = [one for one in found.estimates if not one.note]
    parts: list[Fact] = []
    if shown:
        columns = f"{_COLUMNS} | >{shown[0].unit}s for {OFTEN:.2f}"
        parts.append(blocks.table(_caption(shown), columns, map(_cells, shown)))
    parts += [note for one in found.estimates for note in _notes(one)]
    parts += [found.note] if found.note else []
    return under("power", parts)


def under(name: str, parts: Iterable[Fact]) -> list[tuple[str, Fact]]:
    """Facts of one name, which stands at the first of them."""
    return [("" if number else name, part) for number, part in enumerate(parts)]


def _caption(shown: list[PowerEstimate]) -> str:
    """Say on how many rows, and which end of the interval decides."""
    ends = {one.decided_on for one in shown}
    end = "lower bound (max: the upper)" if len(ends) > 1 else ends.pop()
    return f"on {judging_rows(shown[0].rows, shown[0].groups)}, decided on the {end}"


def _cells(one: PowerEstimate) -> tuple[str, ...]:
    # a difference from another model is shown with its sign
    sign = "" if one.kind == "threshold" else "+"
    no_value = DASH if one.kind == "max_drop" else "none"
    return (
        one.metric,
        one.threshold,
        f"{sign}{one.passes_text}" if one.passes_text else no_value,
        f"{one.power_text} at {sign}{one.asked_text}",
        count(one.rows_needed) if one.rows_needed else "none",
    )


def _notes(one: PowerEstimate) -> Iterator[str]:
    """Yield what a row of the table cannot say."""
    if one.note:
        yield one.note
    elif one.kind == "threshold" and one.passes_at is not None and one.seldom_at is not None:
        yield (
            f"A true {one.metric} of {one.seldom_text}, which is not good enough, still passes with {SELDOM:.2f}."
        )
