"""The metrics that a recipe can bound, by kind of task (`engine.kinds`) and of exported files.

`engine.metrics` computes them. A name with a dot is of one label (`f1.negative`) or of one field of the answer
(`f1.items.name`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.kinds import KINDS, MetricSpec
from engine.kinds.kind import LIKELIHOOD
from engine.recipe.patterns import resolved

ROUNDING: Final = 1e-12
"""Error of differences of fractions at most; a value this close to a bound is equal to it."""
FREE: Final = ("valid_output", "schema_validity", "type_errors")
LIKELIHOODS: Final = tuple(spec.name for spec in LIKELIHOOD)
OF_FILES: Final = (
    MetricSpec(name="agreement", is_row_share=True),
    MetricSpec(name="file_megabytes", better="lower", unit="MB"),
    MetricSpec(name="tokens_per_second", unit="tokens/s"),
    MetricSpec(name="first_token_milliseconds", better="lower", unit="ms"),
    MetricSpec(name="peak_memory_megabytes", better="lower", unit="MB"),
)
"""Metrics of an exported file, in addition to those of its kind."""
PHYSICAL: Final = tuple(spec.name for spec in OF_FILES if not spec.is_row_share)
"""Metrics that are measured once: they have no interval, and their value decides."""


def spec_of(name: str, kind: str) -> MetricSpec | None:
    """Return the metric of a full name; None if the kind has none of that name."""
    bare, dot, _ = name.partition(".")
    for spec in (*(KINDS[kind].metrics if kind in KINDS else ()), *OF_FILES):
        if spec.name == bare and bool(dot) == bool(spec.of):
            return spec
    return None


def keeps_bound(value: float, *, direction: str, bound: float) -> bool:
    """Return whether a value is on the right side of a `min` or `max`; False for NaN."""
    if direction == "min":
        return value >= bound - ROUNDING
    return value <= bound + ROUNDING


def is_lower_better(name: str, kind: str) -> bool:
    spec = spec_of(name, kind)
    return spec is not None and spec.better == "lower"


def primary(kind: str, *, answer_pattern: str = "") -> str:
    """Return the metric of the kind where one number is shown, such as in curves."""
    return KINDS[kind].primary_metric(answer_pattern)


def headline(kind: str, bounded: Iterable[str], *, answer_pattern: str = "") -> str:
    """Return the metric that summaries show: the kind's own, or the first bounded one that models are compared by."""
    main = primary(kind, answer_pattern=answer_pattern)
    comparable = [name for name in bounded if name in (main, *KINDS[kind].compared_by)]
    return main if main in comparable or not comparable else comparable[0]


_DEEPEST: Final = 12


def leaves(schema: Any) -> tuple[str, ...]:
    """Return the dotted paths of the values in answers of a schema, without indexes of lists."""

    def below(node: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
        if not isinstance(node, Mapping) or depth > _DEEPEST:
            return
        node = resolved(node, schema)
        properties, items = node.get("properties"), node.get("items")
        if isinstance(properties, Mapping):
            for name, inner in properties.items():
                yield from below(inner, (*path, str(name)), depth + 1)
        elif isinstance(items, Mapping):
            yield from below(items, path, depth + 1)
        elif path:
            yield ".".join(path)

    return tuple(dict.fromkeys(below(schema, (), 0)))
