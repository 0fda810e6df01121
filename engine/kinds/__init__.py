"""The kinds of tasks, one module each: everything that the engine knows of a kind by its name.

Adding a kind is adding a module here with a `KIND`, and its name in the schema's `task.kind`: docs/extending/kind.md.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from engine.kinds.kind import AnswerForm, Decoding, Draft, Kind, MetricSpec, Turns


def _defined() -> Iterator[Kind]:
    # Helpers of this package (`kind`, `metrics`) have no KIND and are passed over.
    for module in pkgutil.iter_modules(__path__):
        found = getattr(importlib.import_module(f"{__name__}.{module.name}"), "KIND", None)
        if isinstance(found, Kind):
            yield found


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    # Modules come in the order of their names; lists of kinds are shown in `order`.
    {kind.name: kind for kind in sorted(_defined(), key=lambda kind: (kind.order, kind.name))}
)


def written_kind(recipe: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a written recipe, which may be broken; None where it names none that is known."""
    task = recipe.get("task")
    name = task.get("kind") if isinstance(task, Mapping) else None
    return KINDS.get(name) if isinstance(name, str) else None


__all__ = [
    "KINDS",
    "AnswerForm",
    "Decoding",
    "Draft",
    "Kind",
    "MetricSpec",
    "Turns",
    "written_kind",
]
