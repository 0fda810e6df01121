"""Rules about training on preferences: which losses learn from which rows, and the keys that each has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.kinds import KINDS, Turns
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText

_AT: Final[KeyPath] = ("method", "preference")
_SINGLE: Final = "kto"
_LOSSES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "answer_weight": ("dpo", "ipo", "simpo"),
    "gamma": ("simpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
}
_IDLE: Final[Mapping[str, float]] = {
    "answer_weight": 0,
    "gamma": 0,
    "desirable_weight": 1,
    "undesirable_weight": 1,
}
"""Values that change nothing, which a resolved recipe writes for every loss."""


def _loss(recipe: FilledText) -> str | None:
    """Return the loss of a recipe on preferences; None for other kinds of tasks."""
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or kind.turns is not Turns.PREFERENCE:
        return None
    written: Mapping[str, Any] = recipe["method"].get("preference", {})
    usual = _SINGLE if recipe["data"]["shape"] == "kto" else "dpo"
    return str(written.get("loss", usual))


@rule("task.kind", "method", "acceptance")
def preferences_are_of_pairs(recipe: FilledText) -> Problems:
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None or kind.turns is Turns.PREFERENCE:
        return
    if recipe.has(_AT):
        message = f"{kind.name} has no pairs of answers to learn from"
        hint = "delete it, or write `kind: preference` under task"
        yield recipe.problem("R335", message, at=_AT, key=True, hint=hint)
    if recipe.has(at := ("acceptance", "drift")):
        message = f"{kind.name} has no chosen answers that could drift"
        yield recipe.problem("R340", message, at=at, key=True, hint="delete it")


@rule("task.kind", "method", "data.shape", "data")
def loss_fits_the_rows(recipe: FilledText) -> Problems:
    loss, data, method = _loss(recipe), recipe["data"], recipe["method"]
    if loss is None:
        return
    if method["kind"] != "full" and method["dropout"] > 0:
        message = "training on preferences turns dropout off: this would do nothing"
        yield recipe.problem("R336", message, at=("method", "dropout"), hint="delete the line")
    single = [key for key in ("micro_batch_size", "batch_size") if method.get(key) == 1]
    if loss == _SINGLE and single:
        message = "kto learns from the other rows of a pass: it needs 2 or more"
        at, hint = ("method", single[0]), f"write `{single[0]}: 4`"
        yield recipe.problem("R337", message, at=at, hint=hint)
    has_pairs = data["shape"] == "dpo" or data.get("pair") is not None
    is_wrong = (loss == _SINGLE) if has_pairs else (data["shape"] == "kto" and loss != _SINGLE)
    if recipe.has((*_AT, "loss")) and is_wrong:
        rows, other = ("pairs", "dpo") if has_pairs else ("single answers", _SINGLE)
        message = f"{loss} cannot learn from {rows}"
        yield recipe.problem("R338", message, at=(*_AT, "loss"), hint=f"write `loss: {other}`")
    for key, losses in _LOSSES_OF.items():
        place = (*_AT, key)
        if loss not in losses and recipe.has(place) and method["preference"][key] != _IDLE[key]:
            message = f"{loss} has no `{key}`; {' and '.join(losses)} have"
            yield recipe.problem("R339", message, at=place, key=True, hint="delete it")
