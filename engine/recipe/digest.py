"""What a recipe asks for, as one digest and one for each section: what a lock says that it proves.

The resolved recipe counts, so comments, order and defaults do not. Left out are texts for people, and
what a lock records and compares by itself: the seed of the training, and the pins of what is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FOR_PEOPLE = ("name", "description", "allow_moving", "waivers")
SEEDS = ("seed", "seeds")
"""Of `method`: another seed is the same recipe, run with other luck."""
PINS = ("revision", "sha256")
"""Of a model or a source: a pin says which bytes, and the lock records their digests."""
_WITH_PLACES = ("base_model", "teacher", "data", "baselines", "acceptance")
"""Sections that say where something is."""
DIGITS = 16
"""Hex digits of a section's digest."""


def recipe_digest(resolved: Mapping[str, Any]) -> str:
    """Return the sha256 of what a resolved recipe asks for."""
    return _sha256({name: _asked(name, part) for name, part in _sections(resolved).items()})


def section_digests(resolved: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each section, to say which of them changed."""
    sections = _sections(resolved)
    return {name: _sha256(_asked(name, part))[:DIGITS] for name, part in sections.items()}


def changed_sections(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of sections that differ, in the order of the recipe."""
    names = [*after, *(name for name in before if name not in after)]
    return tuple(name for name in names if before.get(name) != after.get(name))


def _sections(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in resolved.items() if name not in FOR_PEOPLE}


def _asked(name: str, part: Any) -> Any:
    if name == "method":
        return {key: value for key, value in part.items() if key not in SEEDS}
    return _unpinned(part) if name in _WITH_PLACES else part


def _unpinned(part: Any) -> Any:
    """Take pins out of everything that says where something is."""
    if isinstance(part, list):
        return [_unpinned(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    # A pin says which bytes; the lock compares those by their digests, and not by the pin.
    is_place = not {"hub", "package", "path"}.isdisjoint(part)
    return {key: _unpinned(value) for key, value in part.items() if not (is_place and key in PINS)}


def _sha256(value: Any) -> str:
    # Sorted, so that the order of keys in the file is no difference.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
