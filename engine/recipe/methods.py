"""`method` as it is written to a `Method`: the four defaults that depend on other keys. Light.

A setting of a sweep is a written method too, so what is worked out from a rank follows the rank that is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.recipe.mapping import from_mapping, to_mapping
from engine.recipe.model import Method
from engine.recipe.validation.schema import definition

ADAPTER_KEYS: Final = ("rank", "alpha", "dropout", "target_modules")
"""Keys that full training has no use for."""


def method_of(written: Mapping[str, Any], *, has_validation: bool) -> Method:
    """Return the method that a checked section, with the schema's defaults filled in, stands for."""
    is_full = written["kind"] == "full"
    rank = 0 if is_full else int(written["rank"])
    # Full training moves every weight, so its usual rate is a tenth of an adapter's.
    defaults = {
        "alpha": 2 * rank,
        "learning_rate": 2e-5 if is_full else 2e-4,
        "micro_batch_size": written["batch_size"],
        # The best checkpoint is the one with the lowest validation loss, so it needs validation
        # rows.
        "keep": "best" if has_validation else "last",
    }
    no_adapter = {"rank": 0, "alpha": 0, "dropout": 0.0} if is_full else {}
    return from_mapping(Method, {**defaults, **written}, **no_adapter)


def method_mapping(method: Method) -> dict[str, Any]:
    """Return a method as the mapping its section would hold, every default explicit, in the schema's order."""
    unused = dict.fromkeys(ADAPTER_KEYS) if method.kind == "full" else {}
    return to_mapping(method, definition("method"), **unused)
