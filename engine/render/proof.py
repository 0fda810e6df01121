"""The holdout firewall in words that every format shares: what was compared, recorded, and worn."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import (
    DataFinding,
    DataSummary,
    Firewall,
    HoldoutUse,
    Recorded,
    SourceSummary,
    SplitSummary,
)
from engine.render.quantities import count

MOST_FINDINGS = 40
"""Findings shown in a report; all of them are in report.json."""
_GRAVEST = ("fail", "drop", "mask", "warn")


def proof_lines(data: DataSummary | None, use: HoldoutUse | None) -> list[str]:
    """Every sentence that says how the holdout was kept apart and how worn it is, without full stops."""
    lines = [firewall_line(data.firewall)] if data and data.firewall else []
    lines += [recorded_line(data.recorded)] if data and data.recorded else []
    return [*lines, *([use_line(use)] if use else [])]


def firewall_line(proof: Firewall) -> str:
    """`…: 500 rows compared; found 2 equal and 1 near holdout rows, 3 rows left out; left 0 equal, 0 near`."""
    found = f"found {count(proof.found_exact)} equal and {count(proof.found_near)} near"
    removed = f", {_rows(proof.removed)} of train and validation left out" if proof.removed else ""
    left = f"left {count(proof.left_exact)} equal and {count(proof.left_near)} near"
    return f"{proof.method}: {_rows(proof.compared)} compared; {found}{removed}; {left}"


def recorded_line(recorded: Recorded) -> str:
    """`12 new rows: 9 to train, 3 in no split; holdout: 300 kept, 0 gone, 0 added`."""
    held = ", ".join(
        f"{count(getattr(recorded, what))} {what}" for what in ("kept", "gone", "added")
    )
    if recorded.new_rows is None:
        return f"which rows are new is not known; holdout: {held}"
    new = sum(recorded.new_rows.values())
    if not new:
        return f"no new rows; holdout: {held}"
    parts = ", ".join(
        f"{count(rows)} {'in no split' if name == 'none' else f'to {name}'}"
        for name, rows in recorded.new_rows.items()
        if rows
    )
    return f"{count(new)} new {'row' if new == 1 else 'rows'}: {parts}; holdout: {held}"


def use_line(use: HoldoutUse) -> str:
    """How often the holdout has decided something and was redrawn: `this holdout has decided 4 times`."""
    times = {0: "has not decided anything yet", 1: "has decided once"}
    told = times.get(use.looks, f"has decided {count(use.looks)} times")
    again = f"; it was redrawn {_times(use.redraws)}, as the lock says" if use.redraws else ""
    return f"this holdout {told}{again}"


def tells_sources(sources: Sequence[SourceSummary]) -> bool:
    """Whether the sources say more than the counts of all rows do."""
    return len(sources) > 1 or any(
        item.shape not in ("", "columns") or item.weight != 1 or item.into for item in sources
    )


def source_cells(source: SourceSummary) -> tuple[str, ...]:
    """Name, shape, rows read, rows used, weight, split: one row of a table."""
    read, used = count(source.rows_read), count(source.rows_used)
    return source.name, source.shape, read, used, f"{source.weight:g}", source.into or "any"


SOURCE_COLUMNS = ("source", "shape", "rows read", "rows used", "weight", "into")


def split_columns(splits: Sequence[SplitSummary]) -> list[str]:
    """The columns that say something beside name, rows and digest."""
    columns = {
        "seen in an epoch": any(item.seen != item.rows for item in splits),
        "groups": any(item.groups is not None for item in splits),
        "from": any(item.span for item in splits),
        "to": any(item.span for item in splits),
    }
    return [name for name, needed in columns.items() if needed]


def split_cells(split: SplitSummary, columns: Sequence[str]) -> list[str]:
    """What a split says in those columns."""
    first, last = split.span or ("", "")
    groups = count(split.groups) if split.groups is not None else ""
    told = {"seen in an epoch": count(split.seen), "groups": groups, "from": first, "to": last}
    return [told[name] for name in columns]


def graver_first(findings: Sequence[DataFinding]) -> list[DataFinding]:
    """The findings by what was done about them: what fails first, checks that found nothing last."""
    return sorted(findings, key=_gravity)


def _gravity(finding: DataFinding) -> tuple[bool, int]:
    known = finding.action in _GRAVEST
    return not finding.count, _GRAVEST.index(finding.action) if known else len(_GRAVEST)


def _rows(number: int) -> str:
    return f"{count(number)} {'row' if number == 1 else 'rows'}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{count(number)} times"
