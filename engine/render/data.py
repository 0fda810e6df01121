"""What `recipe data` shows: where rows come from, what was found, how they are divided, how a row reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from engine.errors import Problem
from engine.evidence import DataFinding, DataSummary, SplitSummary
from engine.evidence.data_view import DataView
from engine.render.layout import INDENT, more, paragraph, table
from engine.render.problems import problems_json
from engine.render.quantities import count
from engine.render.rowtext import row_lines
from engine.render.spans import Line, cells, crop, line, pad, printable, to_text

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
    for heading, found in _parts(view, width):
        if found:
            lines += [(), *_heading(heading, width), *found]
    return to_text(lines, colour=colour)


def _heading(text: str, width: int) -> Iterator[Line]:
    for part in textwrap.wrap(text, width, break_on_hyphens=False):
        yield line((part, "strong"))


def data_json(view: DataView, problems: Sequence[Problem]) -> dict[str, Any]:
    """The view as JSON data, whole; `problems` are those that stop a run."""
    told = problems_json(problems)
    return {"schema": "data.v1", **asdict(view), "problems": told["problems"]}


def _parts(view: DataView, width: int) -> Iterator[tuple[str, Sequence[Line]]]:
    summary = view.summary
    if summary is not None:
        yield "sources", list(_sources(summary, width))
        yield "not used", list(_dropped(summary, width))
        divided = any(one.rows for one in summary.splits)
        if divided or any(one.count for one in summary.findings):
            yield "checks", list(_findings(summary, view.refusing, width))
        if divided:  # of rows that could not be divided there is nothing to prove
            thumbs = (shown for told in view.thumbs for shown in paragraph(told, width))
            yield "splits", [*_splits(summary, width), *thumbs]
            yield "firewall", list(_firewall(summary, width))
        yield "recorded", list(_recorded(summary, width))
    yield f"lengths in {view.unit}", list(_lengths(view, width))
    yield "examples", list(_examples(view, width))
    if view.row is not None:
        yield row_lines(view.row, width)


def _title(view: DataView) -> str:
    summary = view.summary
    told = [printable(view.recipe), view.kind]
    if summary is not None:
        told += [f"{count(summary.rows_read)} rows read, {count(summary.rows_used)} used"]
    if view.refusing:
        told += [f"refused by {', '.join(view.refusing)}"]
    return " · ".join(told)


def _sources(summary: DataSummary, width: int) -> Iterator[Line]:
    rows = [["file", "shape", "read", "used", ""]]
    rows += [
        [
            printable(one.name),
            one.shape,
            count(one.rows_read),
            count(one.rows_used),
            ", ".join(
                [f"weight {one.weight:g}"] * (one.weight != 1)
                + [f"into {one.into}"] * bool(one.into)
            ),
        ]
        for one in summary.sources[:MOST_SOURCES]
    ]
    if len(rows) > 1:
        yield from table(rows, "llrrl", width)
    yield from more(len(summary.sources) - MOST_SOURCES, "sources")


def _dropped(summary: DataSummary, width: int) -> Iterator[Line]:
    left = [f"{count(rows)} {why}" for why, rows in summary.dropped.items() if rows]
    return paragraph(", ".join(left), width)


def _findings(summary: DataSummary, refusing: Sequence[str], width: int) -> Iterator[Line]:
    found = [one for one in summary.findings if one.count]
    if not found:
        yield line(f"{INDENT}nothing found")
    order = {"fail": 0, "drop": 1, "mask": 2, "warn": 3}
    for one in sorted(found, key=lambda one: (order.get(one.action, 9), -one.count, one.check)):
        yield from _finding(one, refuses=one.check in refusing, width=width)


def _finding(one: DataFinding, *, refuses: bool, width: int) -> Iterator[Line]:
    style = "fail" if refuses else {"warn": "warn", "drop": "strong"}.get(one.action, "quiet")
    head = f"{one.check}  {count(one.count)}"
    yield line(INDENT, (pad(one.action, 6), style), (head, "strong"))
    yield from paragraph(one.message, width, indent=f"{INDENT}{' ' * 6}")
    for place in one.examples[:MOST_PLACES]:
        yield from _place(place, width)
    if (left := len(one.examples) - MOST_PLACES) > 0:
        yield line(f"{INDENT}{' ' * 8}", (f"… and {left} more examples in --format json", "quiet"))


def _place(place: str, width: int) -> Iterator[Line]:
    """A row that was found, on a few lines: what is wrong with it often stands at the end."""
    parts = textwrap.wrap(printable(place), max(20, width - 12), break_on_hyphens=False)
    for number, part in enumerate(parts[:PLACE_LINES]):
        cut = number == PLACE_LINES - 1 and len(parts) > PLACE_LINES
        text = part + ("…" if cut else "")
        yield line(f"{INDENT}{' ' * (8 if number == 0 else 10)}", (text, "quiet"))


def _splits(summary: DataSummary, width: int) -> Iterator[Line]:
    labels = list(dict.fromkeys(label for one in summary.splits for label in one.labels))
    if labels:
        yield from _class_table(summary.splits, labels, width)
    else:
        yield from table(_split_rows(summary.splits), "lrl", width)
    told = [_aside(one) for one in summary.splits]
    yield from (shown for text in told if text for shown in paragraph(text, width))
    if summary.folds:
        yield from paragraph(
            f"{summary.folds} folds: every row is held out once; fold 0 is the holdout shown here",
            width,
        )


def _split_rows(splits: Sequence[SplitSummary]) -> list[list[str]]:
    return [["", "rows", ""], *([one.name, count(one.rows), ""] for one in splits)]


def _class_table(
    splits: Sequence[SplitSummary], labels: Sequence[str], width: int
) -> Iterator[Line]:
    """One line a class, from the largest to the smallest; the middle of a long list is left out."""
    totals = {label: sum(one.labels.get(label, 0) for one in splits) for label in labels}
    ranked = sorted(labels, key=lambda label: (-totals[label], labels.index(label)))
    shown = ranked if len(ranked) <= MOST_CLASSES else [*ranked[:ENDS], *ranked[-ENDS:]]
    rows = [["class", *(one.name for one in splits)]]
    rows += [
        [printable(label), *(count(one.labels.get(label, 0)) for one in splits)] for label in shown
    ]
    rows.append(["rows", *(count(one.rows) for one in splits)])
    lines = list(table(rows, "l" + "r" * len(splits), width))
    if len(shown) < len(ranked):
        middle = f"… {len(ranked) - len(shown)} classes between"
        lines.insert(1 + ENDS, line(INDENT, (middle, "quiet")))
    yield from lines


def _aside(split: SplitSummary) -> str:
    """What else is to be said of a split: repeats, groups, times."""
    told = []
    if split.seen not in (0, split.rows):
        told.append(f"seen as {count(split.seen)} rows in an epoch")
    if split.groups is not None:
        told.append(f"{count(split.groups)} groups")
    if split.span is not None:
        told.append(f"from {split.span[0]} to {split.span[1]}")
    return f"{split.name}: {', '.join(told)}" if told else ""


def _firewall(summary: DataSummary, width: int) -> Iterator[Line]:
    wall = summary.firewall
    if wall is None:
        overlap = f"{summary.overlap_exact} exact, {summary.overlap_near} near"
        return paragraph(f"holdout rows that also stand in train or validation: {overlap}", width)
    left = f"{count(wall.left_exact)} exact and {count(wall.left_near)} near matches of the holdout"
    found = f"found {count(wall.found_exact)} exact, {count(wall.found_near)} near"
    told = f"{left} are left in {count(wall.compared)} rows of train and validation ({found};"
    return paragraph(f"{told} {count(wall.removed)} rows removed). Compared: {wall.method}", width)


def _recorded(summary: DataSummary, width: int) -> Iterator[Line]:
    kept = summary.recorded
    if kept is None:
        return
    told = (
        f"{count(kept.kept)} holdout rows kept, {count(kept.added)} added, {count(kept.gone)} gone"
    )
    if kept.new_rows:
        parts = ", ".join(f"{count(rows)} in {name}" for name, rows in kept.new_rows.items())
        told += f"; rows new since the record: {parts}"
    yield from paragraph(told, width)


def _lengths(view: DataView, width: int) -> Iterator[Line]:
    if not view.lengths:
        return
    limit = f"over {count(view.max_length)}" if view.unit == "tokens" else ""
    rows = [["", "median", "95th", "longest", limit]]
    rows += [
        [
            one.split,
            count(one.median),
            count(one.p95),
            count(one.longest),
            "" if one.over is None else count(one.over),
        ]
        for one in view.lengths
    ]
    yield from table(rows, "lrrrr", width)
    drawn = [
        f"{count(one.measured)} of {count(one.rows)} {one.split} rows"
        for one in view.lengths
        if one.measured < one.rows
    ]
    notes = [f"measured on {', '.join(drawn)}, drawn evenly"] if drawn else []
    for note in (*notes, *view.notes, *([view.why_characters] if view.why_characters else [])):
        yield from paragraph(note, width)


def _examples(view: DataView, width: int) -> Iterator[Line]:
    for one in view.examples:
        label = ", ".join(one.labels)
        head = crop(printable(f"{label}  " if label else ""), width // 2)
        place = crop(f"{printable(one.origin)} · {one.split} · {one.id}", width - 2 - cells(head))
        yield line(INDENT, (head, "strong"), (place, "quiet"))
        yield line(INDENT * 2, crop(_one_line(one.input), width - 4))
        if one.target and one.target != label:
            yield line(INDENT * 2, ("→ ", "quiet"), crop(_one_line(one.target), width - 6))
        for text in one.beside:
            yield line(INDENT * 3, (crop(_one_line(text), width - 6), "quiet"))


def _one_line(text: str) -> str:
    return printable(text.replace("\n", "\\n"))
