"""Checks that guess: labels that models contradict, texts that name their own label."""

from __future__ import annotations

from collections.abc import Iterable

from engine.data.checks.findings import ByRow, Findings, quote
from engine.data.checks.label_errors import find_label_errors, looked_at
from engine.data.checks.label_leakage import find_label_marks, finder, leakage_message
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
    texts = ((record.input, pool.labels(row)) for row, record in pool.spill.ordered(rows))
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
