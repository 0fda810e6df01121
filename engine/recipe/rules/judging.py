"""Rules about abstaining where the model is not sure, and about the calibration that it needs."""

from __future__ import annotations

from typing import Final

from engine.kinds import KINDS, Decoding
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText
from engine.recipe.validation_rows import FEWEST_TO_CALIBRATE, has_validation

_AT: Final = ("acceptance", "selective")
_CALIBRATE: Final = ("export", "calibrate")


@rule("task.kind", "acceptance", "export")
def calibration_is_of_labels(recipe: FilledText) -> Problems:
    """R417: calibration of answers that have no probabilities.

    A temperature is fitted to the probabilities of all labels, which only a classification has.

    Fix: Delete the key; `predict --abstain-below` bounds the uncalibrated probability of other kinds.

    Wrong:
        task:
          kind: multilabel
        acceptance:
          ▸selective: {accuracy: {min: 0.95}, coverage: {min: 0.5}}

    Right:
        task:
          kind: multilabel
        acceptance:
          metrics:
            accuracy: {min: 0.80}
    """
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or kind.decoding is Decoding.LABEL_SCORING:
        return
    for at in _asked(recipe):
        message = f"{kind.name} has no probabilities of labels to calibrate"
        yield recipe.problem("R417", message, at=at, key=True, hint="delete it")


@rule("acceptance")
def selective_can_hold(recipe: FilledText) -> Problems:
    """R418: a selective bound that no holdout can show.

    The lower end of an interval is below 1 however many rows are right, and no share is above 1.

    Fix: Write a number below 1, such as 0.95.

    Wrong:
        acceptance:
          selective:
            accuracy: {min: ▸1.0}
            coverage: {min: 0.5}

    Right:
        acceptance:
          selective:
            accuracy: {min: 0.95}
            coverage: {min: 0.5}
    """
    selective = recipe["acceptance"].get("selective", {})
    on_point = recipe["acceptance"]["decide_on"] == "point"
    for name, bound in selective.items():
        least = bound["min"]
        if least > 1 or (least == 1 and not on_point):
            message = f"no holdout shows that at least {least:g} of all rows are {_WORDS[name]}"
            yield recipe.problem("R418", message, at=(*_AT, name, "min"), hint="such as 0.95")


@rule("splits", "method.keep", "acceptance", "export")
def calibration_has_validation_rows(recipe: FilledText) -> Problems:
    """R419: calibration without validation rows.

    Temperature and threshold are chosen on validation rows, of one training; the holdout only judges them.

    Fix: Give `splits.validation` a size of at least 50 rows, and no `splits.folds`.

    Wrong:
        splits:
          validation: 20
        acceptance:
          ▸selective: {accuracy: {min: 0.95}, coverage: {min: 0.5}}

    Right:
        splits:
          validation: 100
        acceptance:
          selective: {accuracy: {min: 0.95}, coverage: {min: 0.5}}
    """
    size = recipe["splits"].get("validation", "all")
    is_counted = isinstance(size, int) and not isinstance(size, bool)
    if recipe["splits"].get("folds"):
        why = "with `splits.folds` there is no model whose validation rows and holdout are those of the gate"
    elif not has_validation(recipe.filled):
        why = "there are no validation rows to choose temperature and threshold on"
    elif is_counted and 0 < size < FEWEST_TO_CALIBRATE:
        why = f"{size} validation rows are too few: {FEWEST_TO_CALIBRATE} are needed"
    else:
        return
    for at in _asked(recipe):
        hint = f"splits: {{validation: …}} of at least {FEWEST_TO_CALIBRATE} rows"
        yield recipe.problem("R419", why, at=at, key=True, hint=hint)


_WORDS: Final = {"accuracy": "answered right", "coverage": "answered"}


def _asked(recipe: FilledText) -> list[KeyPath]:
    """Return the keys that ask for a calibration."""
    found: list[KeyPath] = [_AT] if recipe.has(_AT) else []
    return [*found, _CALIBRATE] if recipe["export"].get("calibrate") else found
