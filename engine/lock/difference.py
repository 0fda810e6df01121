"""Comparing what a lock or a bundle shows with what it must show, value by value, whatever the type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

NEAR: Final = 1e-6
"""Relative, from 1 on: numbers of a lock are rounded to six decimals."""
DRAWN: Final = ("low", "high", "p_value", "p_adjusted")
"""Numbers that may be drawn at random by NumPy, whose versions may draw otherwise."""
LOOSE: Final = 0.03
"""By how much these may differ there."""
ROUNDED: Final = 0.05
"""Relative, of an error of an estimate, which was taken before the estimate was rounded."""
_KEYS: Final = (
    "name",
    "metric",
    "direction",
    "check",
    "split",
    "stage",
    "step",
    "seed",
    "label",
    "form",
)
_WORDS: Final = ("note",)


class Comparing:
    """One value beside the right one; `by` names what the right one follows from."""

    def __init__(
        self, by: str, *, is_exact: bool = True, is_whole: bool = False, near: float = NEAR
    ) -> None:
        self.by, self.is_exact, self.is_whole, self.near = by, is_exact, is_whole, near

    def differences(self, path: str, shown: Any, right: Any) -> Iterator[str]:
        """Yield each value of `right` that `shown` has otherwise, and items of lists that only one of them has."""
        if isinstance(right, Mapping) and isinstance(shown, Mapping):
            names = {**right, **shown} if self.is_whole else right
            for name in names:
                if name not in _WORDS:
                    both = shown.get(name), right.get(name)
                    yield from self.differences(f"{path}.{name}", *both)
        elif _is_list(shown) and _is_list(right) and (_has_keys(shown) or _has_keys(right)):
            here, there = (sorted(map(_key, side)) for side in (shown, right))
            if here != there:
                yield self._text(path, here, there)
                return
            # stable: items with one key, such as a source that is read twice, keep their order
            for key, *items in zip(
                here, *(sorted(side, key=_key) for side in (shown, right)), strict=True
            ):
                yield from self.differences(f"{path}.{key}", *items)
        elif _is_list(shown) and _is_list(right) and len(shown) == len(right):
            for at, both in enumerate(zip(shown, right, strict=True)):
                yield from self.differences(f"{path}.{at}", *both)
        elif not self._same(path, shown, right):
            yield self._text(path, shown, right)

    def _same(self, path: str, shown: Any, right: Any) -> bool:
        if not (_is_number(shown) and _is_number(right)):
            return bool(shown == right)
        name, near = path.rpartition(".")[2], self.near * max(1.0, abs(right))
        if name in DRAWN and not self.is_exact:
            near = LOOSE
        elif name.endswith("_error"):
            near = 0.01 + ROUNDED * abs(right)
        return bool(abs(shown - right) <= near)

    def _text(self, path: str, shown: Any, right: Any) -> str:
        name = as_text(path, 120).strip('"')
        return f"`{name}` is {as_text(shown)}, {self.by} gives {as_text(right)}"


def as_text(value: Any, most: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= most else f"{text[:most]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _has_keys(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and _key(item) for item in items)


def _key(item: Any) -> str:
    parts = (str(item[name]) for name in _KEYS if isinstance(item.get(name), str | int))
    return " ".join(parts)
