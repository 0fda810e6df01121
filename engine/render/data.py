"""What `recipe data` shows: where rows come from, what was found, how they are divided, how a row reads."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from rich.cells import chop_cells
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.errors import Problem
from engine.evidence import DataSummary
from engine.evidence.data import DataView, ShownRow, ShownSegment, TrainingRows
from engine.render import blocks
from engine.render.number_format import count, counted
from engine.render.problems import problems_json
from engine.render.report.sections.data import firewall_lines, gravity, split_lines
from engine.render.stage_lines import dropped_words
from engine.render.styled_text import STYLES, pad, printable
from engine.render.terminal import indented, rich_table, terminal_text, text
from engine.values import to_json

OPEN, CLOSE = "⟦", "⟧"
"""Around what is learned from."""
LEARNED = ("learned from", "is learned from; the rest is only read")
"""What the marked tokens are for, after their number and after the marks."""
NOT_LEARNED = {
    "validation": ("measured", "is measured in training; a row of validation is not learned from"),
    "holdout": ("judged by", "is what answers are judged by; a holdout row is never learned from"),
}
"""The same for rows that are marked as training rows are, but never trained on."""
LINE, WRAPPED = "  │ ", "  ┊ "
"""Before a line of the text; before the rest of a line that is too wide for the terminal."""
FIRST, LAST = 60, 20
"""Lines shown of a long row, at its start and its end."""


def _row(row: ShownRow, width: int) -> Iterator[Text]:
    marked, meaning = NOT_LEARNED.get(row.split, LEARNED)
    size = f" · {row.tokens:,} tokens, {row.supervised:,} {marked}" if row.tokens else ""
    yield text(f"row {row.origin} · {row.split} · {row.id}{size}", "strong")
    yield from _lines(row.segments, width)
    if row.rejected:
        yield text("  rejected: the answer that is not wanted", "quiet")
        yield from _lines(row.rejected, width)
    if any(segment.supervised for segment in row.segments):
        yield text(f"  {OPEN}…{CLOSE} {meaning}", "quiet")
    if row.note:
        yield text(f"  {row.note}")


def _lines(segments: Sequence[ShownSegment], width: int) -> list[Text]:
    """The lines of a text, which are wrapped where they are too wide; in the middle of a long one some are left out."""
    whole, lines = Text(), list[Text]()
    for one in segments:
        # `printable` makes blanks of a tab; here it must be seen, since the model sees one.
        shown = "\n".join(map(printable, one.text.replace("\t", "\\t").split("\n")))
        marked = f"{OPEN}{shown}{CLOSE}" if one.supervised else shown
        whole.append(marked, STYLES["pass"] if one.supervised else "")
    for line in whole.split(allow_blank=True):
        cuts = accumulate(map(len, chop_cells(line.plain, width - len(LINE))[:-1]))
        for at, piece in enumerate(line.divide(cuts)):
            lines.append(Text.assemble((WRAPPED if at else LINE, STYLES["quiet"]), piece))
    # no text is no line, nor is what follows the last line break
    lines = lines[:-1] if whole.plain[-1:] in ("", "\n") else lines
    left = len(lines) - FIRST - LAST
    if left <= 1:
        return lines
    return [*lines[:FIRST], text(f"  … {left} lines are not shown", "quiet"), *lines[-LAST:]]


MOST_CLASSES = 12
"""Classes listed one by one; of more, the smallest and the largest."""
ENDS = 5
"""Classes shown at either end of a long list."""
MOST_SOURCES = 20
MOST_PLACES = 3
"""Rows named under each finding; the JSON has them all."""
PLACE_LINES = 3


def data_text(view: DataView, *, width: int, colour: bool) -> str:
    summary = view.summary
    title = [view.recipe, view.kind]
    if summary is not None:
        title += [f"{count(summary.rows_read)} rows read, {count(summary.rows_used)} used"]
    if view.refusing:
        title += [f"refused by {', '.join(view.refusing)}"]
    parts: list[RenderableType] = [text(" · ".join(title), "strong")]
    for heading, found in _parts(view, width):
        if shown := list(found):
            parts += [text(""), text(heading, "strong"), *(indented(part) for part in shown)]
    if view.row is not None:
        parts += [text(""), *_row(view.row, width)]
    return terminal_text(parts, width=width, colour=colour)


def data_json(view: DataView, problems: Sequence[Problem]) -> dict[str, Any]:
    """The view as JSON data, whole; `problems` are those that stop a run."""
    return {"schema": "data.v1", **to_json(view), "problems": problems_json(problems)["problems"]}


def _parts(view: DataView, width: int) -> Iterator[tuple[str, Iterable[RenderableType]]]:
    summary = view.summary
    if summary is not None:
        yield "sources", _sources(summary)
        yield "not used", map(text, filter(None, [dropped_words(summary)]))
        is_divided = any(split.rows for split in summary.splits)
        if is_divided or any(finding.count for finding in summary.findings):
            yield "checks", _findings(summary, view.refusing, width)
        if is_divided:  # of rows that could not be divided there is nothing to prove
            yield "splits", [*_splits(summary), *map(text, view.thumbs)]
            yield "firewall", map(text, firewall_lines(summary))
    yield f"lengths in {view.unit}", _lengths(view)
    if view.training is not None:
        yield "training", map(text, _trained_lines(view.training))
    yield "examples", _examples(view, width)


def _trained_lines(rows: TrainingRows) -> Iterator[str]:
    if rows.note:
        yield rows.note
    if rows.added_by:
        yield f"the stage `{rows.added_by}` adds rows: how many are trained is known after it"
        return
    about = "" if rows.counted else "about "
    most = "at most " if rows.stops_early else ""
    steps = "" if rows.steps is None else f" in {most}{about}{count(rows.steps)} steps"
    yield f"{about}{count(rows.train)} rows are trained{steps}"


def _table(columns: str | Sequence[str | blocks.Column], rows: Iterable[Sequence[str]]) -> Table:
    return rich_table(blocks.table("", columns, rows))


def _sources(summary: DataSummary) -> Iterator[RenderableType]:
    rows = []
    for source in summary.sources[:MOST_SOURCES]:
        use = [f"weight {source.weight:g}"] if source.weight != 1 else []
        use += [f"into {source.into}"] if source.into else []
        numbers = (count(source.rows_read), count(source.rows_used))
        rows.append([source.name, source.shape, *numbers, ", ".join(use)])
    if rows:
        yield _table("file | shape | >read | >used | ", rows)
    if (left := len(summary.sources) - MOST_SOURCES) > 0:
        yield text(f"… and {left} more sources", "quiet")


def _findings(
    summary: DataSummary, refusing: Sequence[str], width: int
) -> Iterator[RenderableType]:
    findings = [finding for finding in summary.findings if finding.count]
    if not findings:
        yield text("nothing found")
    for finding in sorted(findings, key=lambda one: (gravity(one), -one.count, one.check)):
        style = {"warn": "warn", "drop": "strong"}.get(finding.action, "quiet")
        style = "fail" if finding.check in refusing else style
        head = text(f"{finding.check}  {count(finding.count)}", "strong")
        yield text(pad(finding.action, 6), style).append_text(head)
        yield indented(text(finding.message), 6)
        for place in finding.examples[:MOST_PLACES]:
            # what is wrong with a row often stands at its end, so it has a few lines
            lines = textwrap.wrap(printable(place), max(20, width - 12), break_on_hyphens=False)
            if len(lines) > PLACE_LINES:
                lines = [*lines[: PLACE_LINES - 1], f"{lines[PLACE_LINES - 1]}…"]
            for at, shown in enumerate(lines):
                yield indented(text(shown, "quiet"), 10 if at else 8)
        if (left := len(finding.examples) - MOST_PLACES) > 0:
            yield indented(text(f"… and {left} more examples in --format json", "quiet"), 8)


def _splits(summary: DataSummary) -> Iterator[RenderableType]:
    splits = summary.splits
    labels = list(dict.fromkeys(label for split in splits for label in split.labels))
    if labels:
        totals = {label: sum(split.labels.get(label, 0) for split in splits) for label in labels}
        ranked = sorted(labels, key=lambda label: (-totals[label], labels.index(label)))
        rows = [
            [label, *(count(split.labels.get(label, 0)) for split in splits)] for label in ranked
        ]
        if len(ranked) > MOST_CLASSES:
            between = f"… {len(ranked) - 2 * ENDS} classes between"
            rows = [*rows[:ENDS], [between, *[""] * len(splits)], *rows[-ENDS:]]
        rows.append(["rows", *(count(split.rows) for split in splits)])
        yield _table(["class", *blocks.numbers(split.name for split in splits)], rows)
    else:
        yield _table(" | >rows", [[split.name, count(split.rows)] for split in splits])
    for split in splits:
        seen = f"seen as {count(split.seen)} rows in an epoch"
        parts = [] if split.seen in (0, split.rows) else [seen]
        parts += [] if split.groups is None else [counted(split.groups, "group")]
        parts += [] if split.span is None else [f"from {split.span[0]} to {split.span[1]}"]
        if parts:
            yield text(f"{split.name}: {', '.join(parts)}")
    yield from map(text, split_lines(summary))
    if summary.folds:
        held_out = "every row is held out once; fold 1 is the holdout shown here"
        yield text(f"{summary.folds} folds: {held_out}")


def _lengths(view: DataView) -> Iterator[RenderableType]:
    if not view.lengths:
        return
    limit = f">over {count(view.max_length)}" if view.unit == "tokens" else ""
    rows = []
    for item in view.lengths:
        lengths = map(count, (item.median, item.p95, item.longest))
        rows.append([item.split, *lengths, "" if item.over is None else count(item.over)])
    yield _table(f" | >median | >95th | >longest | {limit}", rows)
    sampled = [
        f"{count(item.measured)} of {count(item.rows)} {item.split} rows"
        for item in view.lengths
        if item.measured < item.rows
    ]
    notes = [f"measured on {', '.join(sampled)}, drawn evenly"] if sampled else []
    yield from map(text, (*notes, *view.notes, *filter(None, [view.why_characters])))


def _examples(view: DataView, width: int) -> Iterator[RenderableType]:
    for example in view.examples:
        label = ", ".join(example.labels)
        head = text(f"{label}  " if label else "", "strong")
        head.truncate(width // 2, overflow="ellipsis")
        place = text(f"{example.origin} · {example.split} · {example.id}", "quiet")
        yield _one_line(head.append_text(place))
        yield indented(_one_line(text(_escaped(example.input))))
        if example.target and example.target != label:
            yield indented(
                _one_line(text("→ ", "quiet").append_text(text(_escaped(example.target))))
            )
        for beside in example.beside:
            yield indented(_one_line(text(_escaped(beside), "quiet")), 4)


def _escaped(words: str) -> str:
    return words.replace("\n", "\\n")


def _one_line(words: Text) -> Text:
    words.no_wrap, words.overflow = True, "ellipsis"
    return words
