"""The value in the column that `splits.by` names: a group, a time, or the name of a split."""

import hashlib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.data.examples.template import as_text, lookup
from engine.data.reading.row import excerpt, several
from engine.data.row_index import Assignment, drawn

MOST = 10_000
_WHOLE = re.compile(r"(-?\d+)\.0+", re.ASCII)


class GroupSpellings:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._odd: defaultdict[str, set[str]] = defaultdict(set)
        self._count = 0

    def note(self, value: str) -> None:
        if self._count == MOST:
            return
        text = unicodedata.normalize("NFC", " ".join(value.split()))
        whole = _WHOLE.fullmatch(text)
        plain = whole[1] if whole else text
        if plain != value and value not in self._odd[plain]:
            self._odd[plain].add(value)
            self._count += 1

    def found(self, units: Iterable[int]) -> Iterator[str]:
        places = {drawn("split", self._seed, group_key(plain)): plain for plain in self._odd}
        there = {places[unit] for unit in units if unit in places} if places else set[str]()
        for plain, odd in sorted(self._odd.items()):
            names = [*([plain] if plain in there else []), *sorted(odd)]
            if len(names) > 1:
                yield " and ".join(f"`{excerpt(name)}`" for name in names)


class TimeSpellings:
    """Times of which some are numbers and some are dates: a year without a month is a number, too."""

    def __init__(self) -> None:
        self._firsts: dict[bool, str] = {}
        self._numbers = 0

    def note(self, value: str, origin: str) -> None:
        is_number = number_of(value) is not None
        self._numbers += is_number
        if is_number not in self._firsts:
            self._firsts[is_number] = f"{origin} `{excerpt(value)}`"

    def problem(self) -> tuple[int, str, tuple[str, ...]] | None:
        """Return how many are numbers, what that means and the first of both; None where all are of one kind."""
        number, date = self._firsts.get(True), self._firsts.get(False)
        if number is None or date is None:
            return None
        what = several(self._numbers, "time is a number", "times are numbers")
        message = f"{what}, read as seconds since 1970, and the others are dates"
        return self._numbers, message, (number, date)


PLACES: Final[Mapping[str, Assignment]] = {
    "train": Assignment.TRAIN,
    "training": Assignment.TRAIN,
    "validation": Assignment.VALIDATION,
    "valid": Assignment.VALIDATION,
    "val": Assignment.VALIDATION,
    "dev": Assignment.VALIDATION,
    "holdout": Assignment.HOLDOUT,
    "test": Assignment.HOLDOUT,
}


class NoMarkError(Exception):
    """The value is missing or cannot be read; the message says what stands there."""


def mark_of(values: Mapping[str, Any], column: str) -> str:
    """Return the value as written. `MissingColumnError`, `UnusableValueError`, or NoMarkError for a blank."""
    text = as_text(lookup(values, column))
    if text is None or not text.strip():
        raise NoMarkError("is empty")
    return text


def group_key(mark: str) -> bytes:
    """Return the digest by which the rows of a group stay together."""
    return hashlib.sha256(mark.encode(errors="surrogatepass")).digest()


def place_of(mark: str) -> Assignment:
    """Return the split that a column names; NoMarkError for another word."""
    place = PLACES.get(mark.strip().casefold())
    if place is None:
        raise NoMarkError(f"`{mark}` names no split")
    return place


def number_of(mark: str) -> float | None:
    """Return the number that a value is; None for any other text."""
    try:
        return float(mark)
    except ValueError:
        return None


def seconds_of(mark: str) -> float:
    """Return seconds since 1970 of an ISO 8601 time (without a zone: UTC) or a number; NoMarkError else."""
    number = number_of(mark)
    if number is not None:
        if math.isfinite(number):
            return number
        raise NoMarkError(f"`{mark}` is no time")
    try:
        moment = datetime.fromisoformat(mark.strip())
    except ValueError:
        raise NoMarkError(f"`{mark}` is no time") from None
    # `timestamp` of a time without a zone would use the zone of this machine: other splits elsewhere.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
