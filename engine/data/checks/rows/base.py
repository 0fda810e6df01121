"""What a check of single rows is. It reads a row as the task sees it and says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from engine.data.checks.rows.texts import rows_that, texts
from engine.data.kinds.base import Filled
from engine.recipe.model import CheckAction
from engine.values import Value


class RowCheck(Value, kw_only=False):
    """Looks at one row at a time and keeps nothing."""

    action: CheckAction
    """Never `off`: such checks are not made."""
    name: ClassVar[str]
    """The key in `data.checks`."""
    finding: ClassVar[tuple[str, str]]
    """What the finding says of one row and of several: `holds personal data`, `hold personal data`."""

    def fault(self, text: str) -> str | None:
        """Say what is wrong with a text of a row (`holds an e-mail address: a…@example.org`), or None."""
        raise NotImplementedError

    def look(self, filled: Filled) -> str | None:
        """Say what is wrong with the first text of the row that is not right, or None."""
        return next((fault for text in texts(filled) if (fault := self.fault(text))), None)

    def message(self, count: int) -> str:
        """Return the finding's sentence for `count` rows, such as `12 rows hold personal data`."""
        return rows_that(count, *self.finding)


class TraitCheck(Value, kw_only=False):
    """Needs every row to say which are odd: the language most have, the form most answers have."""

    action: CheckAction
    """Never `off`: such checks are not made."""
    name: ClassVar[str]
    """The key in `data.checks`."""

    def trait(self, filled: Filled) -> str:
        """Return a short word for the row, of few possible ones; it is all that is kept of it."""
        raise NotImplementedError

    def odd(self, counts: Mapping[str, int]) -> tuple[frozenset[str], str]:
        """Return the odd traits and the finding's sentence; none and `` when nothing is odd.

        A sentence without traits: rows differ, but none is the odd one, so that nothing can be
        dropped; it is reported, and with `fail` it is an error.
        """
        raise NotImplementedError

    def shown(self, trait: str, counts: Mapping[str, int]) -> str:
        """Return what an odd trait means, in words, such as `begins with a small letter`."""
        raise NotImplementedError
