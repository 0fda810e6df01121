"""Whether a model learned too little, too much or enough, from its scores, its losses and the baselines.

The rules are a table, `advice.toml`; docs/explanation/diagnosis.md explains them and where their thresholds come from.
A rule speaks only beyond chance: it compares ends of intervals, never two points.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Final

from engine.evidence import Diagnosis, Fit, Metric, RecipeEdit
from engine.metrics.recipe_edits import (
    edit_of,
    to_keep,
    to_keep_validation_rows,
    to_learn_less,
    to_learn_more,
    to_train_on,
    written,
    yaml_of,
)
from engine.metrics.trained_case import TrainedCase, TrainedEvidence, value_words
from engine.recipe.model import Recipe
from engine.recipe.sweeps import varied
from engine.values import replace

TABLE: Final = Path(__file__).with_name("advice.toml")
_FOLLOWS: Final = {
    "batch_size": ("micro_batch_size",),
    "epochs": ("min_steps", "max_steps"),
    "rank": ("alpha",),
}
"""Keys of `method` that follow another one where the recipe does not give them."""
_GO_WITH: Final = {"batch_size": ("micro_batch_size",), "rank": ("alpha",)}
"""Keys that suit one value of another one, and not the others that a sweep tries."""


_EDITS: Final[Mapping[str, Callable[[TrainedCase], Sequence[RecipeEdit]]]] = {
    "keep_last": lambda case: to_keep(case.method, "last"),
    "train_on": lambda case: to_train_on(case.method, case.training),
    "learn_more": lambda case: to_learn_more(case.recipe, case.training, case.losses),
    "learn_less": lambda case: to_learn_less(
        case.method,
        case.training,
        checkpoints=case.checkpoints,
        losses=case.validation_losses,
        has_labels=case.recipe.task.spec.has_labels,
        can_choose=case.can_choose_checkpoint,
    ),
    "check_labels": lambda case: (
        [edit_of("data.checks.label_errors", "off", "warn")] if case.has_unchecked_labels else ()
    ),
}


class _EvidenceFormatter(Formatter):
    """Writes metrics with their intervals, and other values without a format as YAML does."""

    def get_value(self, key: int | str, args: Sequence[Any], _: Mapping[str, Any]) -> Any:
        return getattr(args[0], str(key))

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Metric):
            return value_words(value)
        return format(value, format_spec) if format_spec else written(value)


@cache
def table() -> Mapping[str, Any]:
    """Return the table of rules and remedies."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def diagnose(recipe: Recipe, evidence: TrainedEvidence) -> Diagnosis:
    """Return what is wrong with the training, if anything, and the edit that would help.

    `recipe` has the method that was trained.
    """
    case = TrainedCase(recipe, evidence)
    if reason := case.why_unknown:
        return Diagnosis(fit=Fit.NOT_KNOWN, reasons=(reason,))
    # The last rule always holds.
    rule = next(rule for rule in table()["rule"] if _hold(rule["symptoms"], case))
    edit = rule.get("edit", "")
    edits = _EDITS[edit](case) if edit else ()
    reasons = [*rule["evidence"]]
    if edit == "learn_more" and not edits:
        reasons.append("no_more")
    if edit == "learn_less" and not edits:
        reasons.append("no_less_of_compared" if case.checkpoints.are_compared else "no_less")
    found = _diagnosis(case, Fit(rule["fit"]), tuple(_sentences(reasons, case)), edits)
    why, cause = case.cause
    # One cause first: what another setting would not help is not given one.
    if not cause or (found.fit is Fit.FITS and evidence.passes is not False):
        return found
    return replace(found, reasons=(why, *found.reasons), edits=(), yaml="", cause=cause)


def _hold(names: Sequence[str], case: TrainedCase) -> bool:
    """Tell whether all properties hold; of losses that are not known none does."""
    for name in names:
        value: object = case
        for part in name.removeprefix("not ").split("."):
            value = value and getattr(value, part)
        if bool(value) is name.startswith("not "):
            return False
    return True


def _sentences(evidence: Sequence[str | Mapping[str, Any]], case: TrainedCase) -> Iterator[str]:
    for named in evidence:
        one = table()["words"].get(named, named) if isinstance(named, str) else named
        one = {"if": [], "say": one} if isinstance(one, str) else one
        if _hold(one["if"], case):
            yield _EvidenceFormatter().format(one["say"], case)


def _diagnosis(
    case: TrainedCase, fit: Fit, reasons: tuple[str, ...], edits: Sequence[RecipeEdit]
) -> Diagnosis:
    """Return a diagnosis; keys that the sweep varies are named, not edited in `method`."""
    edits = [*_not_following(case, edits)]
    proposed = {one.key.removeprefix("method."): one.proposed for one in edits}
    varied_keys = varied(case.recipe.sweep) if case.recipe.sweep else ()
    led = {f"method.{one}" for key in varied_keys for one in (key, *_GO_WITH.get(key, ()))}
    rest = [one for one in edits if one.key not in led]
    notes = []
    for key in varied_keys:
        if key in proposed:
            pairs = [f"{one} {proposed[one]}" for one in _GO_WITH.get(key, ()) if one in proposed]
            tried = " with ".join([proposed[key], *pairs])
            notes.append(f"the sweep varies {key}: let it try {tried} too")
    if any((one.key, one.proposed) == ("method.keep", "last") for one in rest):
        rows = case.evidence.validation.rows if case.evidence.validation else 0
        rest += to_keep_validation_rows(case.recipe.splits, rows)
    if apart := case.holdout_apart:
        notes.append(
            f"{apart}: the two hold other rows, so look at how they are divided, not at rows and epochs"
        )
    return Diagnosis(fit=fit, reasons=(*reasons, *notes), edits=tuple(rest), yaml=yaml_of(rest))


def _not_following(case: TrainedCase, edits: Sequence[RecipeEdit]) -> Iterator[RecipeEdit]:
    """Yield the edits without those of keys that the recipe does not give and that follow another edited one.

    `micro_batch_size` follows `batch_size`, `alpha` the rank, and where `epochs` are given there are no bounds of the
    number of steps.
    """
    open_keys = {one.key: one.value for one in case.recipe.method_defaults}
    edited = {one.key.removeprefix("method.") for one in edits}
    following = {
        f"method.{key}"
        for given in edited
        for key in _FOLLOWS.get(given, ())
        if key in open_keys and open_keys[key] == getattr(case.method, key)
    }
    yield from (one for one in edits if one.key not in following)
