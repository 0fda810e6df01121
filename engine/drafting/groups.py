"""Columns that say whose a row is: rows of one user, patient or session resemble each other, and stay together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.data.examples.template import found_at
from engine.drafting.choices import Guess
from engine.drafting.profile import ColumnProfile, Profile
from engine.drafting.roles import ID_NAMES, TIME, TIMES
from engine.values import Value

WHOSE: Final = frozenset({
    "user", "username", "customer", "client", "patient", "participant", "person", "member",
    "visitor", "student", "pupil", "employee", "household", "family", "author", "speaker", "caller",
    "session", "conversation", "dialogue", "dialog", "thread", "chat", "call", "visit", "encounter",
    "admission", "document", "doc", "article", "video", "recording", "interview", "essay",
})  # fmt: skip
"""Words in the name of a column whose equal values are rows of one person, one talk or one document."""
NAMING: Final = frozenset(
    {"id", "ids", "uid", "uuid", "no", "nr", "num", "number", "key", "code", "name", "hash"}
)
"""Words that may stand behind these."""
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
    found = [
        Grouping(
            column=column,
            is_sure=not WHOSE.isdisjoint(_words(column.name)),
            empty=len(profile.kept) - column.filled,
        )
        for column in profile.columns.values()
        if _says_whose(column) and column.name not in _used(guess) and _comes_again(column, profile)
    ]
    found.sort(key=lambda one: (not one.is_sure, one.empty > 0, len(one.column.values)))
    kept: list[Grouping] = []
    for one in found:
        if not any(_lies_within(one.name, other.name, profile) for other in kept):
            kept.append(one)
    return tuple(kept)


def _used(guess: Guess) -> tuple[str, ...]:
    return (*guess.texts, *guess.fields, *guess.pair, guess.label, guess.split)


def _says_whose(column: ColumnProfile) -> bool:
    *words, last = _words(column.name) or [""]
    # `name` and `number` alone say nothing of whose it is.
    is_named = WHOSE.issuperset({last}) or (last in NAMING and not WHOSE.isdisjoint(words))
    is_id = bool(words) and last in ("id", "uid", "uuid")
    return (is_named or is_id) and not any(part.isdigit() for part in column.name.split("."))


def _words(name: str) -> list[str]:
    """Return the words of a name: `userId`, `user id` and `user_id` are the same two, and `userid` is both."""
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()).lower())
    return [part for word in words for part in _parted(word)]


def _parted(word: str) -> Iterator[str]:
    stem = word.removesuffix("id")
    yield from (stem, "id") if stem != word and stem in WHOSE else (word,)


def _comes_again(column: ColumnProfile, profile: Profile) -> bool:
    """Whether short values name many groups of few rows, a good part of them of several."""
    if column.lists or column.objects or column.longest > LONGEST or column.name in ID_NAMES:
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
