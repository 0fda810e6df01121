"""Problems as a person reads them, and as JSON.

One shape everywhere: place, code, key and what is wrong; the lines of the file; the hint under
its mark.
"""

import sys
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from engine.errors import Place, Problem, Severity
from engine.render.number_format import counted
from engine.render.styled_text import Line, crop, line, printable, to_text
from engine.values import to_json

MOST = 20
"""Problems shown; the rest are counted."""
_GUTTER = 8
_WIDTH = 100
_PLACE = ("file", "line", "column", "width")
"""What programs get of a place."""
_CONTEXT = 40
"""Characters kept before a mark that stands far to the right."""


def render_problems(problems: Sequence[Problem], *, colour: bool, source: str = "") -> str:
    """Every problem, errors first, in the order of the file, and a closing line; empty for none.

    `source` is the file the user named: it stands before problems of a key that have no place.
    """
    if not problems:
        return ""
    ordered = in_order(problems)
    # One more takes no more lines than saying so.
    shown = ordered if len(ordered) == MOST + 1 else ordered[:MOST]
    lines = [item for problem in shown for item in _problem_lines(problem, source)]
    if len(ordered) > len(shown):
        lines.append(line((f"… and {len(ordered) - MOST} more", "quiet")))
    lines += [(), line((f"{count_line(problems)} · recipe explain {ordered[0].code}", "quiet"))]
    return to_text(lines, colour=colour)


def problems_json(problems: Sequence[Problem], *, source: str = "") -> dict[str, Any]:
    """All problems as JSON data, in the order of `render_problems`, none left out."""
    return {
        "schema": "problems.v1",
        "source": source,
        "errors": sum(problem.severity is Severity.ERROR for problem in problems),
        "warnings": sum(problem.severity is Severity.WARNING for problem in problems),
        "problems": [_as_json(problem) for problem in in_order(problems)],
    }


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Errors before warnings, each by place; problems without a place stand last."""
    return sorted(problems, key=_position)


def count_line(problems: Sequence[Problem]) -> str:
    """Such as `3 problems (2 errors, 1 warning)`, `1 error`, `2 warnings`."""
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = len(problems) - errors
    if errors and warnings:
        both = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        return f"{counted(len(problems), 'problem')} ({both})"
    return counted(errors, "error") if errors else counted(warnings, "warning")


def _position(problem: Problem) -> tuple[bool, bool, str, int, int, str]:
    warning = problem.severity is Severity.WARNING
    place = problem.place
    if place is None:
        return (warning, True, "", 0, 0, problem.code)
    # A problem of the whole file, such as how many more there are, ends its lines.
    at = (sys.maxsize, 0) if place.line is None else (place.line, place.column or 0)
    return (warning, False, place.file, *at, problem.code)


def _problem_lines(problem: Problem, source: str) -> list[Line]:
    first, *rest = problem.message.splitlines() or [""]
    lines = [_headline(problem, first, source)]
    lines += [line(" " * _GUTTER + printable(text)) for text in rest]
    hints = [printable(text) for text in (problem.hint or "").splitlines()]
    place = problem.place
    if place is None or not place.snippet or place.column is None:
        return lines + [line(" " * (_GUTTER + 2), (text, "hint")) for text in hints]
    return lines + _snippet_lines(place, hints)


def _headline(problem: Problem, message: str, source: str) -> Line:
    spot = (problem.place.spot if problem.place else "") or (source if problem.path else "")
    style = "warning" if problem.severity is Severity.WARNING else "error"
    subject = f"{printable(problem.path)}: " if problem.path else ""
    place = ((printable(spot), "place"), ("  ", "")) if spot else ()
    return (*place, (problem.code, style), ("  " + subject + printable(message), ""))


def _snippet_lines(place: Place, hints: list[str]) -> list[Line]:
    column = place.column or 1
    start = max(0, column - 1 - _CONTEXT) if column > _WIDTH - _GUTTER else 0
    lines = [
        (line((f"{number:5} | ", "quiet"), crop(printable(text[start:]), _WIDTH - _GUTTER)))
        for number, text in place.snippet
    ]
    marked = place.snippet[-1][1]
    # In columns as printed: a tab, an escape or a wide character takes more than one.
    lead = " " * (_GUTTER + cell_len(printable(marked[start : column - 1])))
    under = marked[column - 1 : column - 1 + place.width]
    room = _WIDTH - len(lead)
    mark = "^" * max(1, min(cell_len(printable(under)) or place.width, room))
    first, *rest = hints or [""]
    lines.append(line(lead, (mark, "mark"), " " if first else "", (first, "hint")))
    return lines + [line(lead + " " * (len(mark) + 1), (text, "hint")) for text in rest]


def _as_json(problem: Problem) -> dict[str, Any]:
    place = problem.place
    plain = ("code", "severity", "path", "message", "hint")
    shown = {name: to_json(getattr(problem, name)) for name in plain}
    return {**shown, "place": place and {name: getattr(place, name) for name in _PLACE}}
