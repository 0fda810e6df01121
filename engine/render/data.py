"""What `recipe data` shows: where rows come from, what was found, how they are divided, how a row reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from engine.errors import Problem
from engine.evidence import DataFinding, DataSummary, SplitSummary
from engine.render.dataview import DataView
from engine.render.number_format import count
from engine.render.problems import problems_json
from engine.render.rowtext import row_lines
from engine.render.styled_text import (
    INDENT,
    Line,
    cells,
    crop,
    line,
    more,
    pad,
    paragraph,
    printable,
    table,
    to_text,
)

MOST_CLASSES = 12
"""Classes listed one by one; of more, the smallest and the largest."""
ENDS = 5
"""Classes shown at either end of a long list."""
MOST_SOURCES = 20
MOST_PLACES = 3
"""Rows named under each finding; the JSON has them all."""
PLACE_LINES = 3


def data_text(view: DataView, *, width: int, colour: bool) -> str:
    """The view for a terminal of `width` columns, with the same words with and without colour."""
    lines = list(_heading(_title(view), width))
    for heading, shown in _parts(view, width):
        if shown:
            lines += [(), *_heading(heading, width), *shown]
    return to_text(lines, colour=colour)


def _heading(text: str, width: int) -> Iterator[Line]:
    for part in textwrap.wrap(text, width, break_on_hyphens=False):
        yield line((part, "strong"))


def data_json(view: DataView, problems: Sequence[Problem]) -> dict[str, Any]:
    """The view as JSON data, whole; `problems` are those that stop a run."""
    refused = problems_json(problems)
    return {"schema": "data.v1", **asdict(view), "problems": refused["problems"]}


def _parts(view: DataView, width: int) -> Iterator[tuple[str, Sequence[Line]]]:
    summary = view.summary
    if summary is not None:
        yield "sources", list(_sources(summary, width))
        yield "not used", list(_dropped(summary, width))
        divided = any(item.rows for item in summary.splits)
        if divided or any(item.count for item in summary.findings):
            yield "checks", list(_findings(summary, view.refusing, width))
        if divided:  # of rows that could not be divided there is nothing to prove
            thumbs = (shown for text in view.thumbs for shown in paragraph(text, width))
            yield "splits", [*_splits(summary, width), *thumbs]
            yield "firewall", list(_firewall(summary, width))
        yield "recorded", list(_recorded(summary, width))
    yield f"lengths in {view.unit}", list(_lengths(view, width))
    yield "examples", list(_examples(view, width))
    if view.row is not None:
        yield row_lines(view.row, width)


def _title(view: DataView) -> str:
    summary = view.summary
    parts = [printable(view.recipe), view.kind]
    if summary is not None:
        parts += [f"{count(summary.rows_read)} rows read, {count(summary.rows_used)} used"]
    if view.refusing:
        parts += [f"refused by {', '.join(view.refusing)}"]
    return " · ".join(parts)


def _sources(summary: DataSummary, width: int) -> Iterator[Line]:
    rows = [["file", "shape", "read", "used", ""]]
    rows += [
        [
            printable(source.name),
            source.shape,
            count(source.rows_read),
            count(source.rows_used),
            ", ".join(
                [f"weight {source.weight:g}"] * (source.weight != 1)
                + [f"into {source.into}"] * bool(source.into)
            ),
        ]
        for source in summary.sources[:MOST_SOURCES]
    ]
    if len(rows) > 1:
        yield from table(rows, "llrrl", width)
    yield from more(len(summary.sources) - MOST_SOURCES, "sources")


def _dropped(summary: DataSummary, width: int) -> Iterator[Line]:
    left = [f"{count(rows)} {why}" for why, rows in summary.dropped.items() if rows]
    return paragraph(", ".join(left), width)


def _findings(summary: DataSummary, refusing: Sequence[str], width: int) -> Iterator[Line]:
    findings = [finding for finding in summary.findings if finding.count]
    if not findings:
        yield line(f"{INDENT}nothing found")
    order = {"fail": 0, "drop": 1, "mask": 2, "warn": 3}
    for finding in sorted(
        findings, key=lambda finding: (order.get(finding.action, 9), -finding.count, finding.check)
    ):
        yield from _finding(finding, refuses=finding.check in refusing, width=width)


def _finding(finding: DataFinding, *, refuses: bool, width: int) -> Iterator[Line]:
    style = "fail" if refuses else {"warn": "warn", "drop": "strong"}.get(finding.action, "quiet")
    head = f"{finding.check}  {count(finding.count)}"
    yield line(INDENT, (pad(finding.action, 6), style), (head, "strong"))
    yield from paragraph(finding.message, width, indent=f"{INDENT}{' ' * 6}")
    for place in finding.examples[:MOST_PLACES]:
        yield from _place(place, width)
    if (left := len(finding.examples) - MOST_PLACES) > 0:
        yield line(f"{INDENT}{' ' * 8}", (f"… and {left} more examples in --format json", "quiet"))


def _place(place: str, width: int) -> Iterator[Line]:
    """A row that was found, on a few lines: what is wrong with it often stands at the end."""
    parts = textwrap.wrap(printable(place), max(20, width - 12), break_on_hyphens=False)
    for number, part in enumerate(parts[:PLACE_LINES]):
        cut = number == PLACE_LINES - 1 and len(parts) > PLACE_LINES
        text = part + ("…" if cut else "")
        yield line(f"{INDENT}{' ' * (8 if number == 0 else 10)}", (text, "quiet"))


def _splits(summary: DataSummary, width: int) -> Iterator[Line]:
    labels = list(dict.fromkeys(label for split in summary.splits for label in split.labels))
    if labels:
        yield from _class_table(summary.splits, labels, width)
    else:
        yield from table(_split_rows(summary.splits), "lrl", width)
    asides = [_aside(split) for split in summary.splits]
    yield from (shown for text in asides if text for shown in paragraph(text, width))
    if summary.folds:
        yield from paragraph(
            f"{summary.folds} folds: every row is held out once; fold 0 is the holdout shown here",
            width,
        )


def _split_rows(splits: Sequence[SplitSummary]) -> list[list[str]]:
    return [["", "rows", ""], *([split.name, count(split.rows), ""] for split in splits)]


def _class_table(
    splits: Sequence[SplitSummary], labels: Sequence[str], width: int
) -> Iterator[Line]:
    """One line a class, from the largest to the smallest; the middle of a long list is left out."""
    totals = {label: sum(split.labels.get(label, 0) for split in splits) for label in labels}
    ranked = sorted(labels, key=lambda label: (-totals[label], labels.index(label)))
    shown = ranked if len(ranked) <= MOST_CLASSES else [*ranked[:ENDS], *ranked[-ENDS:]]
    rows = [["class", *(split.name for split in splits)]]
    rows += [
        [printable(label), *(count(split.labels.get(label, 0)) for split in splits)]
        for label in shown
    ]
    rows.append(["rows", *(count(split.rows) for split in splits)])
    lines = list(table(rows, "l" + "r" * len(splits), width))
    if len(shown) < len(ranked):
        middle = f"… {len(ranked) - len(shown)} classes between"
        lines.insert(1 + ENDS, line(INDENT, (middle, "quiet")))
    yield from lines


def _aside(split: SplitSummary) -> str:
    """What else is to be said of a split: repeats, groups, times."""
    parts = []
    if split.seen not in (0, split.rows):
        parts.append(f"seen as {count(split.seen)} rows in an epoch")
    if split.groups is not None:
        parts.append(f"{count(split.groups)} groups")
    if split.span is not None:
        parts.append(f"from {split.span[0]} to {split.span[1]}")
    return f"{split.name}: {', '.join(parts)}" if parts else ""


def _firewall(summary: DataSummary, width: int) -> Iterator[Line]:
    wall = summary.firewall
    if wall is None:
        overlap = f"{summary.overlap_exact} exact, {summary.overlap_near} near"
        return paragraph(f"holdout rows that also stand in train or validation: {overlap}", width)
    left = f"{count(wall.left_exact)} exact and {count(wall.left_near)} near matches of the holdout"
    found = f"found {count(wall.found_exact)} exact, {count(wall.found_near)} near"
    text = f"{left} are left in {count(wall.compared)} rows of train and validation ({found};"
    return paragraph(f"{text} {count(wall.removed)} rows removed). Compared: {wall.method}", width)


def _recorded(summary: DataSummary, width: int) -> Iterator[Line]:
    kept = summary.recorded
    if kept is None:
        return
    text = (
        f"{count(kept.kept)} holdout rows kept, {count(kept.added)} added, {count(kept.gone)} gone"
    )
    if kept.new_rows:
        parts = ", ".join(f"{count(rows)} in {name}" for name, rows in kept.new_rows.items())
        text += f"; rows new since the record: {parts}"
    yield from paragraph(text, width)


def _lengths(view: DataView, width: int) -> Iterator[Line]:
    if not view.lengths:
        return
    limit = f"over {count(view.max_length)}" if view.unit == "tokens" else ""
    rows = [["", "median", "95th", "longest", limit]]
    rows += [
        [
            item.split,
            count(item.median),
            count(item.p95),
            count(item.longest),
            "" if item.over is None else count(item.over),
        ]
        for item in view.lengths
    ]
    yield from table(rows, "lrrrr", width)
    drawn = [
        f"{count(item.measured)} of {count(item.rows)} {item.split} rows"
        for item in view.lengths
        if item.measured < item.rows
    ]
    notes = [f"measured on {', '.join(drawn)}, drawn evenly"] if drawn else []
    for note in (*notes, *view.notes, *([view.why_characters] if view.why_characters else [])):
        yield from paragraph(note, width)


def _examples(view: DataView, width: int) -> Iterator[Line]:
    for example in view.examples:
        label = ", ".join(example.labels)
        head = crop(printable(f"{label}  " if label else ""), width // 2)
        place = crop(
            f"{printable(example.origin)} · {example.split} · {example.id}", width - 2 - cells(head)
        )
        yield line(INDENT, (head, "strong"), (place, "quiet"))
        yield line(INDENT * 2, crop(_one_line(example.input), width - 4))
        if example.target and example.target != label:
            yield line(INDENT * 2, ("→ ", "quiet"), crop(_one_line(example.target), width - 6))
        for text in example.beside:
            yield line(INDENT * 3, (crop(_one_line(text), width - 6), "quiet"))


def _one_line(text: str) -> str:
    return printable(text.replace("\n", "\\n"))
