"""Rules about how the rows are divided."""

from typing import Final

from engine.recipe.model import BY_ORDER
from engine.recipe.rules import Problems, rule
from engine.recipe.text.source import SourceText
from engine.values import replace

NAMES: Final = ("train", "validation", "holdout")
# As floats, 0.6 + 0.3 + 0.1 is 0.9999999999999999.
_ROUNDING: Final = 1e-9


@rule("splits", "data.sample")
def sizes_share_the_rows(recipe: SourceText) -> Problems:
    written = {name: recipe["splits"].get(name, "all") for name in NAMES}
    sizes = {name: size for name, size in written.items() if not isinstance(size, str)}
    # `validation: 0` goes with fractions, too.
    is_mixed = len({isinstance(size, float) for size in sizes.values() if size != 0}) > 1
    if is_mixed:
        yield recipe.problem("R208", at=("splits",), key=True)
    total = sum(sizes.values())
    if not is_mixed and all(0 <= size < 1 for size in sizes.values()) and total > 1 + _ROUNDING:
        message = f"fractions add up to {total:.4g}; must be at most 1"
        yield recipe.problem("R209", message, at=("splits",), key=True)
    sample = recipe["data"].get("sample")
    if sample and isinstance(total, int) and total > sample["rows"]:
        message = f"ask for {total:,} rows; data.sample leaves {sample['rows']:,}"
        hint = f"set data.sample.rows to {total} or more"
        yield recipe.problem("R222", message, at=("splits",), key=True, hint=hint)


def may_have_folds(recipe: SourceText) -> bool:
    """Return whether rows are drawn, as folds need; otherwise files, a column or an order divides them."""
    return _way(recipe) not in ("files", "column", *BY_ORDER)


def has_written_splits(recipe: SourceText) -> bool:
    """Return whether files or a column specify the split of each row."""
    return _way(recipe) in ("files", "column")


def _way(recipe: SourceText) -> str:
    by = recipe["splits"]["by"]
    return str(next(iter(by), "") if isinstance(by, dict) else by)


@rule("splits", "data.sources")
def files_give_a_holdout(recipe: SourceText) -> Problems:
    into = {source.get("into") for source in recipe["data"]["sources"]}
    if _way(recipe) != "files" or None in into:  # R253 reports it
        return
    for name in ("holdout", "train"):
        if name not in into:
            message = f"`by: files`, and no source has `into: {name}`"
            yield recipe.problem("R262", message, at=("splits", "by"))
    if "validation" not in into and recipe["splits"].get("validation", "all") == "all":
        message = "no source has `into: validation`, and splits.validation has no size"
        yield recipe.problem("R264", message, at=("splits",), key=True)


@rule("splits")
def no_split_is_empty(recipe: SourceText) -> Problems:
    splits = recipe["splits"]
    if has_written_splits(recipe):
        return
    for name, example in (("holdout", "300"), ("validation", "100")):
        if name not in splits and not (name == "holdout" and splits["folds"]):
            hint = f"add, for example, `{name}: {example}`"
            problem = recipe.problem("R105", "is missing", at=("splits",), key=True, hint=hint)
            # The place is that of the section, since the key is absent.
            yield replace(problem, path=f"splits.{name}")
    sizes = [splits.get(name) for name in ("validation", "holdout")]
    shares = [size for size in sizes if isinstance(size, float) and size < 1]
    shares += [1 / splits["folds"]] if splits["folds"] > 1 else []
    if splits.get("train", "all") == "all" and sum(shares) > 1 - _ROUNDING:
        drawn = f"validation and holdout are {sum(shares):.4g} of the rows"
        yield recipe.problem("R265", f"{drawn}; none is left to train on", at=("splits",), key=True)
