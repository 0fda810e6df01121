"""The metrics that a recipe can bound, by kind of task (`engine.kinds`) and of exported files.

How each is computed stands in `engine.metrics`. A name with a dot is of one label (`f1.negative`)
or of one field of the answer (`f1.items.name`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.kinds import KINDS, MetricSpec
from engine.kinds.kind import LIKELIHOOD
from engine.recipe.patterns import schema_at

ROUNDING: Final = 1e-12
"""Differences of fractions are off by less; a value this close to the bound is equal to it."""
FREE: Final = ("valid_output", "schema_validity", "type_errors")
LIKELIHOODS: Final = tuple(spec.name for spec in LIKELIHOOD)
OF_FILES: Final = (
    MetricSpec(name="agreement", is_row_share=True),
    MetricSpec(name="file_megabytes", better="lower", unit="MB"),
    MetricSpec(name="tokens_per_second", unit="tokens/s"),
    MetricSpec(name="first_token_milliseconds", better="lower", unit="ms"),
    MetricSpec(name="peak_memory_megabytes", better="lower", unit="MB"),
)
"""What the exported file can be bound by besides the metrics of its kind."""
PHYSICAL: Final = tuple(spec.name for spec in OF_FILES if not spec.is_row_share)
"""Those of the file as a thing: measured once, they have no interval, and are decided on their value."""


def spec_of(name: str, kind: str) -> MetricSpec | None:
    """Return what is known of a metric by its full name; None where the kind has none of that name."""
    bare, dot, _ = name.partition(".")
    for spec in (*(KINDS[kind].metrics if kind in KINDS else ()), *OF_FILES):
        if spec.name == bare and bool(dot) == bool(spec.of):
            return spec
    return None


def keeps_bound(value: float, *, direction: str, bound: float) -> bool:
    """Tell whether a value is on the right side of a `min` or `max`; False for NaN, which compares with nothing."""
    if direction == "min":
        return value >= bound - ROUNDING
    return value <= bound + ROUNDING


def is_lower_better(name: str, kind: str) -> bool:
    spec = spec_of(name, kind)
    return spec is not None and spec.better == "lower"


def primary(kind: str, *, answer_pattern: str = "") -> str:
    """Return the metric that stands for the kind where one number is shown, such as in curves."""
    return KINDS[kind].primary_metric(answer_pattern)


def headline(kind: str, bounded: Iterable[str], *, answer_pattern: str = "") -> str:
    """Return the metric that summaries show: the kind's own, or the first bounded one that models are compared by."""
    main = primary(kind, answer_pattern=answer_pattern)
    asked = [name for name in bounded if name in (main, *KINDS[kind].compared_by)]
    return main if main in asked or not asked else asked[0]


def leaves(schema: Any) -> tuple[str, ...]:
    """Return the dotted paths of the values that answers of a schema hold, indexes of lists left out."""
    return tuple(dict.fromkeys(_leaves(schema, schema, (), 0)))


_DEEPEST: Final = 12


def _leaves(node: Any, root: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
    node = _followed(node, root)
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return
    properties, items = node.get("properties"), node.get("items")
    if isinstance(properties, Mapping):
        for name, below in properties.items():
            yield from _leaves(below, root, (*path, str(name)), depth + 1)
    elif isinstance(items, Mapping):
        yield from _leaves(items, root, path, depth + 1)
    elif path:
        yield ".".join(path)


def _followed(node: Any, root: Any) -> Any:
    # A schema may refer to itself: without a limit this would never end.
    for _ in range(_DEEPEST):
        if not isinstance(node, Mapping) or not str(node.get("$ref", "")).startswith("#/"):
            return node
        target = schema_at(root, str(node["$ref"]))
        node = {} if target is None else target
    return {}
