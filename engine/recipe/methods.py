"""`method` as it is written to a `Method`. Light.

A setting of a sweep is a written method too, so what is worked out from a rank follows the rank that is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.recipe.mapping import from_mapping, to_mapping
from engine.recipe.method_defaults import method_defaults, preference_defaults
from engine.recipe.model import Method, Preference, Scheduler
from engine.recipe.validation.schema import definition
from engine.values import fields, to_json

ADAPTER_KEYS: Final = (
    *("rank", "alpha", "dropout", "target_modules"),
    *("dora", "rslora", "ranks", "layers", "loraplus_lr_ratio"),
)
"""Keys that full training has no use for."""
OPTIONS: Final = (
    *("dora", "rslora", "ranks", "layers", "train_only"),
    *("loraplus_lr_ratio", "neftune_alpha", "loss_on", "packing", "tokens"),
)
"""Keys that do nothing where they are not written."""
ATTENTION: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
"""What `target_modules: attention` means."""
DECAY: Final = 0.2
"""Share of all steps in which a constant learning rate falls at last (Hägele et al., Scaling Laws and Compute-Optimal
Training Beyond Fixed Training Durations, 2024)."""
_LATER: Final = ("min_steps", "max_steps", "preference")
"""Keys that earlier versions did not have, and that have no value where they mean nothing."""


def method_of(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> Method:
    """Return the method that a section of a checked recipe, with the schema's constants filled in, stands for."""
    defaults = {one.key: one.value for one in method_defaults(written, recipe)}
    given: dict[str, Any] = {}
    if written["kind"] == "full":
        given |= {"rank": 0, "alpha": 0, "dropout": 0.0}
    whole = {**defaults, **written}
    if "tokens" in whole:
        given["epochs"] = 0.0
    if isinstance(named := whole["scheduler"], Mapping):
        decay = {"decay": DECAY} if named["name"] == "constant_then_decay" else {}
        given["scheduler"] = from_mapping(Scheduler, {**decay, **named})
    if "preference" in whole:
        own = whole["preference"]
        given["preference"] = from_mapping(Preference, {**preference_defaults(own, recipe), **own})
    # The order of names means nothing, and methods are compared.
    given["ranks"] = tuple(sorted(written.get("ranks", {}).items()))
    return from_mapping(Method, whole, **given)


def unset_options(method: Method, names: Sequence[str] = OPTIONS) -> tuple[str, ...]:
    """Return the keys of `names` that do nothing in a method."""
    defaults = {field.name: field.default for field in fields(Method)}
    return tuple(name for name in names if getattr(method, name) == defaults[name])


def method_slice(method: Method) -> dict[str, Any]:
    """Return a method as it stands in keys: without what it does not have, as in earlier versions."""
    unset = unset_options(method, (*_LATER, *OPTIONS))
    return {name: value for name, value in to_json(method).items() if name not in unset}


def method_mapping(method: Method, *, has_unset: bool = False) -> dict[str, Any]:
    """Return a method as the mapping its section would hold, every default explicit, in the schema's order.

    Options that do nothing are left out, unless `has_unset`: a recipe that names none reads as in earlier versions.
    """
    unset = () if has_unset else unset_options(method)
    epochs = () if method.tokens is None else ("epochs",)
    given: dict[str, Any] = dict.fromkeys(
        (*unset, *epochs, *(ADAPTER_KEYS if method.kind == "full" else ()))
    )
    if isinstance(method.scheduler, Scheduler):
        written = to_json(method.scheduler)
        given["scheduler"] = {key: one for key, one in written.items() if one is not None}
    return to_mapping(method, definition("method"), **given)
