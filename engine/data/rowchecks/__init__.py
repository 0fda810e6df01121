"""Checks of single rows: wrong decoding, invisible characters, personal data, giveaways, oddities."""

from __future__ import annotations

from engine.data.rowchecks.base import Mask, RowCheck, TraitCheck
from engine.recipe.model import Checks, Task


def row_checks(task: Task, checks: Checks) -> tuple[RowCheck, ...]:
    """Return the checks that look at one row and are not off."""
    del task, checks
    return ()


def trait_checks(task: Task, checks: Checks) -> tuple[TraitCheck, ...]:
    """Return the checks that compare rows by a trait and are not off."""
    del task, checks
    return ()


def masks(checks: Checks) -> tuple[Mask, ...]:
    """Return what rewrites rows."""
    del checks
    return ()
