"""`method` as it is written to a `Method`. Light.

A setting of a sweep is a written method too, so what is worked out from a rank follows the rank that is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from engine.recipe.mapping import from_mapping, to_mapping
from engine.recipe.method_defaults import method_defaults, preference_defaults
from engine.recipe.model import Method, Preference, Scheduler
from engine.recipe.validation.schema import definition

ADAPTER_KEYS: Final = ("rank", "alpha", "dropout", "target_modules")
"""Keys that full training has no use for."""
DECAY: Final = 0.2
"""Share of all steps in which a constant learning rate falls at last (Hägele et al., Scaling Laws and Compute-Optimal
Training Beyond Fixed Training Durations, 2024)."""
_MAY_BE_UNSET: Final = ("min_steps", "max_steps", "tokens", "packing", "preference")


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
    return from_mapping(Method, whole, **given)


def method_slice(method: Method) -> dict[str, Any]:
    """Return a method as it stands in keys: without what it does not have, as in earlier versions."""
    unset = [name for name in _MAY_BE_UNSET if getattr(method, name) in (None, False)]
    return {name: value for name, value in asdict(method).items() if name not in unset}


def method_mapping(method: Method) -> dict[str, Any]:
    """Return a method as the mapping its section would hold, every default explicit, in the schema's order."""
    unused = dict.fromkeys(ADAPTER_KEYS) if method.kind == "full" else {}
    if method.tokens is not None:
        unused["epochs"] = None
    if isinstance(method.scheduler, Scheduler):
        written = asdict(method.scheduler)
        unused["scheduler"] = {key: one for key, one in written.items() if one is not None}
    if not method.packing:  # only documents can be packed
        unused["packing"] = None
    return to_mapping(method, definition("method"), **unused)
