"""The data in the report: what was read and split, and the proof that the holdout stands apart."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import DataFinding, DataSummary, Report, SplitSummary
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, facts, prose, section, table
from engine.render.html.tracks import shares
from engine.render.proof import (
    MOST_FINDINGS,
    SOURCE_COLUMNS,
    graver_first,
    proof_lines,
    source_cells,
    split_cells,
    split_columns,
    tells_sources,
)
from engine.render.quantities import DASH, count
from engine.render.rowfit import COLUMNS, row_cells, row_lines
from engine.render.wording import why_absent

_FEW_LABELS = 6
_DIGEST = 12


def data(report: Report) -> Markup:
    """What was read, dropped and split, and the proof that the holdout stands apart."""
    summary = report.data
    if summary is None:
        return section("data", "Data", absent(why_absent(report, "data")))
    parts = [
        _overlap(summary),
        _proof(report),
        _splits(summary, report.labels),
        _lengths(report),
        _dropped(summary),
        _sources(summary),
    ]
    return section("data", "Data", *parts, _findings(summary.findings))


def _proof(report: Report) -> Markup:
    lines = proof_lines(report.data, report.holdout_use)
    items = [tag("li", prose(f"{line[:1].upper()}{line[1:]}.")) for line in lines]
    return tag("ul", *items, class_="proof") if items else Markup("")


def _sources(summary: DataSummary) -> Markup:
    if not tells_sources(summary.sources):
        return Markup("")
    rows = [list(source_cells(item)) for item in summary.sources]
    return table("Sources", SOURCE_COLUMNS, rows, numeric=frozenset({2, 3, 4}))


def _overlap(summary: DataSummary) -> Markup:
    holdout = next((split for split in summary.splits if split.name == "holdout"), None)
    rows = count(holdout.rows) if holdout else "the"
    return tag(
        "p",
        tag("strong", f"{summary.overlap_exact} of {rows} holdout rows"),
        " also stand in train or validation word for word, and ",
        tag("strong", str(summary.overlap_near)),
        " nearly so.",
    )


def _splits(summary: DataSummary, labels: tuple[str, ...]) -> Markup:
    few = len(labels) <= _FEW_LABELS
    names = list(labels) if few else ["rows per label"]
    balance = ["balance"] if labels else []
    more = split_columns(summary.splits)
    rows = [_split_row(split, labels, more, few=few) for split in summary.splits]
    columns = ["split", "rows", *more, *names, *balance, "digest"]
    numeric = frozenset(range(1, 2 + len(more) + len(names)))
    return table("Splits", columns, rows, numeric=numeric)


def _split_row(
    split: SplitSummary, labels: tuple[str, ...], more: Sequence[str], *, few: bool
) -> list[str]:
    counts = [split.labels.get(label, 0) for label in labels]
    told = [count(value) for value in counts]
    if not few:
        told = [f"{min(counts)} to {max(counts)}" if counts else DASH]
    named = ", ".join(f"{label} {value}" for label, value in zip(labels, counts, strict=True))
    drawn = tag("div", shares(counts, f"{split.name}: {named}"), class_="meter")
    balance = [drawn] if labels else []
    extra = split_cells(split, more)
    return [split.name, count(split.rows), *extra, *told, *balance, code(split.digest[:_DIGEST])]


def _lengths(report: Report) -> Markup:
    """Rows that were left out or cut for their length."""
    if not report.lengths:
        return Markup("")
    rows = [row_cells(one) for one in report.lengths]
    shown = table("Rows and the model's length", COLUMNS, rows, numeric=frozenset(range(1, 7)))
    told = [tag("p", prose(f"{line[:1].upper()}{line[1:]}.")) for line in row_lines(report.lengths)]
    return join([shown, *told])


def _dropped(summary: DataSummary) -> Markup:
    rows = [("rows read", count(summary.rows_read))]
    rows += [(f"not used: {why}", count(rows)) for why, rows in summary.dropped.items()]
    return facts([*rows, ("rows used", count(summary.rows_used))])


def _findings(findings: Sequence[DataFinding]) -> Markup:
    found = graver_first(findings)
    if not found:
        return Markup("")
    rows = [_finding_row(item) for item in found[:MOST_FINDINGS]]
    columns = ["check", "action", "found", "what"]
    shown = table("Data checks", columns, rows, kind="prose", numeric=frozenset({2}))
    more = len(found) - len(rows)
    return join([shown, tag("p", f"{more} more in report.json.")]) if more else shown


def _finding_row(item: DataFinding) -> list[str]:
    told = join([prose(item.message), _places(item)])
    return [code(item.check), item.action, count(item.count), told]


def _places(finding: DataFinding) -> Markup:
    if not finding.examples:
        return Markup("")
    items = (tag("li", example) for example in finding.examples)
    return tag("details", tag("summary", "where"), tag("ul", *items))
