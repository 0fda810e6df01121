"""Whether probabilities mean what they say: a reliability diagram with its numbers and its sentences."""

from __future__ import annotations

from engine.evidence import Calibration, CalibrationBin, Report
from engine.render.calibration import COLUMNS, bin_name, cells, filled, lines
from engine.render.html.markup import Markup, tag
from engine.render.html.parts import prose, section, table
from engine.render.quantities import count, number

_LEFT, _RIGHT, _TOP, _FOOT, _COUNTS = 40, 12, 10, 38, 44
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_GAP = 0.12
"""Share of a bin's width left free on either side of its bar."""
_LEAD = (
    "Each bar holds the answers given with such a probability and reaches to the share of them "
    "that was right; the mark is the probability said. Calibrated answers end on the dashed line."
)


def calibration(report: Report) -> Markup:
    """The section; empty where answers have no probabilities."""
    found = report.holdout.calibration if report.holdout else None
    if found is None:
        return Markup("")
    told = tag("ul", *(tag("li", prose(_sentence(line))) for line in lines(found)), class_="proof")
    if not filled(found):
        return section("calibration", "Calibration", told)
    wide = tag("div", _diagram(found, width=620, height=380), class_="wide")
    small = tag("div", _diagram(found, width=350, height=300), class_="small")
    numbers = table(
        "The answers by their probability",
        COLUMNS,
        [cells(item) for item in filled(found)],
        kind="narrow",
        numeric=frozenset({1, 2, 3, 4}),
    )
    drawn = tag("figure", wide, small, class_="reliability")
    return section("calibration", "Calibration", told, drawn, numbers, lead=_LEAD)


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _diagram(found: Calibration, *, width: int, height: int) -> Markup:
    plot = _Plot(width, height)
    bins = filled(found)
    most = max(item.rows for item in bins)
    return tag(
        "svg",
        *plot.axes(),
        *(plot.bar(item) for item in bins),
        plot.diagonal(),
        *(plot.said(item) for item in bins),
        *(mark for item in bins for mark in plot.rows(item, most)),
        viewBox=f"0 0 {width} {height}",
        class_="chart",
        role="img",
        aria_label=_label(found),
    )


def _label(found: Calibration) -> str:
    told = (
        f"{bin_name(item)}: {count(item.rows)} rows, said {number(item.confidence)}, "
        f"right {number(item.accuracy)}"
        for item in filled(found)
    )
    return "Share of right answers by probability. " + "; ".join(told)


class _Plot:
    """A unit square of probability and share right, with a strip of counts below."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._bottom = height - _FOOT - _COUNTS
        self._base = height - _FOOT

    def x(self, value: float) -> float:
        return _LEFT + (self._width - _LEFT - _RIGHT) * value

    def y(self, value: float) -> float:
        return self._bottom - (self._bottom - _TOP) * value

    def axes(self) -> list[Markup]:
        drawn = []
        end = self._width - _RIGHT
        for tick in _TICKS:
            y = self.y(tick)
            drawn.append(tag("path", d=f"M{_LEFT} {y:.1f}H{end}", class_="grid"))
            drawn.append(tag("text", f"{tick:g}", x=_LEFT - 8, y=y + 4, text_anchor="end"))
            x = self.x(tick)
            drawn.append(tag("text", f"{tick:g}", x=x, y=self._base + 16, text_anchor="middle"))
        middle = (_LEFT + end) / 2
        name = "probability said · rows above it"
        foot = tag("text", name, x=middle, y=self._base + 33, text_anchor="middle")
        return [*drawn, foot]

    def diagonal(self) -> Markup:
        path = f"M{self.x(0):.1f} {self.y(0):.1f}L{self.x(1):.1f} {self.y(1):.1f}"
        return tag("path", d=path, class_="kept")

    def bar(self, item: CalibrationBin) -> Markup:
        left, width = self._span(item)
        top = self.y(item.accuracy)
        return tag(
            "rect", x=left, y=top, width=width, height=self._bottom - top, class_="bar tuned"
        )

    def said(self, item: CalibrationBin) -> Markup:
        left, width = self._span(item)
        y = self.y(item.confidence)
        return tag("path", d=f"M{left:.1f} {y:.1f}h{width:.1f}", class_="said")

    def rows(self, item: CalibrationBin, most: int) -> list[Markup]:
        left, width = self._span(item)
        height = max(1.0, (_COUNTS - 22) * item.rows / most)
        bar = tag("rect", x=left, y=self._base - height, width=width, height=height, class_="bar")
        middle = left + width / 2
        told = tag(
            "text",
            count(item.rows),
            x=middle,
            y=self._base - height - 4,
            text_anchor="middle",
            class_="small-mark",
        )
        return [bar, told]

    def _span(self, item: CalibrationBin) -> tuple[float, float]:
        left, right = self.x(item.low), self.x(item.high)
        room = (right - left) * _GAP
        return left + room, max(2.0, right - left - 2 * room)
