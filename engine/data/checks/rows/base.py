"""What a check of single rows is. It reads a row as the task sees it and says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engine.data.kinds.base import Filled
from engine.recipe.model import CheckAction


class RowCheck(Protocol):
    """Looks at one row at a time and keeps nothing."""

    @property
    def name(self) -> str:
        """The key in `data.checks`."""

    @property
    def action(self) -> CheckAction:
        """Never `off`: such checks are not made."""

    def look(self, filled: Filled) -> str | None:
        """Say what is wrong with the row (`holds an e-mail address: a…@example.org`), or None."""

    def message(self, count: int) -> str:
        """Return the finding's sentence for `count` rows, such as `12 rows hold personal data`."""


class TraitCheck(Protocol):
    """Needs every row to say which are odd: the language most have, the form most answers have."""

    @property
    def name(self) -> str:
        """The key in `data.checks`."""

    @property
    def action(self) -> CheckAction:
        """Never `off`: such checks are not made."""

    def trait(self, filled: Filled) -> str:
        """Return a short word for the row, of few possible ones; it is all that is kept of it."""

    def odd(self, counts: Mapping[str, int]) -> tuple[frozenset[str], str]:
        """Return the odd traits and the finding's sentence; none and `` when nothing is odd.

        A sentence without traits: rows differ, but none is the odd one, so that nothing can be
        dropped; it is reported, and with `fail` it is an error.
        """

    def shown(self, trait: str, counts: Mapping[str, int]) -> str:
        """Return what an odd trait means, in words, such as `begins with a small letter`."""


class Mask(Protocol):
    """Rewrites a row before anything else sees it; only `personal_data: mask` does."""

    @property
    def name(self) -> str:
        """The key in `data.checks`."""

    def apply(self, filled: Filled) -> tuple[Filled, int]:
        """Return the row with placeholders in every text of it, and how many there are."""
