"""What the lock of a recipe says to its data stage: which recorded rows the splits are held to.

Three values decide: `draw` (what defines which rows are held out), `inputs` (everything the splits
are made from) and the record. With sizes in rows (and by time) and the same draw, other inputs are
divided around the recorded rows. Any other draw starts afresh, and the lock counts it as a redraw.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from engine.data.membership import Membership, keys_of, membership_from_json
from engine.errors import DataError
from engine.lock.file import Lock, how_to_restore, lock_path
from engine.recipe.model import BY_ORDER, Recipe, Splits
from engine.store import make_key
from engine.values import Value

DIGITS = 16
"""Hex digits of the digests that stand for a template or an answer in `draw`."""
RECORDED = "recorded"
"""The entry of the data stage's key payload that names the record; it is no part of `inputs`."""


class LockMatch(StrEnum):
    NEW = "new"
    """Nothing is recorded yet."""
    SAME = "same"
    """The lock was made from exactly these inputs."""
    KEPT = "kept"
    """Other inputs; the recorded rows stay where they are."""
    OPEN = "open"
    """Other inputs, and nothing to hold: fractions move no row, files say where rows are, folds are
    dealt anew."""
    REDRAWN = "redrawn"
    """Another draw: the recorded holdout is given up."""


class ExpectedDraw(Value):
    match: LockMatch
    digest: str | None = None
    """Of the record, as it stands in the key; None for a fresh draw."""
    recorded: Membership | None = None
    changed: tuple[str, ...] = ()
    """Redrawn: what differs, such as `splits.seed 7 -> 8`."""


def draw_of(recipe: Recipe, *, sorted_: bool = True) -> dict[str, Any]:
    """What defines which rows are held out, by recipe key; long values as digests.

    Not sorted, as locks wrote it while the order of mappings still counted.
    """
    splits, data, task = recipe.splits, recipe.data, recipe.task
    # the order of labels moves no row
    labels, label, messages = list(task.labels), data.label, data.messages
    if sorted_:
        labels.sort()
        label, messages = label and label.in_order(), messages and messages.in_order()
    answer = [labels, label, data.answer, messages, data.pair, data.shape]
    drawn: dict[str, Any] = {
        "splits.by": splits.by,
        "splits.holdout": splits.holdout,
        "splits.seed": splits.seed,
        "task.kind": task.kind,
        "task.input": _digest(task.input),
        "data.answer": _digest(answer),
    }
    if splits.column:
        drawn["splits.column"] = splits.column
    if splits.folds:
        drawn["splits.folds"] = splits.folds
    return drawn


def is_drawn_by(lock: Lock, recipe: Recipe) -> bool:
    # older versions recorded mappings in the order of the recipe
    return any(lock.draw == draw_of(recipe, sorted_=sorted_) for sorted_ in (True, False))


def inputs_of(payload: Mapping[str, Any]) -> str:
    return make_key({key: value for key, value in payload.items() if key != RECORDED}).digest


def bind_to_lock(recipe: Recipe, lock: Lock | None, inputs: str) -> ExpectedDraw:
    """What the splits of inputs with that digest are held to. DataError: the recorded rows cannot be read."""
    if lock is None or "holdout" not in lock.splits:
        return ExpectedDraw(match=LockMatch.NEW)
    if lock.inputs == inputs:
        # With the same inputs the record is in the key only where it was when the lock was made. Otherwise the second
        # run of an unchanged recipe, which finds a lock where the first found none, would miss all stored results.
        recorded = recorded_rows(recipe, lock) if lock.drawn_with else None
        return ExpectedDraw(match=LockMatch.SAME, digest=lock.drawn_with, recorded=recorded)
    new = draw_of(recipe)
    if not is_drawn_by(lock, recipe):
        keys = [key for key in {**lock.draw, **new} if lock.draw.get(key) != new.get(key)]
        changed = tuple(
            f"{key} changed"
            if key in ("task.input", "data.answer")
            else f"{key} {lock.draw.get(key, 'none')} -> {new.get(key, 'none')}"
            for key in keys
        )
        return ExpectedDraw(match=LockMatch.REDRAWN, changed=changed)
    if not needs_record(recipe.splits):
        return ExpectedDraw(match=LockMatch.OPEN)
    recorded = recorded_rows(recipe, lock)
    return ExpectedDraw(match=LockMatch.KEPT, digest=recorded.digest, recorded=recorded)


def needs_record(splits: Splits) -> bool:
    """Whether other rows could move a row of holdout or validation that nothing holds."""
    if splits.folds:
        return False
    # a fraction moves no row when rows are added; a number of rows does, since others rank before them then
    if splits.by in ("files", "column"):
        return int in (type(splits.holdout), type(splits.validation))
    return splits.by in BY_ORDER or isinstance(splits.holdout, int)


def recorded_rows(recipe: Recipe, lock: Lock) -> Membership:
    """The rows that a lock records. DataError: they are not what the engine writes."""
    try:
        found = membership_from_json(lock.members())
    except ValueError as error:
        raise _no_record(recipe, f"records no readable rows: {error}") from error
    for split, part in lock.splits.items():
        keys = len(keys_of(part.members or ""))
        if keys > part.rows and not (split != "holdout" and part.left_out is None):
            raise _no_record(recipe, f"records {keys:,} rows of {split}, which has {part.rows:,}")
    return found


def _no_record(recipe: Recipe, why: str) -> DataError:
    path = lock_path(recipe.file)
    return DataError.one("D383", f"`{path.name}` {why}", hint=how_to_restore(path))


def _digest(value: Any) -> str:
    return make_key({"value": value}).digest[:DIGITS]
