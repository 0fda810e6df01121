"""What the forms of a review share: titles, sections, and one line for each key."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len

from engine.codes import all_codes
from engine.evidence.review import Area, Change, Effect, Finding, Gate, Review
from engine.render.blocks import capital
from engine.render.markdown import code, prose, table
from engine.render.progress import WIDTH
from engine.render.styled_text import Line, line, pad, printable, to_text
from engine.values import Value, replace, to_json


def review_markdown(review: Review) -> str:
    gate = GATES[review.gate]
    parts = [f"## {gate.mark} {gate.title}"]
    if rows := gate_rows(review):
        parts.append(gate_table(rows))
    if review.uncompared:
        parts.append(uncompared_markdown(review.uncompared))
    return "\n\n".join([*parts, rest_markdown(review, level=3)])


def rest_markdown(review: Review, *, level: int) -> str:
    """All but the gate and what was not compared: what else changes, and what runs again."""
    parts = []
    for title, rows in sections(review):
        parts.append(f"{'#' * level} {title}")
        cells = [[*_values(row), prose(row.says)] for row in rows]
        parts.append(table(["key", "before", "after", ""], cells))
    parts.append(f"**Reruns**: {', '.join(review.reruns) or 'nothing'}")
    parts += [prose(f"{capital(note)}.") for note in review.notes]
    if review.is_empty:
        parts.append("Both versions mean the same.")
    return "\n\n".join(parts) + "\n"


def uncompared_markdown(names: Sequence[str]) -> str:
    return prose(f"{UNCOMPARED}: {', '.join(names)}.")


def gate_table(rows: Sequence[ChangedRow]) -> str:
    cells = []
    for row in rows:
        effect, means = row.effect, row.says
        # where two values alone stand for a finding, the title of its code says what it means
        if effect != Effect.STRONGER.value and not row.says.partition("waived: ")[0]:
            title = all_codes()[row.code].title
            means = "; ".join(filter(None, (title, row.says)))
        if effect in ("weaker", "not known", "redrawn"):
            effect = f"**{effect}**"
        cells.append([*_values(row), f"{effect} ({row.code})", prose(means)])
    return table(["key", "before", "after", "evidence", "what it means"], cells)


def _values(row: ChangedRow) -> list[str]:
    return [code(row.path), code(row.before), code(row.after)]


_MOST_PATH, _MOST_CHANGE = 44, 34


def review_text(review: Review, *, colour: bool, width: int = WIDTH) -> str:
    gate = GATES[review.gate]
    lines = [line((gate.title, gate.style)), *_rows(gate_rows(review), width)]
    for name, rows in sections(review):
        lines += [line((name, "strong")), *_rows(rows, width)]
    named = [("Reruns", " ".join(review.reruns) or "nothing")]
    named += [("Note", note) for note in review.notes]
    named += [("Not compared", name) for name in review.uncompared]
    for name, text in named:
        parts = textwrap.wrap(printable(text), width - len(name) - 2, break_long_words=False)
        for at, part in enumerate(parts or [""]):
            lines.append(line((" " * len(name) if at else name, "strong"), f"  {part}"))
    if review.is_empty:
        lines.append(line("Both versions mean the same."))
    # of what weakens the evidence
    if codes := list(dict.fromkeys(change.code for change in review.findings if change.alarms)):
        lines += [(), line((f"{', '.join(codes)} · recipe explain {codes[0]}", "quiet"))]
    return to_text(lines, colour=colour)


def _rows(rows: Sequence[ChangedRow], width: int) -> Iterator[Line]:
    """Aligned lines; what does not fit beside its key is wrapped below it."""
    paths = min(_MOST_PATH, max((cell_len(printable(row.path)) for row in rows), default=0))
    changes = [cell_len(printable(row.change)) for row in rows if row.says]
    change = min(_MOST_CHANGE, max(changes, default=0))
    for row in rows:
        says = printable(row.says)
        if row.effect in ("stronger", "not known"):
            says = f"{row.effect}: {says}" if says else row.effect
        head = f"  {pad(printable(row.path), paths)}   {pad(printable(row.change), change)}"
        if cell_len(head) + 3 + cell_len(says) <= width:
            yield line(f"{head}   {says}".rstrip())
            continue
        yield line(head.rstrip())
        for part in textwrap.wrap(says, width - 6, break_long_words=False):
            yield line(f"      {part}")


SCHEMA = "diff.v1"


def review_json(review: Review) -> dict[str, Any]:
    plain = ("changes", "reruns", "notes", "uncompared")
    return {
        "schema": SCHEMA,
        "recipe": review.name,
        "old": review.old,
        "new": review.new,
        "gate": {
            "verdict": review.gate.value,
            "unwaived": weakened(review),
            "findings": [finding_json(finding) for finding in review.findings],
        },
        **{name: to_json(getattr(review, name)) for name in plain},
        "same": review.is_empty,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    is_waived = finding.effect is not Effect.STRONGER and bool(finding.waiver)
    return {**to_json(finding), "waived": is_waived}


class GateWords(NamedTuple):
    """How what became of a gate is shown: in words, by a mark beside them, and in a colour."""

    title: str
    mark: str
    style: str


GATES: Final = {
    Gate.WEAKER: GateWords("The gate got weaker", "🔴", "fail"),
    Gate.UNKNOWN: GateWords("The gate is not known to be as strong as before", "🟡", "warn"),
    Gate.REDRAWN: GateWords("The holdout is redrawn", "🟡", "warn"),
    Gate.WAIVED: GateWords("The gate got weaker, as waived", "🟡", "warn"),
    Gate.STAYS: GateWords("The gate stays", "⚪", "strong"),
    Gate.STRONGER: GateWords("The gate got stronger", "🟢", "pass"),
}
AREAS: Final = {
    Area.GATE: "The gate changes besides",
    Area.TASK: "The task changes",
    Area.DATA: "The data change",
    Area.MODEL: "The model changes",
    Area.EXPORT: "The export changes",
    Area.REPORT: "The report changes",
    Area.LOCK: "The record of runs changes",
    Area.NOTHING: "Words for people change",
}
UNCOMPARED: Final = "Not compared, so it may be other bytes now"
NONE: Final = "none"
OVERLAP: Final = "W203"


class ChangedRow(Value):
    """One key: its old and its new value, and what that means."""

    path: str
    before: str
    after: str
    says: str
    effect: str = ""
    code: str = ""

    @property
    def change(self) -> str:
        """Such as `8 -> 16`; empty where there are no two values."""
        if not self.before and not self.after:
            return ""
        return f"{self.before or NONE} -> {self.after or NONE}"


def gate_rows(review: Review) -> list[ChangedRow]:
    # The finding that the holdout is redrawn says already how many rows were training rows.
    redrawn = {(finding.path, OVERLAP) for finding in review.findings if finding.code == "W201"}
    shown = [one for one in review.findings if (one.path, one.code) not in redrawn]
    return [finding_row(one, review.places) for one in shown]


def finding_row(finding: Finding, places: Mapping[str, str] | None = None) -> ChangedRow:
    path = named(finding.path, places or {})
    row = replace(_row(path, finding), effect=finding.effect.value, code=finding.code)
    if not finding.waiver:
        return row
    says = "; ".join(filter(None, (row.says, f"waived: {finding.waiver}")))
    return replace(row, effect="waived", says=says)


def named(path: str, places: Mapping[str, str]) -> str:
    """Return a key with the file of a source in the place of its number."""
    for key, place in places.items():
        if path == key or path.startswith(f"{key}."):
            rest = path.removeprefix(key).lstrip(".")
            return f"{place}: {rest}" if rest else place
    return path


def sections(review: Review) -> list[tuple[str, list[ChangedRow]]]:
    found: list[tuple[str, list[ChangedRow]]] = []
    for area, title in AREAS.items():
        changes = (change for change in review.changes if change.area is area)
        rows = [_row(named(change.path, review.places), change) for change in changes]
        found += [(title, rows)] if rows else []
    return found


def _row(path: str, change: Finding | Change) -> ChangedRow:
    return ChangedRow(path=path, before=change.before, after=change.after, says=change.says)


def weakened(review: Review) -> int:
    return sum(finding.alarms for finding in review.findings)
