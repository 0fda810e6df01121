"""A value on an axis as inline SVG: it stretches with its cell and is described in words."""

from __future__ import annotations

from engine.render import blocks
from engine.render.html.markup import Markup, join, stroke, tag
from engine.render.number_format import axis_number

_CAP = 0.2


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
    if track.interval is not None:
        low, high = axis.at(track.interval.low), axis.at(track.interval.high)
        caps = f"M{low - _CAP:.2f} 12h{2 * _CAP}M{high - _CAP:.2f} 12h{2 * _CAP}"
        drawn += [stroke(f"M{low:.2f} 12H{high:.2f}", "whisker"), stroke(caps, "caps")]
    if track.value is not None:
        # A dot is a stroke of almost no length with round ends: a circle would be stretched with
        # its cell.
        drawn.append(stroke(f"M{axis.at(track.value):.2f} 12h0.01", f"dot {track.tone}"))
    known = {"preserveAspectRatio": "none", "role": "img", "aria_label": track.label}
    shown = tag("svg", *drawn, viewBox="0 0 100 24", height=24, class_="stretch", **known)
    ends = (tag("span", axis_number(value)) for value in (axis.low, axis.high))
    return join([shown, tag("span", *ends, class_="ends")])
