"""Checks that guess: labels that models contradict, texts that name their own label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from engine.data.checks.findings import PLACES, Findings, Shown, quote
from engine.data.checks.label_errors import find_label_errors, looked_at
from engine.data.checks.label_leakage import LabelMark, find_label_marks, finder, leakage_message
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment, Pool
from engine.data.spill import Texts
from engine.data.splitting.splits import Division
from engine.recipe.model import CheckAction


def find_doubted(pool: Pool, action: CheckAction, seed: int, findings: Findings) -> tuple[int, ...]:
    """Return the rows whose label cross-validated models contradict with confidence."""
    rows = pool.living()
    labels = [pool.labels(row)[0] for row in rows]
    suspects = find_label_errors(Texts(pool.spill, rows), labels, seed=seed)
    if not suspects:
        return ()
    examples: list[Shown] = []
    for suspect in suspects:
        record = pool.spill[rows[suspect.index]]
        what = f"more likely `{suspect.suggested}` ({suspect.confidence:.0%})"
        findings.row("label_errors", record.origin, text=excerpt(record.input), what=what)
        if len(examples) < PLACES:
            examples.append((quote(pool, rows[suspect.index]), f" is {what}"))
    message = f"{several(len(suspects), 'row has', 'rows have')} a label that cross-validated models contradict"
    message += looked_at(len(rows), len(set(labels)))
    findings.report("label_errors", action, len(suspects), message=message, examples=examples)
    return tuple(rows[suspect.index] for suspect in suspects)


def drop_doubted(division: Division, doubted: Iterable[int], findings: Findings) -> None:
    """Take doubted rows out of train and validation, after the division.

    Never out of the holdout: without the rows that models find hard, it would flatter them.
    """
    out = [
        row for row in doubted if division.places[row] in (Assignment.TRAIN, Assignment.VALIDATION)
    ]
    for row in out:
        division.places[row] = Assignment.NONE
    findings.drop("likely label error", len(out))


def check_label_marks(
    pool: Pool, labels: tuple[str, ...], action: CheckAction, findings: Findings
) -> None:
    """Find words of the label, or constant markers, that give the label away in the text.

    `drop` leaves out the rows that hold one and have its label.
    """
    rows = pool.living()
    texts = ((pool.spill[row].input, pool.labels(row)) for row in rows)
    found = find_label_marks(texts, labels)
    if not found:
        return
    giving = list(_giving(pool, rows, finder(found)))
    for row, mark in giving:
        findings.row("label_in_input", pool.spill[row].origin, what=mark)
    examples = [one.message() for one in found]
    findings.report(
        "label_in_input", action, len(giving), message=leakage_message(found), examples=examples
    )
    if action == "drop":
        findings.drop("label given away", pool.leave_out([row for row, _ in giving]))


def _giving(
    pool: Pool, rows: Iterable[int], find: Callable[[str], LabelMark | None]
) -> Iterator[tuple[int, str]]:
    """Yield each row that holds a mark of a label it has, and that mark."""
    for row in rows:
        given = find(pool.spill[row].input)
        # A mark of another label does not give this row's label away.
        if given is not None and given.label in pool.labels(row):
            yield row, given.mark
