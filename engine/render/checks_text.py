"""The checks of a verdict as aligned lines for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from engine.evidence import Check, Status, Verdict
from engine.render import terminal
from engine.render.labels import check_title, got_interval, got_value, is_open, required
from engine.render.number_format import counted, p_value
from engine.render.progress import STAGE_WIDTH, WIDTH

_COMPARED = {
    "over_baselines": "over baselines",
    "over_previous": "drop since accepted",
    "over_without_synthetic": "over without synthetic",
    "against_teacher": "drop against the teacher",
}


def verdict_line(verdict: Verdict) -> str:
    """`pass: 5 checks hold, 1 warning`."""
    found = Counter(check.status for check in verdict.checks)
    hold = found[Status.PASS]
    parts = [f"{counted(hold, 'check')} hold{'s' if hold == 1 else ''}"]
    for status, word in ((Status.FAIL, "failed"), (Status.INCONCLUSIVE, "inconclusive")):
        parts += [f"{found[status]} {word}"] if found[status] else []
    parts += [counted(found[Status.WARN], "warning")] if found[Status.WARN] else []
    return f"{verdict.status.value}: {', '.join(parts)}"


def check_lines(
    verdict: Verdict, *, most: int | None = None, colour: bool, width: int = WIDTH
) -> str:
    """The checks below the line of their stage; of all the first `most`, those that are open before the others."""
    shown = sorted(verdict.checks, key=lambda check: not is_open(check))
    shown = [check for check in verdict.checks if check in shown[:most]]
    rows = (terminal.indented(part, STAGE_WIDTH) for part in check_rows(shown))
    return terminal.terminal_text(rows, width=width, colour=colour)


def check_rows(checks: Sequence[Check]) -> Iterator[RenderableType]:
    """One aligned line a check: name, got, interval, required, status; below them, why not."""
    if checks:
        yield terminal.grid([_cells(check, checks) for check in checks])
    for check in checks:
        if check.note and check.status is not Status.PASS:
            note = terminal.text(f"{_title(check, checks)}: {check.note}", "quiet")
            yield terminal.indented(note)


def _cells(check: Check, checks: Sequence[Check]) -> list[RenderableType]:
    words = (_title(check, checks), got_value(check), got_interval(check), _required(check))
    return [*map(terminal.text, words), terminal.text(check.status.value, check.status.value)]


def _title(check: Check, checks: Sequence[Check]) -> str:
    """The title, shorter for comparisons; the metric is left out where there is one such check."""
    title = _COMPARED.get(check.kind)
    if title is None:
        return check_title(check.name)
    form = check.name.removesuffix(check.asked)
    others = [one for one in checks if (one.kind, one.name) == (check.kind, f"{form}{one.asked}")]
    title = title if len(others) == 1 else f"{check.metric} {title}"
    return f"{form.removesuffix('.')} {title}".lstrip()


def _required(check: Check) -> str:
    """The demand, with the p of the test; corrected for all tests where that was done."""
    if check.p_adjusted not in (None, check.p_value):
        return f"{required(check)}, Holm {p_value(check.p_adjusted)}"
    tested = "" if check.p_value is None else f", {p_value(check.p_value)}"
    return f"{required(check)}{tested}"
