"""`method` as it is written to a `Method`. Light.

A setting of a sweep is a written method too, so what is worked out from a rank follows the rank that is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from engine.recipe.mapping import from_mapping, to_mapping
from engine.recipe.method_defaults import method_defaults, preference_defaults
from engine.recipe.model import Method, Preference
from engine.recipe.validation.schema import definition

ADAPTER_KEYS: Final = ("rank", "alpha", "dropout", "target_modules")
"""Keys that full training has no use for."""


def method_of(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> Method:
    """Return the method that a section of a checked recipe, with the schema's constants filled in, stands for."""
    defaults = {one.key: one.value for one in method_defaults(written, recipe)}
    given: dict[str, Any] = {}
    if written["kind"] == "full":
        given |= {"rank": 0, "alpha": 0, "dropout": 0.0}
    whole = {**defaults, **written}
    if "preference" in whole:
        own = whole["preference"]
        given["preference"] = from_mapping(Preference, {**preference_defaults(own, recipe), **own})
    return from_mapping(Method, whole, **given)


def method_slice(method: Method) -> dict[str, Any]:
    """Return a method as it stands in keys: without what it does not have, as in earlier versions."""
    unset = [
        name for name in ("min_steps", "max_steps", "preference") if getattr(method, name) is None
    ]
    return {name: value for name, value in asdict(method).items() if name not in unset}


def method_mapping(method: Method) -> dict[str, Any]:
    """Return a method as the mapping its section would hold, every default explicit, in the schema's order."""
    unused = dict.fromkeys(ADAPTER_KEYS) if method.kind == "full" else {}
    return to_mapping(method, definition("method"), **unused)
