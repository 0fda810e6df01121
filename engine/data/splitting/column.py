"""The value in the column that `splits.by` names: a group, a time, or the name of a split."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.data.examples.template import as_text, lookup
from engine.data.row_index import Assignment

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
"""What a column may say, in any case."""


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
    # `timestamp` of a time without a zone would use the zone of this machine: other splits
    # elsewhere.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
