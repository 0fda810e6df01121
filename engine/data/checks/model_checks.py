"""Checks that guess: labels that models contradict, texts that name their own label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nsmallest

from engine.data.checks.findings import ByRow, Findings, quote
from engine.data.checks.label_errors import find_label_errors, looked_at
from engine.data.checks.label_leakage import (
    find_label_marks,
    finder,
    leakage_message,
)
from engine.data.checks.label_order import MOST, find_moved_labels
from engine.data.preparation import Preparation
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment
from engine.data.spill import Texts
from engine.data.splitting.splits import Division


def find_doubted(work: Preparation) -> dict[int, str]:
    """Return the rows whose label cross-validated models contradict with confidence, and what they say instead."""
    pool = work.pool
    rows = pool.living()
    labels = [pool.labels(row)[0] for row in rows]
    suspects = find_label_errors(Texts(pool.spill, rows), labels, seed=work.splits.seed)
    doubted = {
        rows[one.index]: f"more likely `{one.suggested}` ({one.confidence:.0%})" for one in suspects
    }
    _report_moved(work, rows)
    for row, what in doubted.items():
        record = pool.spill[row]
        work.findings.row("label_errors", record.origin, text=excerpt(record.input), what=what)
    if doubted:
        message = several(len(doubted), "row has", "rows have")
        message += " a label that cross-validated models contradict"
        message += looked_at(len(rows), len(set(labels)))
        examples = ByRow(
            rows=list(doubted), show=lambda row: (quote(pool, row), f" is {doubted[row]}")
        )
        # Left out after the division, by `drop_doubted`.
        work.report("label_errors", len(doubted), message=message, examples=examples)
    return doubted


def _report_moved(work: Preparation, rows: Sequence[int]) -> None:
    """Report labels that stand in another row than their texts."""
    pool = work.pool
    read = nsmallest(MOST, rows)  # they are numbered as they were read
    found = find_moved_labels(
        [pool.spill[row].input for row in read], [pool.labels(row)[0] for row in read]
    )
    if found is None:
        return
    where = "row after its text" if found.rows_on > 0 else "row before its text"
    message = (
        f"labels seem to stand one row off: from the texts models learn the label of the {where} ({found.moved:.0%}"
        f" right), and not that of the text's own row ({found.own:.0%})"
    )
    work.findings.report("label_errors", work.data.checks.label_errors, len(rows), message=message)


def drop_doubted(division: Division, doubted: Iterable[int], findings: Findings) -> None:
    """Take doubted rows out of train and validation, after the division.

    Never out of the holdout: without the rows that models find hard, it would flatter them.
    """
    out = [
        row for row in doubted if division.places[row] in (Assignment.TRAIN, Assignment.VALIDATION)
    ]
    findings.drop("likely label error", division.leave_out(out, "label_errors"))


def check_label_marks(work: Preparation) -> None:
    """Find words of the label, or constant markers, that give the label away in the text.

    `drop` leaves out the rows that hold one and have its label.
    """
    pool = work.pool
    rows = pool.living()
    texts = ((pool.spill[row].input, pool.labels(row)) for row in rows)
    found = find_label_marks(texts, work.task.labels)
    if not found:
        return
    find, giving = finder(found), []
    for row in rows:
        given = find(pool.spill[row].input)
        # A mark of another label does not give this row's label away.
        if given is not None and given.label in pool.labels(row):
            giving.append(row)
            work.findings.row("label_in_input", pool.spill[row].origin, what=given.mark)
    work.report(
        "label_in_input",
        len(giving),
        message=leakage_message(found),
        examples=(one.message() for one in found),
        reason="label given away",
        rows=giving,
    )
