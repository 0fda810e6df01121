"""Drawings in cells as inline SVG: they stretch with their cell and are described in words."""

from __future__ import annotations

from collections.abc import Sequence

from engine.render import blocks
from engine.render.html.markup import Markup, join, tag
from engine.render.number_format import axis_number

_TICKS = 4
_CAP = 0.2


def drawing(drawn: blocks.Drawing) -> Markup:
    """Any drawing that a cell may hold."""
    if isinstance(drawn, blocks.Track):
        return join([_track(drawn), axis_ends(drawn.axis)])
    if isinstance(drawn, blocks.Bar):
        return _bar(drawn)
    if isinstance(drawn, blocks.Strip):
        return _strip(drawn)
    raise TypeError(type(drawn))


def axis_ends(axis: blocks.Axis) -> Markup:
    """The two numbers under a track."""
    ends = (tag("span", axis_number(end)) for end in (axis.low, axis.high))
    return tag("span", *ends, class_="ends")


def axis_scale(axis: blocks.Axis) -> Markup:
    """The numbers under bars, which start at zero."""
    ticks = (axis_number(axis.high * tick / _TICKS) for tick in range(_TICKS + 1))
    return tag("span", *(tag("span", tick) for tick in ticks), class_="ends")


def _track(track: blocks.Track) -> Markup:
    axis, drawn = track.axis, list[Markup]()
    edge = None if track.threshold is None else axis.at(track.threshold)
    if edge is not None and track.allowed:
        start, width = (edge, 100.0 - edge) if track.allowed == "min" else (0.0, edge)
        drawn.append(tag("rect", x=start, y=2, width=width, height=20, class_="allowed"))
    drawn.append(_stroke("M0 12H100", "axis"))
    if track.zero:
        height = "7V17" if track.zero == "axis" else "0V24"
        drawn.append(_stroke(f"M{axis.at(0.0):.2f} {height}", track.zero))
    if edge is not None:
        drawn.append(_stroke(f"M{edge:.2f} 2V22", "threshold"))
    drawn += _whisker(track.ends, axis, y=12)
    if track.value is not None:
        # A dot is a stroke of almost no length with round ends: a circle would be stretched with
        # its cell.
        drawn.append(_stroke(f"M{axis.at(track.value):.2f} 12h0.01", f"dot {track.tone}"))
    return _stretched(24, track.label, drawn)


def _bar(bar: blocks.Bar) -> Markup:
    drawn = [_stroke("M0 20H100", "lane")]
    if bar.value is not None:
        drawn.append(_stroke(f"M0 20H{bar.axis.at(bar.value):.2f}", f"lane {bar.tone}"))
    drawn += _whisker(bar.ends, bar.axis, y=20)
    if bar.threshold is not None:
        drawn.append(_stroke(f"M{bar.axis.at(bar.threshold):.2f} 0V40", "threshold"))
    return _stretched(40, bar.label, drawn)


def _strip(strip: blocks.Strip) -> Markup:
    height = 10 if strip.tall else 6
    rects = (
        tag("rect", x=start, y=0, width=width, height=height, class_=f"bar {tone}")
        for start, width, tone in ((0.0, 100.0, "groove"), *strip.parts)
    )
    return _stretched(height, strip.label, list(rects))


def _whisker(ends: tuple[float, float] | None, axis: blocks.Axis, *, y: int) -> list[Markup]:
    if ends is None:
        return []
    low, high = map(axis.at, ends)
    caps = f"M{low - _CAP:.2f} {y}h{2 * _CAP}M{high - _CAP:.2f} {y}h{2 * _CAP}"
    return [_stroke(f"M{low:.2f} {y}H{high:.2f}", "whisker"), _stroke(caps, "caps")]


def _stroke(path: str, kind: str) -> Markup:
    return tag("path", d=path, class_=kind)


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
