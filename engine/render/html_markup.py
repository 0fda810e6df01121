"""HTML that cannot be injected into: plain strings are escaped, only `Markup` is taken as it is."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from engine.evidence import CalibrationBin
from engine.render import blocks
from engine.render.blocks import Axis, Curve, LineChart, ReliabilityChart
from engine.render.number_format import axis_number, count
from engine.render.styled_text import printable

_LEVELS = 4
_RIGHT = 60.0
"""Percent from which on the words of a mark stand at its left."""
_PLOT, _STRIP = 76.0, 82.0
"""Of a reliability chart: where its plot ends, and where its strip of counts begins."""
_GAP = 0.12
"""Share of a bin's width left free on either side of its bar."""


def line_chart(chart: LineChart) -> Markup:
    across, up = Axis(0.0, chart.end), Axis(*chart.span)
    levels = [
        chart.span[0] + (chart.span[1] - chart.span[0]) * n / _LEVELS for n in range(_LEVELS + 1)
    ]
    inner = [stroke(f"M0 {100 - up.at(level):.2f}H100", "grid") for level in levels]
    texts = [_left(axis_number(level), 100 - up.at(level)) for level in levels]
    texts += [_below(text, across.at(at)) for at, text in chart.ticks]
    if chart.mark:
        at = across.at(chart.mark[0])
        inner.append(stroke(f"M{at:.2f} 0V100", "kept"))
        side, anchor = (-6, "end") if at > _RIGHT else (6, "start")
        place = f"{at:.2f}%"
        mark = tag(
            "text", chart.mark[1], x=place, y=0, dx=side, dy=12, text_anchor=anchor, class_="mark"
        )
        texts.append(mark)
    for curve in chart.curves:
        inner += _curve(curve, across, up)
    drawn = _svg(inner, [*texts, _below(chart.across, 50.0, line=2)], chart.label)
    names = [tag("span", name, class_=f"key {kind}") for name, kind in chart.legend]
    return tag("figure", tag("p", *names, class_="legend") if names else "", drawn)


def reliability_chart(chart: ReliabilityChart) -> Markup:
    """Bars of the share of right answers with marks at the mean probability; below them how many rows."""
    most = max(item.rows for item in chart.bins)
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    inner = [stroke(f"M0 {_height(tick):.2f}H100", "grid") for tick in ticks]
    inner += [rect for item in chart.bins for rect in _bin(item, most)]
    inner.append(stroke(f"M0 {_height(0):.2f}L100 0", "kept"))
    inner += [
        stroke(f"M{left:.2f} {_height(item.confidence):.2f}h{width:.2f}", "mean")
        for item in chart.bins
        for left, width in [_span(item)]
    ]
    texts = [_left(axis_number(tick), _height(tick)) for tick in ticks]
    texts += [_below(axis_number(tick), 100 * tick) for tick in ticks]
    texts += [
        tag(
            "text",
            count(item.rows),
            x=f"{50 * (item.low + item.high):.2f}%",
            y=f"{_STRIP:g}%",
            dy=6,
        )
        for item in chart.bins
    ]
    named = _below("probability · rows above it", 50.0, line=2)
    return tag("figure", _svg(inner, [*texts, named], chart.label), class_="reliability")


def _curve(curve: Curve, across: Axis, up: Axis) -> Iterable[Markup]:
    points = [(across.at(x), 100 - up.at(y)) for x, y in curve.points]
    for x, low, high in curve.whiskers:
        yield stroke(
            f"M{across.at(x):.2f} {100 - up.at(low):.2f}V{100 - up.at(high):.2f}", "whisker"
        )
    line = "".join(f"{'L' if at else 'M'}{x:.2f} {y:.2f}" for at, (x, y) in enumerate(points))
    yield stroke(line, f"line {curve.kind}")
    if curve.kind != "train":
        yield stroke("".join(f"M{x:.2f} {y:.2f}h0.01" for x, y in points), "points")


def _bin(item: CalibrationBin, most: int) -> Iterable[Markup]:
    left, width = _span(item)
    top, strip = _height(item.accuracy), (100 - _STRIP - 6) * item.rows / most
    for y, height, kind in ((top, _PLOT - top, "bar tuned"), (100 - strip, strip, "bar")):
        yield tag("rect", x=left, y=y, width=width, height=height, class_=kind)


def _span(item: CalibrationBin) -> tuple[float, float]:
    width = 100 * (item.high - item.low)
    return 100 * item.low + _GAP * width, (1 - 2 * _GAP) * width


def _height(share: float) -> float:
    return _PLOT * (1 - share)


def _left(text: str, y: float) -> Markup:
    return tag("text", text, x=0, y=f"{y:.2f}%", dx=-8, dy=4, text_anchor="end")


def _below(text: str, x: float, *, line: int = 1) -> Markup:
    return tag("text", text, x=f"{x:.2f}%", y="100%", dy=2 + 15 * line)


def _svg(inner: Sequence[Markup], texts: Sequence[Markup], label: str) -> Markup:
    plot = tag(
        "svg", *inner, viewBox="0 0 100 100", preserveAspectRatio="none", class_="plot", aria_hidden="true"
    )  # fmt: skip
    return tag("svg", plot, *texts, class_="chart", role="img", aria_label=label)


_CAP = 0.2


def draw_track(track: blocks.Track) -> Markup:
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


_VOID = frozenset({"meta", "br", "col", "link"})


class Markup(str):
    """Text that is HTML already; made only by this module's functions and constants of ours."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as HTML shows it: escaped, with control and direction characters made visible."""
    if isinstance(text, Markup):
        return text
    lines = (printable(line) for line in text.replace("\r\n", "\n").split("\n"))
    return Markup(html.escape("\n".join(lines), quote=True))


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element. `class_` is written `class`, `aria_label` `aria-label`; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    inner = "".join(escaped(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def stroke(path: str, kind: str) -> Markup:
    return tag("path", d=path, class_=kind)


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """The parts one after the other, each escaped unless it is markup."""
    return Markup(escaped(separator).join(escaped(part) for part in parts))


def _text(value: str | float) -> str:
    """Coordinates keep two decimals: a hundredth of a pixel is not seen."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
