"""The recorded rows that the data stage has to keep in their splits.

Three values decide: `draw` (the settings of which rows are held out), `inputs` (everything the splits are made from)
and the record. With sizes in rows (and by time) and the same draw, new rows are split around the recorded ones.
Another draw starts anew, and the lock counts it as a redraw.
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
    """Other inputs, and nothing to keep: fractions move no row, files name the split of rows, folds are dealt anew."""
    REDRAWN = "redrawn"
    """Another draw: the recorded holdout is given up."""


class ExpectedDraw(Value):
    match: LockMatch
    digest: str | None = None
    """Digest of the record, as in the key; None for a fresh draw."""
    recorded: Membership | None = None
    changed: tuple[str, ...] = ()
    """What differs of a redraw, such as `splits.seed 7 -> 8`."""


def draw_of(recipe: Recipe, *, sorted_: bool = True) -> dict[str, Any]:
    """Return the settings that decide which rows are held out, by recipe key; long values as digests.

    Locks of older versions were written not sorted.
    """
    splits, data, task = recipe.splits, recipe.data, recipe.task
    # the order of labels moves no row
    labels, label, messages = list(task.labels), data.label, data.messages
    if sorted_:
        labels.sort()
        label, messages = label and label.in_order(), messages and messages.in_order()
    answer = [labels, label, data.answer, messages, data.pair, data.shape]
    return {
        "splits.by": splits.by,
        "splits.holdout": splits.holdout,
        "splits.seed": splits.seed,
        "task.kind": task.kind,
        "task.input": _digest(task.input),
        "data.answer": _digest(answer),
        **({"splits.column": splits.column} if splits.column else {}),
        **({"splits.folds": splits.folds} if splits.folds else {}),
    }


def is_drawn_by(lock: Lock, recipe: Recipe) -> bool:
    return any(lock.draw == draw_of(recipe, sorted_=sorted_) for sorted_ in (True, False))


def inputs_of(payload: Mapping[str, Any]) -> str:
    return make_key({key: value for key, value in payload.items() if key != RECORDED}).digest


def bind_to_lock(recipe: Recipe, lock: Lock | None, inputs: str) -> ExpectedDraw:
    """Return the record that splits of inputs with that digest keep. DataError: the recorded rows cannot be read."""
    if lock is None or "holdout" not in lock.splits:
        return ExpectedDraw(match=LockMatch.NEW)
    if lock.inputs == inputs:
        # In the key only where it was when the lock was made: otherwise the second run of an unchanged recipe, which
        # finds a lock where the first found none, would miss all stored results.
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
    """Return whether added rows could move a row of holdout or validation to another split."""
    if splits.folds:
        return False
    # a fraction moves no row when rows are added; a number of rows does, since new rows may rank before old ones
    if splits.by in ("files", "column"):
        return int in (type(splits.holdout), type(splits.validation))
    return splits.by in BY_ORDER or isinstance(splits.holdout, int)


def recorded_rows(recipe: Recipe, lock: Lock) -> Membership:
    """Return the rows that a lock records. DataError: they are not what the engine writes."""
    path, why, found = lock_path(recipe.file), "", None
    try:
        found = membership_from_json(lock.members())
        for split, part in lock.splits.items():
            keys = len(keys_of(part.members or ""))
            # without `left_out` members may hold those rows, too
            if keys > part.rows and (split == "holdout" or part.left_out is not None):
                why = f"{keys:,} rows of {split}, which has {part.rows:,}"
    except ValueError as error:
        why = str(error)
    if found is None or why:
        message = f"`{path.name}` records no readable rows: {why}"
        raise DataError.one("D383", message, hint=how_to_restore(path))
    return found


def _digest(value: Any) -> str:
    return make_key({"value": value}).digest[:16]
