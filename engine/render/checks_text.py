"""The checks of a verdict as aligned lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from engine.evidence import Check, Status, Verdict
from engine.render import terminal
from engine.render.labels import check_title, got_interval, got_value, required
from engine.render.number_format import p_value
from engine.render.progress import STAGE_WIDTH, WIDTH

_COMPARED = {"over_baselines": "over baselines", "over_previous": "drop since accepted"}


def check_lines(verdict: Verdict, *, stage: str, colour: bool, width: int = WIDTH) -> str:
    """One aligned line a check: name, got, interval, required, status; below them, why not."""
    stages = [stage, *[""] * len(verdict.checks)]
    rows = [
        [terminal.text(name.ljust(STAGE_WIDTH - 2), "strong"), *_cells(check, verdict.checks)]
        for name, check in zip(stages, verdict.checks, strict=False)
    ]
    notes = (terminal.indented(part, STAGE_WIDTH + 2) for part in _notes(verdict.checks))
    return terminal.terminal_text([terminal.grid(rows), *notes], width=width, colour=colour)


def check_rows(checks: Sequence[Check]) -> Iterator[RenderableType]:
    """The same without a stage, for a text that they are part of."""
    if checks:
        yield terminal.grid([_cells(check, checks) for check in checks])
    yield from (terminal.indented(part) for part in _notes(checks))


def _cells(check: Check, checks: Sequence[Check]) -> list[RenderableType]:
    words = (_title(check, checks), got_value(check), got_interval(check), _required(check))
    return [*map(terminal.text, words), terminal.text(check.status.value, check.status.value)]


def _notes(checks: Sequence[Check]) -> Iterator[RenderableType]:
    """Why a check does not hold."""
    for check in checks:
        if check.note and check.status is not Status.PASS:
            yield terminal.text(f"{_title(check, checks)}: {check.note}", "quiet")


def _title(check: Check, checks: Sequence[Check]) -> str:
    """The title, shorter for comparisons; the metric is left out where there is one such check."""
    title = _COMPARED.get(check.kind)
    if title is None:
        return check_title(check.name)
    alone = sum(item.kind == check.kind for item in checks) == 1
    return title if alone else f"{check.metric} {title}"


def _required(check: Check) -> str:
    """The demand, with the p of the test; corrected for all tests where that was done."""
    if check.p_adjusted not in (None, check.p_value):
        return f"{required(check)}, Holm {p_value(check.p_adjusted)}"
    tested = "" if check.p_value is None else f", {p_value(check.p_value)}"
    return f"{required(check)}{tested}"
