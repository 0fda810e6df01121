"""Columns that say whose a row is: rows of one user, patient or session resemble each other, and stay together."""

from __future__ import annotations

from typing import Final

from engine.data.examples.template import found_at
from engine.drafting.choices import Guess
from engine.drafting.profile import NAMES, ColumnProfile, Profile, words_of
from engine.drafting.roles import TIME, TIMES
from engine.values import Value

LONGEST: Final = 64
"""Characters of a value that names something."""
FEWEST: Final = 20
"""Groups from which whole ones can be drawn."""
LARGEST: Final = 0.1
"""Share of the rows in the largest group up to which the splits come near their sizes."""
REPEATED: Final = 0.1
"""Share of the rows that share their group with another row, from which it matters."""


class Grouping(Value):
    """A column by which rows belong together."""

    column: ColumnProfile
    is_sure: bool
    """Whether its name says whose the rows are, and it does not only end in `id`."""
    empty: int
    """Rows without a value."""

    @property
    def name(self) -> str:
        """The name of the column."""
        return self.column.name

    @property
    def repeated(self) -> int:
        """Rows that are not the first of their value."""
        return self.column.filled - len(self.column.values)


def groupings(profile: Profile, guess: Guess) -> tuple[Grouping, ...]:
    """Return the columns by which rows belong together, the one to divide them by first.

    Those that lie within an earlier one are left out: the sessions of a user stay together with the user.
    """
    used = (*guess.texts, *guess.fields, *guess.pair, guess.label, guess.split)
    whose = set(NAMES["whose"])
    found = []
    for column in profile.columns.values():
        # `userid` is two words as well.
        words = [
            part
            for word in words_of(column.name.strip())
            for part in ((word[:-2], "id") if word[-2:] == "id" and word[:-2] in whose else (word,))
        ]
        *before, last = words
        # `name` and `number` alone say nothing of whose it is.
        is_named = last in whose or (last in NAMES["naming"] and not whose.isdisjoint(before))
        is_id = bool(before) and last in ("id", "uid", "uuid")
        is_free = column.name not in used and not column.is_of_item
        if (is_named or is_id) and is_free and _comes_again(column, profile):
            empty = len(profile.kept) - column.filled
            is_sure = not whose.isdisjoint(words)
            found.append(Grouping(column=column, is_sure=is_sure, empty=empty))
    found.sort(key=lambda one: (not one.is_sure, one.empty > 0, len(one.column.values)))
    kept: list[Grouping] = []
    for one in found:
        if not any(_lies_within(one.name, other.name, profile) for other in kept):
            kept.append(one)
    return tuple(kept)


def _comes_again(column: ColumnProfile, profile: Profile) -> bool:
    """Whether short values name many groups of few rows, a good part of them of several."""
    if column.lists or column.objects or column.longest > LONGEST or column.name in NAMES["id"]:
        return False
    if TIMES.search(column.name) or all(map(TIME.match, column.values)):
        return False
    shared = sum(rows for rows in column.values.values() if rows > 1)
    return (
        len(column.values) >= FEWEST
        and column.filled > len(profile.kept) / 2
        and max(column.values.values()) <= LARGEST * column.filled
        and shared >= REPEATED * column.filled
    )


def _lies_within(inner: str, outer: str, profile: Profile) -> bool:
    """Whether all rows of one value have one value of the other column too."""
    first: dict[str, object] = {}
    return all(
        first.setdefault(str(found_at(row, inner)), value := found_at(row, outer)) == value
        for row in profile.kept
    )
