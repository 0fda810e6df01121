"""The tuned model against each baseline and the previous model, in words that every format shares."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evidence import Comparison
from engine.render.measures import interval_of, value_of
from engine.render.quantities import DASH, count, p_values

COLUMNS = ("against", "metric", "difference", "interval", "p", "test", "rows", "so")
LEAD = (
    "Both models on the same rows, paired. A positive difference means that the tuned model is "
    "better, also where less of the metric is better."
)
_HOLM = (
    "After Holm: corrected for the number of tests, so that a false difference among all of them "
    "is as rare as it would be in one."
)
_PREVIOUS = "previous"


def is_previous(item: Comparison) -> bool:
    """Tell whether the other one is the last accepted model, of which no gain is asked."""
    return item.name == _PREVIOUS


def tests_of(found: Sequence[Comparison]) -> str:
    """Which tests gave the p-values, and how they were corrected."""
    names = ", ".join(sorted({item.test for item in found if item.test}))
    told = f"Tests: {names}." if names else "No test was made."
    if all(item.p_adjusted is None for item in found):
        return told
    return f"{told} {_HOLM}"


def name_of(item: Comparison) -> str:
    """Whom the tuned model was compared with."""
    return "last accepted model" if is_previous(item) else item.name


def difference_of(item: Comparison) -> str:
    """The difference in the metric's own decimals, with its sign."""
    return value_of(item.metric, item.difference, signed=True)


def spread_of(item: Comparison) -> str:
    """The interval of the difference; empty for none."""
    return interval_of(item.metric, item.interval, signed=True)


def tested(item: Comparison) -> str:
    """The p of the test, and corrected; a dash without a test."""
    return p_values(item.p_value, item.p_adjusted) or DASH


def claim(item: Comparison) -> str:
    """What follows: `better`, `worse`, `no difference shown`, or why it cannot be told.

    Better or worse takes both the interval clear of zero and the corrected p below its rest.
    """
    if item.difference is None:
        return f"cannot be told: {item.note}" if item.note else "cannot be told"
    if item.interval is None:
        return "not tested"
    p = item.p_adjusted if item.p_adjusted is not None else item.p_value
    is_rare = p is None or p <= 1 - item.interval.confidence
    if is_rare and item.interval.low > 0:
        return "better"
    return "worse" if is_rare and item.interval.high < 0 else "no difference shown"


def cells(item: Comparison) -> list[str]:
    """One row under `COLUMNS`."""
    spread = spread_of(item) or DASH
    measured = (difference_of(item), spread, tested(item), item.test or DASH, count(item.n))
    return [name_of(item), item.metric, *measured, claim(item)]


def sentence(item: Comparison) -> str:
    """The comparison in one line, for alternative texts and the terminal."""
    told = f"{item.metric} {difference_of(item)} {spread_of(item)}".rstrip()
    return f"against {name_of(item)}: {told}, {tested(item)}: {claim(item)}"
