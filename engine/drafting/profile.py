"""What the columns of a file hold: counted over its rows, nested ones by dotted paths."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.reading.row import Row
from engine.drafting.layout_table import PATTERNS
from engine.files.reading import parse_json
from engine.recipe.validation.schema import schema_text
from engine.values import Value

KEPT: Final = 20_000
"""Rows whose values are looked at; the others are counted."""
MOST_VALUES: Final = 20_000
DEEPEST: Final = 4
NAMES: Final[Mapping[str, Any]] = parse_json(schema_text("column-names.json"))
"""Of each role, the names that columns of it have, the surest first."""


def words_of(name: str) -> list[str]:
    """Return the words of a name: `classIndex`, `class index` and `class_index` are the same two."""
    return re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def rank(name: str, *roles: str) -> int:
    """Return how good a name is for a role; the last part of a path counts, and parts of words too."""
    names = [one for role in roles for one in NAMES[role]]
    above, _, own = name.rpartition(".")
    own = own.strip()
    last = own.lower()
    if above and last in ("name", "value", "text"):
        # `name` alone says nothing.
        alone = names.index(last) if last in names and last != "name" else 2 * len(names)
        return min(rank(above, *roles), alone)
    if last in names:
        return names.index(last)
    words = words_of(own)
    within = (len(names) + place for place, known in enumerate(names) if known in words)
    return next(within, 2 * len(names))


def is_called(name: str, *roles: str) -> bool:
    """Whether a column has one of the names of a role."""
    return rank(name, *roles) < sum(len(NAMES[role]) for role in roles)


def may_be_called(name: str, *roles: str) -> bool:
    """Whether one of the names of a role is among the words of a column's name."""
    return rank(name, *roles) < 2 * sum(len(NAMES[role]) for role in roles)


@dataclass(slots=True, kw_only=True)
class ColumnProfile:
    name: str
    present: int = 0
    """Rows that have it at all."""
    filled: int = 0
    """Rows with something in it."""
    texts: int = 0
    numbers: int = 0
    lists: int = 0
    """Rows with a list of words."""
    objects: int = 0
    """Rows with a list of objects."""
    characters: int = 0
    longest: int = 0
    values: Counter[str] = field(default_factory=Counter)
    """How often each text stands there, up to `MOST_VALUES` different ones."""

    @property
    def mean_length(self) -> float:
        return self.characters / max(1, self.texts + self.numbers)

    @property
    def last(self) -> str:
        return self.name.lower().rsplit(".", 1)[-1]

    @property
    def is_text(self) -> bool:
        return self.texts > 0.9 * max(1, self.filled)

    @property
    def is_number(self) -> bool:
        return self.filled > 0 and all(map(_is_number, self.values)) and not self.lists

    @property
    def is_decimal(self) -> bool:
        """Whether it holds numbers with a decimal comma, which divides nothing.

        Numbers of labels, such as `3` and `1,5`, have none in many rows; halves (`4`, `4,5`) are marks.
        """
        found = [PATTERNS["number with a comma"].fullmatch(value.strip()) for value in self.values]
        if self.lists or not all(found):
            return False
        parts = [match["part"] for match in found if match and match["part"]]
        return len(parts) > 0.9 * len(found) or set(parts) == {"5"}

    @property
    def is_of_item(self) -> bool:
        """Whether it is a part of an item of a list."""
        return any(part.isdigit() for part in self.name.split("."))

    def add(self, value: object) -> None:
        self.present += 1
        if value is None or value in ("", []):
            return
        self.filled += 1
        if isinstance(value, list):
            if all(isinstance(item, str) for item in value):
                self.lists += 1
                self._count(value)
            elif all(isinstance(item, Mapping) for item in value):
                self.objects += 1
            return
        # `true` as JSON and the reader write it, not Python's `True`.
        text = str(value).lower() if isinstance(value, bool) else str(value)
        self.texts += isinstance(value, str)
        self.numbers += isinstance(value, int | float)
        self.characters += len(text)
        self.longest = max(self.longest, len(text))
        self._count([text])

    def _count(self, texts: list[str]) -> None:
        for text in texts:
            if text in self.values or len(self.values) < MOST_VALUES:
                self.values[text] += 1


class Profile(Value):
    rows: int
    columns: dict[str, ColumnProfile]
    kept: tuple[Mapping[str, Any], ...]
    """The first rows, as they are."""
    by_split: Mapping[str, int]
    """Rows of each split, where the file says which."""

    def objects(self, column: str, rows: int) -> list[Mapping[str, Any]]:
        """Return the objects in the lists of a column, of so many rows."""
        found = [found_at(values, column) for values in self.kept[:rows]]
        lists = [value for value in found if isinstance(value, list)]
        return [item for items in lists for item in items if isinstance(item, Mapping)]


def profile_of(parts: Iterable[tuple[str, Iterable[Row]]]) -> Profile:
    """Return the profile of (split, rows); DataError where a part cannot be read."""
    columns: dict[str, ColumnProfile] = {}
    kept: list[Mapping[str, Any]] = []
    by_split: Counter[str] = Counter()
    for into, rows in parts:
        for row in rows:
            by_split[into] += 1
            if len(kept) < KEPT:
                kept.append(row.values)
                for name, value in leaves_of(row.values):
                    columns.setdefault(name, ColumnProfile(name=name)).add(value)
    return Profile(
        rows=sum(by_split.values()), columns=columns, kept=tuple(kept), by_split=dict(by_split)
    )


def leaves_of(
    value: Mapping[str, Any], path: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Yield each value of a row by its dotted path; lists of objects also as a whole."""
    for name, below in value.items():
        at = f"{path}.{name}" if path else str(name)
        if isinstance(below, Mapping) and depth < DEEPEST:
            yield from leaves_of(below, at, depth + 1)
            continue
        yield at, below
        if isinstance(below, list) and depth < DEEPEST:
            for place, item in enumerate(below[:6]):
                if isinstance(item, Mapping):
                    yield from leaves_of(item, f"{at}.{place}", depth + 1)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
