"""A review as Markdown: for a comment in a pull request, where a table reads better than columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from engine.codes import pages_of_areas
from engine.evidence.review import Effect, Review
from engine.render.blocks import capital
from engine.render.markdown import code, fenced, prose, table
from engine.render.review.rows import GATES, UNCOMPARED, ChangedRow, gate_rows, sections


def review_markdown(review: Review, *, level: int = 2) -> str:
    """The whole review; `level` is that of its headings."""
    gate = GATES[review.gate]
    parts = [f"{'#' * level} {gate.mark} {gate.title}"]
    if rows := gate_rows(review):
        parts.append(gate_table(rows))
    if review.uncompared:
        parts.append(uncompared_markdown(review.uncompared))
    return "\n\n".join([*parts, rest_markdown(review, level=level + 1)])


def rest_markdown(review: Review, *, level: int) -> str:
    """All but the gate and what was not compared: what else changes, what it costs, and what runs again."""
    mark = "#" * level
    merged: list[tuple[str, list[ChangedRow]]] = []
    for title, rows in sections(review):
        if title:
            merged.append((title, rows))
        else:  # what the changes before cost
            merged[-1][1].extend(rows)
    parts = [part for title, rows in merged for part in (f"{mark} {title}", _table(rows))]
    parts += _config(review, mark)
    again = ", ".join(review.reruns) if review.reruns else "nothing"
    parts.append(f"**Reruns**: {again}")
    parts += [prose(f"{capital(note)}.") for note in review.notes]
    if review.is_empty:
        parts.append("Both versions mean the same.")
    return "\n\n".join(parts) + "\n"


def uncompared_markdown(names: Sequence[str]) -> str:
    """What judges and may be other bytes now."""
    return prose(f"{UNCOMPARED}: {', '.join(names)}.")


def gate_table(rows: Sequence[ChangedRow]) -> str:
    """The findings, a row each."""
    columns = ["key", "before", "after", "evidence", "what it means"]
    return table(columns, [[*_values(row), _effect(row), prose(_meaning(row))] for row in rows])


def _meaning(row: ChangedRow) -> str:
    """What a finding means; where two values alone stand for it, the title of its code says it."""
    if row.effect == Effect.STRONGER.value or row.says.partition("waived: ")[0]:
        return row.says
    return "; ".join(filter(None, (_title(row.code), row.says)))


@cache
def _title(code_of: str) -> str:
    return pages_of_areas()[code_of].title


def _effect(row: ChangedRow) -> str:
    word = f"**{row.effect}**" if row.effect in ("weaker", "not known", "redrawn") else row.effect
    return f"{word} ({row.code})"


def _table(rows: Sequence[ChangedRow]) -> str:
    cells = [[*_values(row), prose(row.says)] for row in rows]
    return table(["key", "before", "after", ""], cells)


def _values(row: ChangedRow) -> list[str]:
    return [code(row.path), code(row.before), code(row.after)]


def _config(review: Review, mark: str) -> list[str]:
    """A unified diff; the recipe's key stands behind each line."""
    if not review.config:
        return []
    lines: list[str] = []
    for change in review.config:
        if change.before is not None:
            lines.append(f"- {change.key}: {change.before}")
        if change.after is not None:
            lines.append(f"+ {change.key}: {change.after}   # {change.origin}")
    names = " to ".join(dict.fromkeys(review.backends))
    return [f"{mark} The compiled config changes ({names})", fenced("\n".join(lines), "diff")]
