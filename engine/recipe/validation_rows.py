"""Where a recipe has validation rows, and how many are drawn from the training rows where it gives none. Light.

`method.keep: best` needs validation rows to choose the checkpoint. Where it is written beside `splits.validation: 0`,
part of the training rows become validation rows; the holdout is drawn as it would be without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.recipe.model import FROM_TRAIN, Size, SplitName, Splits, ValidationSize

SHARE: Final = 0.15
"""Of the training rows."""
FEWEST: Final = 30
"""A validation loss of fewer rows chooses by luck."""
FEWEST_TO_CALIBRATE: Final = 50
"""A temperature of fewer rows is mostly chance."""
MOST: Final = 100
"""More would cost training rows and tell checkpoints apart no better."""


def are_drawn_from_train(recipe: Mapping[str, Any]) -> bool:
    """Tell whether a written recipe, with the schema's defaults filled in, asks for it."""
    return bool(recipe["splits"].get("validation") == 0 and recipe["method"].get("keep") == "best")


def has_validation(recipe: Mapping[str, Any]) -> bool:
    """Tell whether a written recipe has validation rows; no size is not 0, as files or a column may say which."""
    return recipe["splits"].get("validation") != 0 or are_drawn_from_train(recipe)


def sizes_in_rows(train: Size, validation: ValidationSize) -> tuple[Size, ValidationSize]:
    """Return the sizes of train and validation after rows were drawn, where the recipe has train in rows."""
    if validation != FROM_TRAIN or not isinstance(train, int):
        return train, validation
    return train - drawn_rows(train), drawn_rows(train)


def asked_sizes(splits: Splits) -> dict[SplitName, ValidationSize]:
    """Return the size of each split that a recipe asks for, after rows of train were drawn for validation."""
    train, validation = sizes_in_rows(splits.train, splits.validation)
    return {"train": train, "validation": validation, "holdout": splits.holdout}


def stated_sizes(splits: Splits, rows: int) -> dict[str, Size]:
    """Return sizes that give a recipe the validation rows, `rows`, that it draws from the training rows."""
    train, holdout = splits.train, splits.holdout
    if isinstance(train, int):
        return {"train": train - drawn_rows(train), "validation": drawn_rows(train)}
    if isinstance(train, float):
        drawn = round(SHARE * train, 3)
        return {"train": round(train - drawn, 3), "validation": drawn}
    drawn = round(SHARE * (1 - holdout), 3) if isinstance(holdout, float) else rows
    return {"train": "all", "validation": drawn}


def drawn_note(train: Size) -> str:
    """Where the validation rows come from, in words, with as many of them as the recipe says."""
    if isinstance(train, int):
        return f"{drawn_rows(train)} of the {train} training rows, for `keep: best`"
    return f"{SHARE:.0%} of the training rows, {FEWEST} to {MOST}, for `keep: best`"


def drawn_rows(train: int) -> int:
    """Return how many of so many training rows become validation rows; never more than half of them."""
    return min(max(FEWEST, min(MOST, round(SHARE * train))), train // 2)
