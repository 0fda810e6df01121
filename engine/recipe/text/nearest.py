"""Which known name a misspelt one is closest to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ENDINGS: Final = re.compile(r"(?<=.)(?:\.[a-z]{1,8})+$", re.IGNORECASE)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None; case, `-`, `_` and blanks do not count."""
    from difflib import get_close_matches  # only needed where something is wrong

    # Reversed, so that of two names with one shape the first is kept.
    by_shape = {_shape(candidate): candidate for candidate in reversed(list(known))}
    found = get_close_matches(_shape(name), by_shape, n=1, cutoff=0.6)
    return by_shape[found[0]] if found else None


def nearest_file(name: str, known: Iterable[str]) -> str | None:
    """Return the known file name most like `name`: `test.csv` and `tickets.csv` have only their ending in common."""
    ending = name.rpartition(".")[2]
    # Of two files of one name, that with the same ending is kept.
    by_stem = {
        _ENDINGS.sub("", other): other
        for other in sorted(known, key=lambda other: other.endswith(ending))
    }
    found = nearest(_ENDINGS.sub("", name), by_stem)
    return by_stem[found] if found else None


def suggestion(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return the hint that names the known name most like `name`, or `otherwise` where there is none."""
    near = nearest(name, known)
    return did_you_mean(near) if near else otherwise


def did_you_mean(known: str) -> str:
    """Return the hint that names the one that was probably meant."""
    return f"did you mean `{known}`?"


def with_suggestion(listing: str, name: str, known: Iterable[str]) -> str:
    """Return the hint that lists what is known, and the one of them that `name` is most like."""
    near = suggestion(name, known)
    return f"{listing}; {near}" if near else listing


def _shape(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
