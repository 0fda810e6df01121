"""Drawings in cells as inline SVG: they stretch with their cell and are described in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.render import blocks
from engine.render.html.markup import Markup, join, stroke, tag
from engine.render.number_format import axis_number

_TICKS = 4
_CAP = 0.2


def axis_scale(axis: blocks.Axis) -> Markup:
    """The numbers under bars, which start at zero."""
    return _numbers(axis.high * tick / _TICKS for tick in range(_TICKS + 1))


def _numbers(values: Iterable[float]) -> Markup:
    return tag("span", *(tag("span", axis_number(value)) for value in values), class_="ends")


def draw_track(track: blocks.Track) -> Markup:
    """A dot with a whisker over the two numbers of its axis."""
    axis, drawn = track.axis, list[Markup]()
    edge = None if track.threshold is None else axis.at(track.threshold)
    if edge is not None and track.allowed:
        start, width = (edge, 100.0 - edge) if track.allowed == "min" else (0.0, edge)
        drawn.append(tag("rect", x=start, y=2, width=width, height=20, class_="allowed"))
    drawn.append(stroke("M0 12H100", "axis"))
    if track.zero:
        height = "7V17" if track.zero == "axis" else "0V24"
        drawn.append(stroke(f"M{axis.at(0.0):.2f} {height}", track.zero))
    if edge is not None:
        drawn.append(stroke(f"M{edge:.2f} 2V22", "threshold"))
    drawn += _whisker(track, y=12)
    if track.value is not None:
        # A dot is a stroke of almost no length with round ends: a circle would be stretched with
        # its cell.
        drawn.append(stroke(f"M{axis.at(track.value):.2f} 12h0.01", f"dot {track.tone}"))
    return join([_stretched(24, track.label, drawn), _numbers((axis.low, axis.high))])


def draw_bar(bar: blocks.Bar) -> Markup:
    """A thick line with a whisker."""
    drawn = [stroke("M0 20H100", "lane")]
    if bar.value is not None:
        drawn.append(stroke(f"M0 20H{bar.axis.at(bar.value):.2f}", f"lane {bar.tone}"))
    drawn += _whisker(bar, y=20)
    if bar.threshold is not None:
        drawn.append(stroke(f"M{bar.axis.at(bar.threshold):.2f} 0V40", "threshold"))
    return _stretched(40, bar.label, drawn)


def draw_strip(strip: blocks.Strip) -> Markup:
    """Stretches beside each other in a groove."""
    height = 10 if strip.tall else 6
    rects = (
        tag("rect", x=start, y=0, width=width, height=height, class_=f"bar {tone}")
        for start, width, tone in ((0.0, 100.0, "groove"), *strip.parts)
    )
    return _stretched(height, strip.label, list(rects))


def _whisker(drawn: blocks.Track, *, y: int) -> list[Markup]:
    if drawn.interval is None:
        return []
    low, high = drawn.axis.at(drawn.interval.low), drawn.axis.at(drawn.interval.high)
    caps = f"M{low - _CAP:.2f} {y}h{2 * _CAP}M{high - _CAP:.2f} {y}h{2 * _CAP}"
    return [stroke(f"M{low:.2f} {y}H{high:.2f}", "whisker"), stroke(caps, "caps")]


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
