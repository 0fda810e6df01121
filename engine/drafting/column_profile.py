"""What the columns of a file hold: counted over its rows, nested ones by dotted paths, and what follows of each."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
SOME: Final = 500
"""Values or rows by which a column is judged."""
MOSTLY: Final = 0.9
PARTLY: Final = 0.4
"""Share of rows from which a column is one that people have begun to fill: half of SQuAD's questions have answers."""
SEVERAL: Final = 2
MOST_LABELS: Final = 200
LONGEST_LABEL: Final = 60
NOT_A_CLASS: Final = 12
"""Different numbers above which a column of numbers is a scale and not a set of classes."""
LONG_TEXT: Final = 12
"""Characters on average from which a column can be the text; that many at the start of all are a licence or source."""
NAMES: Final[Mapping[str, Any]] = parse_json(schema_text("column-names.json"))
"""Of each role, the names that columns of it have, the surest first."""


def words_of(name: str) -> list[str]:
    """Return the words of a name: `classIndex`, `class index` and `class_index` are the same two."""
    return re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def rank(name: str, role: str) -> int:
    """Return how good a name is for a role; the last part of a path counts, and parts of words too."""
    names, (above, _, own) = NAMES[role], name.rpartition(".")
    last, worst = own.strip().lower(), 2 * len(NAMES[role])
    if above and last in ("name", "value", "text"):
        # `name` alone says nothing.
        alone = names.index(last) if last in names and last != "name" else worst
        return min(rank(above, role), alone)
    words = words_of(own.strip())
    within = (len(names) + place for place, known in enumerate(names) if known in words)
    return names.index(last) if last in names else next(within, worst)


def is_called(name: str, *roles: str) -> bool:
    """Whether a column has one of the names of a role."""
    return any(rank(name, role) < len(NAMES[role]) for role in roles)


def may_be_called(name: str, *roles: str) -> bool:
    """Whether one of the names of a role is among the words of a column's name."""
    return any(rank(name, role) < 2 * len(NAMES[role]) for role in roles)


@dataclass(kw_only=True, eq=False)
class ColumnProfile:
    name: str
    rows: int = 0
    """Rows that were looked at."""
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

    @property
    def mean_length(self) -> float:
        return self.characters / max(1, self.texts + self.numbers)

    @property
    def last(self) -> str:
        return self.name.lower().rsplit(".", 1)[-1]

    @property
    def is_number(self) -> bool:
        return self.facts["number"]

    @cached_property
    def facts(self) -> Mapping[str, bool]:
        """What is known of the column once its rows are counted, by the words in which rules ask for it.

        `few`, `varied` and `different` tell how often its values come again. `classes` and `scale` hold what sorts the
        rows: one value each. `labels` are lists of several, `single` lists of one label each. `answer` is what could
        answer a text.
        """
        name, last, values, filled = self.name, self.last, self.values, self.filled
        some, different = list(values)[:SOME], len(values)
        is_text, is_list = self.texts > MOSTLY * filled, self.lists > MOSTLY * filled
        is_number = bool(values) and not self.lists and all(map(_is_number, values))
        is_decimal = not self.lists and _are_decimal(values)
        are_whole = all(value.lstrip("-").isdigit() for value in values)
        is_measure = (is_number or is_decimal) and different > NOT_A_CLASS
        is_short = self.longest <= LONGEST_LABEL and not self.lists and not self.objects
        are_few = SEVERAL <= different <= MOST_LABELS and is_short
        comes_again = filled >= 2 * different
        # Of a sure label some may be in one row only.
        is_sure = last in NAMES["sure label"] and filled > different
        item = max(map(len, values), default=0)
        are_labels = is_list and SEVERAL <= different <= MOST_LABELS and item <= LONGEST_LABEL
        # Words, and neither times nor the tags of words.
        is_worded = (
            sum(map(_is_worded, some)) > 0.3 * len(some)
            and sum(bool(PATTERNS["tags"].fullmatch(value)) for value in some) <= MOSTLY * len(some)
            and not is_called(name, "id")
        )
        facts = {
            "text": is_text,
            "list": is_list,
            "number": is_number,
            "decimal": is_decimal,
            "whole": are_whole,
            "everywhere": self.present == self.rows and filled > MOSTLY * self.present,
            "partly": filled >= PARTLY * self.rows > 0,
            "item": any(part.isdigit() for part in name.split(".")),
            "several": different > 1,
            "few": are_few and comes_again,
            "varied": different > 0.2 * min(filled, 1000),
            "different": different > 0.5 * min(filled, 1000),
            "long": self.mean_length >= LONG_TEXT,
            "worded": is_worded,
            "asks": sum(one.rstrip().endswith("?") for one in some) > 0.6 * len(some),
            # Numbers that differ in each row count the rows.
            "scale": is_number and is_measure and not (are_whole and different >= 0.95 * filled)
            and not PATTERNS["times"].search(name),
            "classes": are_few and (comes_again or is_sure) and not is_measure,
            "labels": are_labels and SEVERAL * different <= values.total() != self.lists * different,
            "single": are_labels and 2 * different <= self.lists == self.rows == values.total()
            and not is_called(name, "answer"),
        }  # fmt: skip
        # Lists of texts that are no labels are all right answers to a question.
        are_answers = is_list and (
            item > LONGEST_LABEL or is_called(name, "answers") or different > 0.3 * self.lists
        )
        # With the name of an answer, a good part of the rows may have none.
        is_named = is_called(name, "answer") and not facts["item"] and (is_worded or is_list)
        is_other = last in NAMES["id"] or bool(PATTERNS["split"].search(last))
        are_links = all(PATTERNS["time"].match(one) and " " not in one for one in some[:50])
        facts["answer"] = (
            (is_text or are_answers)
            and (facts["everywhere"] or (facts["partly"] and is_named))
            and different > 1
            and not (is_number or is_decimal or is_other or are_links)
        )
        return facts

    def has(self, *facts: str) -> bool:
        """Whether all facts hold, each one after a `-` not."""
        return all(self.facts[fact.removeprefix("-")] != fact.startswith("-") for fact in facts)


def column_of(rows: Sequence[Mapping[str, Any]], path: str) -> ColumnProfile:
    """Return what rows hold at a path."""
    column = ColumnProfile(name=path, rows=len(rows))
    for row in rows:
        column.add(found_at(row, path))
    return column


class Profile(Value):
    rows: int
    columns: dict[str, ColumnProfile]
    kept: tuple[Mapping[str, Any], ...]
    """The first rows, as they are."""
    by_split: Mapping[str, int]
    """Rows of each split, where the file says which."""

    def having(self, *facts: str) -> list[ColumnProfile]:
        """Return the columns of which all facts hold, each one after a `-` not."""
        return [column for column in self.columns.values() if column.has(*facts)]

    def column(self, path: str) -> ColumnProfile:
        """Return the column at a path, which may be deeper than those that are counted of every file."""
        if path in self.columns:
            return self.columns[path]
        return column_of(self.kept, path)

    def pairs(self, one: ColumnProfile, two: ColumnProfile) -> set[tuple[str, str]]:
        """Return the different pairs of what two columns hold."""
        return {(str(found_at(row, one.name)), str(found_at(row, two.name))) for row in self.kept}

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
    for column in columns.values():
        column.rows = len(kept)
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


def _are_decimal(values: Collection[str]) -> bool:
    """Whether values are numbers with a decimal comma, which divides nothing.

    Numbers of labels, such as `3` and `1,5`, have none in many rows; halves (`4`, `4,5`) are marks.
    """
    number = PATTERNS["number with a comma"]
    if not all(number.fullmatch(value.strip()) for value in values):
        return False
    parts = [match["part"] for value in values if (match := number.fullmatch(value.strip()))]
    filled = [part for part in parts if part]
    return len(filled) > MOSTLY * len(parts) or set(filled) == {"5"}


def _is_worded(text: str) -> bool:
    return " " in text.strip() and not PATTERNS["time"].match(text) and any(map(str.isalpha, text))
