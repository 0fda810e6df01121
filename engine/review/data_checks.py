"""Checks of the data that begin, or cease, to leave rows out or to rewrite them: which rows judge then.

Most checks look at the rows before they are divided. So with `drop` and `mask` they also decide which rows judge, and
the rows that they leave out are often the hard ones: that makes no gate stronger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.evidence.review import Finding
from engine.recipe.validation.schema import ORDER
from engine.review.compare import ChangedKey, Versions, finding_of
from engine.review.rows import JudgedRows, RowDivider
from engine.review.version import Side
from engine.values import replace

AT: Final = "data.checks."
AFTER_THE_DRAW: Final = ("leakage", "label_errors", "truncation", "imbalance", "missing_classes")
"""Checks that leave the holdout alone: they take rows out of the others, or none at all."""
OF_FOLDS: Final = ("leakage", "label_errors")
"""Of these, the ones that take rows out of the training: with folds every row is one of both."""
MOVES: Final = ("drop", "mask")
"""Actions after which the rows are others."""


def decides(one: ChangedKey, versions: Versions) -> bool:
    """Return whether a key that differs is a check that decides which rows judge, before or now."""
    name = one.path.removeprefix(AT)
    with_folds = bool(versions.old.recipe.splits.folds or versions.new.recipe.splits.folds)
    leaves_alone = name in AFTER_THE_DRAW and not (with_folds and name in OF_FOLDS)
    is_check = one.path.startswith(AT) and not leaves_alone
    return is_check and (one.before in MOVES or one.after in MOVES) and one.after != "fail"


def judge_checks(versions: Versions, rows: RowDivider) -> Iterator[Finding]:
    """W125, W301: rows that a check takes out of those that judge, rewrites, or lets judge again."""
    for one in versions.differing:
        if decides(one, versions):
            yield from _judged(one, versions, rows)


def _judged(one: ChangedKey, versions: Versions, rows: RowDivider) -> Iterator[Finding]:
    moved = _moved(one, versions.new, rows)
    is_relaxed = ORDER.index(str(one.after)) > ORDER.index(str(one.before))
    if is_relaxed:
        yield finding_of(one, "W301", _moved_words(one, moved))
    elif moved is None or moved.gone:
        yield finding_of(one, "W125", _moved_words(one, moved))


def _moved(one: ChangedKey, side: Side, rows: RowDivider) -> JudgedRows | None:
    """Return what the check alone does to the rows that judge; None where that is not known."""
    name = one.path.removeprefix(AT)
    # With `fail` there would be no rows to compare; `warn` leaves them as they are.
    before = "warn" if one.before == "fail" else str(one.before)
    return rows.judged(_acting(side, name, before), _acting(side, name, str(one.after)))


def _acting(side: Side, check: str, action: str) -> Side:
    checks = replace(side.recipe.data.checks, **{check: action})
    recipe = replace(side.recipe, data=replace(side.recipe.data, checks=checks))
    return replace(side, recipe=recipe)


def _moved_words(one: ChangedKey, moved: JudgedRows | None) -> str:
    if moved is None:
        return "it decides which rows judge; how many are others now is not known here"
    if one.after == "drop":
        return f"it leaves out {moved.gone} of {moved.rows} rows that judge"
    if one.after == "mask" and one.before != "drop":
        return f"it rewrites {moved.gone} of {moved.rows} rows that judge"
    return f"{moved.come} rows judge that were left out or rewritten before"
