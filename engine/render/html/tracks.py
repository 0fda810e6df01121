"""Tracks and bars as inline SVG: they stretch with their cell and are described in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.evidence import Check, Interval
from engine.render.html.markup import Markup, tag
from engine.render.measures import is_share
from engine.render.quantities import MINUS
from engine.render.wording import is_difference, sentence


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of numbers drawn from 0 to 100."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """The position of a value, kept on the axis."""
        share = (value - self.low) / (self.high - self.low)
        return 100.0 * min(1.0, max(0.0, share))


def check_axis(check: Check, scores: Axis) -> Axis:
    """The axis a check is drawn on: the common one for shares with a minimum, else one of its own."""
    if _is_score(check):
        return scores
    return around(_values(check), has_zero=is_difference(check))


def _is_score(check: Check) -> bool:
    return not is_difference(check) and check.direction == "min" and is_share(check.name)


def score_axis(checks: Sequence[Check]) -> Axis:
    """An axis that ends at 1 and begins at the tenth below everything that must be seen."""
    seen = [value for check in checks if _is_score(check) for value in _values(check)]
    lowest = min(seen, default=0.0)
    return Axis(max(0.0, min(0.9, math.floor(lowest * 10 - 1e-9) / 10)), 1.0)


def around(values: Sequence[float], *, has_zero: bool) -> Axis:
    """An axis around values with round ends and a quarter of room on both sides.

    `has_zero` puts zero on it, for differences; other values never go below it.
    """
    seen = [*values, 0.0] if has_zero or not values else [*values]
    low, high = min(seen), max(seen)
    room = (high - low) * 0.25 or abs(high) * 0.25 or 0.1
    low, high = low - room, high + room
    step = 10.0 ** math.floor(math.log10(high - low)) / 2
    start = math.floor(low / step) * step
    return Axis(start if has_zero else max(0.0, start), math.ceil(high / step) * step)


def end_text(value: float) -> str:
    """The number at an end of an axis: as few digits as tell it."""
    return f"{value:.4g}".replace("-", MINUS) if abs(value) > 1e-9 else "0"


def _values(check: Check) -> list[float]:
    ends = (check.interval.low, check.interval.high) if check.interval else ()
    return [value for value in (check.got, check.bound, *ends) if value is not None]


def interval_track(check: Check, axis: Axis) -> Markup:
    """A check drawn: what is allowed shaded, the bound as a line, the interval and the point."""
    edge = axis.at(check.bound)
    start, width = (edge, 100.0 - edge) if check.direction == "min" else (0.0, edge)
    drawn = [
        tag("rect", x=start, y=2, width=width, height=20, class_="allowed"),
        _stroke("M0 12H100", "axis"),
    ]
    if is_difference(check):
        drawn.append(_stroke(f"M{axis.at(0.0):.2f} 7V17", "axis"))
    drawn.append(_stroke(f"M{edge:.2f} 2V22", "bound"))
    drawn += _whisker(check.interval, axis, y=12)
    if check.got is not None:
        drawn.append(_stroke(f"M{axis.at(check.got):.2f} 12h0.01", f"dot {check.status.value}"))
    return _stretched(24, sentence(check), drawn)


def difference_track(
    value: float | None,
    interval: Interval | None,
    axis: Axis,
    *,
    kind: str,
    label: str,
    bound: float | None = None,
) -> Markup:
    """A difference with its interval beside zero, and a bound where there is one."""
    drawn = [_stroke("M0 12H100", "axis"), _stroke(f"M{axis.at(0.0):.2f} 0V24", "zero")]
    if bound is not None:
        drawn.append(_stroke(f"M{axis.at(bound):.2f} 2V22", "bound"))
    drawn += _whisker(interval, axis, y=12)
    if value is not None:
        drawn.append(_stroke(f"M{axis.at(value):.2f} 12h0.01", f"dot {kind}"))
    return _stretched(24, label, drawn)


def bar(
    value: float | None,
    axis: Axis,
    *,
    interval: Interval | None,
    bound: float | None,
    kind: str,
    label: str,
) -> Markup:
    """A value as a bar with its interval; the bound is a line that runs on from row to row."""
    drawn = [_stroke("M0 20H100", "lane")]
    if value is not None:
        drawn.append(_stroke(f"M0 20H{axis.at(value):.2f}", f"lane {kind}"))
    drawn += _whisker(interval, axis, y=20)
    if bound is not None:
        drawn.append(_stroke(f"M{axis.at(bound):.2f} 0V40", "bound"))
    return _stretched(40, label, drawn)


def meter(value: float | None, label: str) -> Markup:
    """A thin bar for a table cell."""
    drawn = [tag("rect", x=0, y=0, width=100, height=6, class_="groove")]
    if value is not None:
        drawn.append(tag("rect", x=0, y=0, width=100.0 * value, height=6, class_="bar tuned"))
    return _stretched(6, label, drawn)


def period(start: float, length: float, total: float, *, kind: str, label: str) -> Markup:
    """When a stage ran within the whole: `start` and `length` in seconds of `total`."""
    axis = Axis(0.0, total or 1.0)
    left = axis.at(start)
    width = max(0.6, axis.at(start + length) - left)
    drawn = [
        _stroke("M0 8H100", "axis"),
        tag("rect", x=min(left, 99.4), y=3, width=width, height=10, class_=f"bar {kind}"),
    ]
    return _stretched(16, label, drawn)


def shares(counts: Sequence[int], label: str) -> Markup:
    """Counts as parts of one bar, in label order."""
    total = sum(counts) or 1
    drawn, left = [], 0.0
    for index, count in enumerate(counts):
        width = 100.0 * count / total
        drawn.append(tag("rect", x=left, y=0, width=width, height=10, class_=f"share s{index % 2}"))
        left += width
    return _stretched(10, label, drawn)


def _whisker(interval: Interval | None, axis: Axis, *, y: int) -> list[Markup]:
    if interval is None:
        return []
    low, high = axis.at(interval.low), axis.at(interval.high)
    caps = f"M{low - 0.2:.2f} {y}h0.4M{high - 0.2:.2f} {y}h0.4"
    return [_stroke(f"M{low:.2f} {y}H{high:.2f}", "whisker"), _stroke(caps, "caps")]


def _stroke(path: str, kind: str) -> Markup:
    return tag("path", d=path, class_=kind, vector_effect="non-scaling-stroke")


def _stretched(height: int, label: str, drawn: Sequence[Markup]) -> Markup:
    return tag(
        "svg",
        *drawn,
        viewBox=f"0 0 100 {height}",
        height=height,
        preserveAspectRatio="none",
        class_="stretch",
        role="img",
        aria_label=label,
    )
