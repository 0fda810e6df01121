"""A review as lines of a terminal, as Markdown and as JSON: one row for each key that changed."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len

from engine.codes import all_codes
from engine.evidence.review import Area, Change, Effect, Finding, Gate, Review
from engine.render import blocks
from engine.render.markdown import code, joined, prose, table
from engine.render.progress_display import WIDTH
from engine.render.styled_text import Line, line, pad, printable, to_text
from engine.values import to_json

SCHEMA: Final = "diff.v1"


class GateWords(NamedTuple):
    """The verdict on a gate in words, with a mark beside them, and in a colour."""

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


class ChangedRow(NamedTuple):
    """One key: its old and its new value, what that does to the evidence, and what it means."""

    path: str
    before: str
    after: str
    says: str
    effect: str = ""
    code: str = ""

    @property
    def meaning(self) -> str:
        """The meaning: the title of the code, where two values alone stand for a finding."""
        if self.effect == Effect.STRONGER.value or self.says.partition("waived: ")[0]:
            return self.says
        return "; ".join(filter(None, (all_codes()[self.code].title, self.says)))

    @property
    def cells(self) -> list[str]:
        """Its cells in a table of Markdown."""
        values = [code(self.path), code(self.before), code(self.after)]
        if not self.effect:
            return [*values, prose(self.says)]
        is_alarm = self.effect in ("weaker", "not known", "redrawn")
        effect = f"**{self.effect}**" if is_alarm else self.effect
        return [*values, f"{effect} ({self.code})", prose(self.meaning)]

    @property
    def line(self) -> str:
        """The text beside the key on a terminal, such as `8 -> 16`."""
        values = ""
        if self.before or self.after:
            values = f"{self.before or 'none'} -> {self.after or 'none'}"
        effect = self.effect if self.effect in ("stronger", "not known") else ""
        return "   ".join(filter(None, (values, ": ".join(filter(None, (effect, self.says))))))


def finding_rows(
    findings: Iterable[Finding], places: Mapping[str, str] | None = None
) -> Iterator[ChangedRow]:
    found = tuple(findings)
    # The finding that the holdout is redrawn says already how many rows were training rows.
    redrawn = {one.path for one in found if one.code == "W201"}
    for one in found:
        if one.code == "W203" and one.path in redrawn:
            continue
        waived = f"waived: {one.waiver}" if one.waiver else ""
        says = "; ".join(filter(None, (one.says, waived)))
        effect = "waived" if waived else one.effect.value
        yield _row(one, places or {}, says, effect, one.code)


def _row(
    one: Finding | Change, places: Mapping[str, str], says: str, effect: str = "", code: str = ""
) -> ChangedRow:
    path = one.path
    # The file of a source in the place of its number.
    for key, place in places.items():
        if path == key or path.startswith(f"{key}."):
            rest = path.removeprefix(key).lstrip(".")
            path = f"{place}: {rest}" if rest else place
            break
    return ChangedRow(path, one.before, one.after, says, effect, code)


def sections(review: Review) -> Iterator[tuple[str, list[ChangedRow]]]:
    for area, title in AREAS.items():
        changes = (change for change in review.changes if change.area is area)
        if rows := [_row(change, review.places, change.says) for change in changes]:
            yield title, rows


def review_markdown(review: Review) -> str:
    gate = GATES[review.gate]
    head = [f"## {gate.mark} {gate.title}", *gate_markdown(review.findings, review)]
    return joined([*head, rest_markdown(review)])


def gate_markdown(findings: Iterable[Finding], review: Review | None) -> Iterator[str]:
    if rows := list(finding_rows(findings, review.places if review else None)):
        columns = ["key", "before", "after", "evidence", "what it means"]
        yield table(columns, (row.cells for row in rows))
    if review and review.uncompared:
        yield prose(f"{UNCOMPARED}: {', '.join(review.uncompared)}.")


def rest_markdown(review: Review) -> str:
    """All but the gate and what was not compared: what else changes, and what runs again."""
    parts = []
    for title, rows in sections(review):
        listed = table(["key", "before", "after", ""], (row.cells for row in rows))
        parts += [f"**{title}**", listed]
    parts.append(f"**Reruns**: {', '.join(review.reruns) or 'nothing'}")
    parts += [prose(f"{blocks.capital(note)}.") for note in review.notes]
    return joined([*parts, SAME if review.is_empty else ""]) + "\n"


SAME: Final = "Both versions mean the same."


def review_text(review: Review, *, colour: bool, width: int = WIDTH) -> str:
    gate = GATES[review.gate]
    rows = list(finding_rows(review.findings, review.places))
    lines: list[Line] = [line((gate.title, gate.style)), *_listed(rows, width)]
    for title, changed in sections(review):
        lines += [line((title, "strong")), *_listed(changed, width)]
    named = [("Reruns", " ".join(review.reruns) or "nothing")]
    named += [("Note", note) for note in review.notes]
    named += [("Not compared", name) for name in review.uncompared]
    for name, text in named:
        first, *more = _wrapped(text, width - len(name) - 2) or [""]
        lines.append(line((name, "strong"), f"  {first}"))
        lines += [line(f"{' ' * len(name)}  {part}") for part in more]
    if review.is_empty:
        lines.append(line(SAME))
    # of what weakens the evidence
    if codes := list(dict.fromkeys(one.code for one in review.findings if one.alarms)):
        lines += [(), line((f"{', '.join(codes)} · recipe explain {codes[0]}", "quiet"))]
    return to_text(lines, colour=colour)


def _listed(rows: Sequence[ChangedRow], width: int) -> Iterator[Line]:
    """Yield each key with its values beside it, or below it where they are too long."""
    keys = max((cell_len(printable(row.path)) for row in rows), default=0)
    for row in rows:
        head = f"  {pad(printable(row.path), keys)}  {printable(row.line)}"
        if cell_len(head) <= width:
            yield line(head.rstrip())
        else:
            yield line(f"  {printable(row.path)}")
            yield from (line(f"      {part}") for part in _wrapped(row.line, width - 6))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width, break_long_words=False)


def review_json(review: Review) -> dict[str, Any]:
    plain = ("changes", "reruns", "notes", "uncompared")
    return {
        "schema": SCHEMA,
        "recipe": review.name,
        "old": review.old,
        "new": review.new,
        "gate": {
            "verdict": review.gate.value,
            "unwaived": sum(finding.alarms for finding in review.findings),
            "findings": [finding_json(finding) for finding in review.findings],
        },
        **{name: to_json(getattr(review, name)) for name in plain},
        "same": review.is_empty,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    is_waived = finding.effect is not Effect.STRONGER and bool(finding.waiver)
    return {**to_json(finding), "waived": is_waived}
