"""Markdown that shows texts as they are: escaping, code spans, blocks and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.evidence import Check, Verdict
from engine.render.quantities import count, p_values
from engine.render.spans import printable
from engine.render.wording import check_title, got, required

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return plain(text)
    return "".join(code(piece) if at % 2 else _inline(piece) for at, piece in enumerate(pieces))


def _inline(text: str) -> str:
    """A piece of a sentence with the spaces at its ends."""
    left = " " if text[:1].isspace() else ""
    right = " " if text[-1:].isspace() else ""
    return f"{left}{plain(text)}{right}" if text.strip() else " " * bool(text)


def code(text: str) -> str:
    """A code span, fenced by more backticks than the text holds in a row; safe in table cells."""
    shown = printable(" ".join(text.split())).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}" if shown else ""


def block(text: str, language: str) -> str:
    """A fenced block that its text cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = "\n".join(printable(line) for line in text.splitlines())
    return f"{fence}{language}\n{lines}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: str = "") -> str:
    """A table; `numeric` holds one letter a column: `r` for flush right, anything else for left."""
    marks = ["---:" if mark == "r" else "---" for mark in numeric.ljust(len(columns))]
    if len(marks) != len(columns):
        raise ValueError(f"{len(columns)} columns, {len(marks)} marks")
    lines = [columns, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def absent(reason: str) -> str:
    """The place of something that is not there, with the reason."""
    return f"_{plain(reason)[:1].upper()}{plain(reason)[1:]}._"


def listed(lines: Iterable[str]) -> str:
    """Sentences as a list, each begun large and ended by a full stop."""
    return "\n".join(f"- {prose(line[:1].upper() + line[1:]).removesuffix('.')}." for line in lines)


def check_row(check: Check, *, tested: bool = False) -> list[str]:
    """One row of a table of checks; with a cell for the test's p where `tested`."""
    return [
        code(check_title(check.name)),
        got(check),
        required(check),
        *([p_values(check.p_value, check.p_adjusted)] if tested else []),
        count(check.n),
        f"**{check.status.value}**",
        plain(check.note),
    ]


def checks_table(verdict: Verdict) -> str:
    """Every check with what was got and required, and the p of its test where any has one."""
    tested = any(check.p_value is not None for check in verdict.checks)
    columns = ["check", "got", "required", *(["p"] if tested else []), "rows", "answer", "note"]
    rows = [check_row(check, tested=tested) for check in verdict.checks]
    return table(columns, rows, numeric="llllrll" if tested else "lllrll")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
