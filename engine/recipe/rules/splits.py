"""Rules about the sizes of the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.source import SourceText

NAMES: Final = ("train", "validation", "holdout")
_ROUNDING: Final = 1e-9


def _is_fraction(size: float) -> bool:
    return isinstance(size, float)


def _sizes(filled: Mapping[str, Any]) -> dict[str, float]:
    """Return the sizes that are numbers."""
    written = {name: filled["splits"].get(name, "all") for name in NAMES}
    return {
        name: size
        for name, size in written.items()
        if isinstance(size, int | float) and not isinstance(size, bool)
    }


def _is_mixed(sizes: Mapping[str, float]) -> bool:
    return len({_is_fraction(size) for size in sizes.values() if size != 0}) > 1


def sizes_are_all_rows_or_all_fractions(
    source: SourceText, filled: Mapping[str, Any]
) -> Iterator[Problem]:
    """R208: rows are whole numbers, fractions are below 1, and a recipe uses one of them."""
    sizes = _sizes(filled)
    if _is_mixed(sizes):
        message = "sizes must be all rows (400) or all fractions (0.4)"
        yield source.problem("R208", message, at=("splits",), key=True)
    for name, size in sizes.items():
        if _is_fraction(size) and size >= 1:
            message = f"must be a whole number of rows or a fraction below 1, not `{size}`"
            yield source.problem("R208", message, at=("splits", name))


def fractions_fit(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R209: the splits cannot hold more than everything."""
    sizes = _sizes(filled).values()
    if _is_mixed(_sizes(filled)) or not all(0 <= size < 1 for size in sizes):
        return
    if sum(sizes) > 1 + _ROUNDING:
        message = f"fractions add up to {sum(sizes):.4g}; must be at most 1"
        yield source.problem("R209", message, at=("splits",), key=True)


def rows_fit_the_sample(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R222: the splits share the sampled rows."""
    sample = filled["data"].get("sample")
    sizes = _sizes(filled).values()
    if sample is None or any(_is_fraction(size) for size in sizes):
        return
    if sum(sizes) > sample["rows"]:
        message = f"ask for {sum(sizes):,} rows; data.sample leaves {sample['rows']:,}"
        hint = f"set data.sample.rows to {sum(sizes)} or more"
        yield source.problem("R222", message, at=("splits",), key=True, hint=hint)


def validation_steers(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R217: stopping early and keeping the best checkpoint need a validation loss."""
    method = filled["method"]
    if filled["splits"].get("validation") != 0:
        return
    if "early_stopping" in method:
        message = "early stopping needs validation rows; splits.validation is 0"
        yield source.problem("R217", message, at=("method", "early_stopping"), key=True)
    if method.get("keep") == "best":
        message = "keeping the best checkpoint needs validation rows; splits.validation is 0"
        at = ("method", "keep")
        yield source.problem("R217", message, at=at, hint="write `keep: last`")
