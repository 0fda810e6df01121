"""Rules about how the rows are divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.text.source import SourceText

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


def _way(filled: Mapping[str, Any]) -> str:
    """Return the word for how rows are divided: `random`, `group`, `files`."""
    by = filled["splits"]["by"]
    return str(next(iter(by), "") if isinstance(by, dict) else by)


def _rows_say_it(filled: Mapping[str, Any]) -> bool:
    return _way(filled) in ("files", "column")


def sizes_are_given(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R105: holdout and validation need a size, unless files, a column or folds say it."""
    splits = filled["splits"]
    if _rows_say_it(filled):
        return
    for name, example in (("holdout", "300"), ("validation", "100")):
        if name not in splits and not (name == "holdout" and splits["folds"]):
            hint = f"add, for example, `{name}: {example}`"
            problem = source.problem("R105", "is missing", at=("splits",), key=True, hint=hint)
            yield replace(problem, path=f"splits.{name}")


def folds_stand_alone(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R261: folds take the place of the holdout, and are drawn, not said."""
    splits = filled["splits"]
    if not splits["folds"]:
        return
    if splits["folds"] == 1:
        message = "one fold leaves nothing to train on; at least 2"
        yield source.problem("R261", message, at=("splits", "folds"))
    if "holdout" in splits:
        message = "splits.folds is there: the holdout is one fold"
        hint = "delete one of the two"
        yield source.problem("R261", message, at=("splits", "holdout"), key=True, hint=hint)
    if _way(filled) in ("files", "column", "time"):
        message = f"folds are drawn; `by: {_way(filled)}` says where each row belongs"
        hint = "use stratified, random or group"
        yield source.problem("R261", message, at=("splits", "folds"), key=True, hint=hint)


def files_give_a_holdout(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R262: by files, some file is the holdout; R264: and one is validation, or its size is given."""
    if _way(filled) != "files":
        return
    into = {one.get("into") for one in filled["data"]["sources"]}
    if None in into:  # told by the rules of the sources
        return
    if "holdout" not in into:
        message = "`by: files`, and no source has `into: holdout`"
        yield source.problem("R262", message, at=("splits", "by"))
    if "train" not in into:
        message = "`by: files`, and no source has `into: train`"
        yield source.problem("R262", message, at=("splits", "by"))
    if "validation" not in into and filled["splits"].get("validation", "all") == "all":
        message = "no source has `into: validation`, and splits.validation has no size"
        hint = "`validation: 0.1` draws them from the training rows, `validation: 0` goes without"
        yield source.problem("R264", message, at=("splits",), key=True, hint=hint)


def all_means_what_is_there(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R263: `all` of holdout or validation says something only where files or a column do."""
    if _rows_say_it(filled):
        return
    for name in ("holdout", "validation"):
        if filled["splits"].get(name) == "all":
            message = "`all` needs files or a column that say which rows these are"
            hint = "write a number of rows or a fraction"
            yield source.problem("R263", message, at=("splits", name), hint=hint)


def something_is_left(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R265: with `train: all`, holdout and validation leave rows to train on."""
    splits = filled["splits"]
    if splits.get("train", "all") != "all" or _rows_say_it(filled):
        return
    sizes = [splits.get(name) for name in ("validation", "holdout")]
    shares = [size for size in sizes if isinstance(size, float) and size < 1]
    if splits["folds"] > 1:
        shares.append(1 / splits["folds"])
    if sum(shares) > 1 - _ROUNDING:
        message = (
            f"validation and holdout are {sum(shares):.4g} of the rows; none is left to train on"
        )
        yield source.problem("R265", message, at=("splits",), key=True)
