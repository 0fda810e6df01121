"""The plot area of a line chart: axes with round numbers, paths, dots and whiskers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.render.html.markup import Markup, tag
from engine.render.html.tracks import end_text

Point = tuple[float, float]

_TICKS = 4
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
_ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)


class Plot:
    """A frame from 0 to `end` across and over `span` upwards."""

    left, right, top, foot = 44, 12, 10, 34

    def __init__(self, width: int, height: int, *, end: float, span: tuple[float, float]) -> None:
        self.width, self.bottom = width, height - self.foot
        self._end, (self._floor, self._ceiling) = end, span

    def x(self, value: float) -> float:
        """Where a value stands across."""
        return self.left + (self.width - self.left - self.right) * value / self._end

    def y(self, value: float) -> float:
        """Where a value stands upwards."""
        share = (value - self._floor) / (self._ceiling - self._floor)
        return self.bottom - (self.bottom - self.top) * share

    def path(self, points: Sequence[Point]) -> str:
        """A line through the points."""
        return "".join(
            f"{'L' if at else 'M'}{self.x(x):.1f} {self.y(y):.1f}"
            for at, (x, y) in enumerate(points)
        )

    def dots(self, points: Sequence[Point]) -> str:
        """A dot at each point, for a stroke with round ends."""
        return "".join(f"M{self.x(x):.1f} {self.y(y):.1f}h0.01" for x, y in points)

    def whisker(self, x: float, low: float, high: float) -> Markup:
        """An interval as an upright line."""
        return tag(
            "path", d=f"M{self.x(x):.1f} {self.y(low):.1f}V{self.y(high):.1f}", class_="whisker"
        )

    def grid(self) -> list[Markup]:
        """Level lines with their values at the left."""
        drawn = []
        for tick in range(_TICKS + 1):
            value = self._floor + (self._ceiling - self._floor) * tick / _TICKS
            y, end = self.y(value), self.width - self.right
            drawn.append(tag("path", d=f"M{self.left} {y:.1f}H{end}", class_="grid"))
            drawn.append(tag("text", end_text(value), x=self.left - 8, y=y + 4, text_anchor="end"))
        return drawn

    def below(self, marks: Sequence[tuple[float, str]], name: str) -> list[Markup]:
        """Marks under the plot, and what they count."""
        drawn = [
            tag("text", text, x=self.x(at), y=self.bottom + 17, text_anchor="middle")
            for at, text in marks
        ]
        middle = (self.left + self.width - self.right) / 2
        return [*drawn, tag("text", name, x=middle, y=self.bottom + 32, text_anchor="middle")]

    def mark(self, at: float, words: str) -> list[Markup]:
        """A dashed upright line with words beside it."""
        x = self.x(at)
        is_right = x > self.width * 0.6
        told = tag(
            "text",
            words,
            x=x - 6 if is_right else x + 6,
            y=self.top + 12,
            text_anchor="end" if is_right else "start",
            class_="mark",
        )
        return [tag("path", d=f"M{x:.1f} {self.top}V{self.bottom}", class_="kept"), told]


def above(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to the lowest round number above every value."""
    top = max(values, default=1.0) or 1.0
    unit = 10.0 ** math.floor(math.log10(top))
    return 0.0, next(unit * factor for factor in _ROUND if unit * factor >= top)


def nice_range(values: Sequence[float]) -> tuple[float, float]:
    """Round ends around what is seen, in four equal steps."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = high - low or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(room / _TICKS))
    step = next(unit * factor for factor in _STEPS if unit * factor * (_TICKS - 1) >= room)
    floor = math.floor(low / step) * step
    return floor, floor + step * _TICKS
