"""The loss curves as inline SVG with axes and text, drawn for wide and for narrow pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.evidence import TrainingSummary
from engine.render.html.markup import Markup, join, tag

_MOST_POINTS = 400
_TICKS = 4
_MOST_TICKS = 5
_ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)


def loss_chart(training: TrainingSummary, *, width: int, height: int) -> Markup:
    """Loss by step: training as a line, validation as a line with dots, the kept step marked."""
    train = thinned([(p.step, p.loss) for p in training.history if p.loss is not None])
    validation = [(p.step, p.eval_loss) for p in training.history if p.eval_loss is not None]
    frame = _Frame(width, height, _last_step(training), _ceiling([*train, *validation]))
    dots = "".join(f"M{frame.x(x):.1f} {frame.y(y):.1f}h0.01" for x, y in validation)
    drawn = [
        *frame.grid(),
        tag("path", d=frame.path(train), class_="line train"),
        tag("path", d=frame.path(validation), class_="line validation"),
        tag("path", d=dots, class_="points validation"),
        *_kept(training, frame),
    ]
    return tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {width} {height}",
        class_="chart",
        role="img",
        aria_label=loss_label(training),
    )


def loss_label(training: TrainingSummary) -> str:
    """The curves in words."""
    train = [point.loss for point in training.history if point.loss is not None]
    seen = [point for point in training.history if point.eval_loss is not None]
    parts = [f"Loss over {training.steps} steps"]
    if train:
        parts.append(f"training from {train[0]:.3f} to {train[-1]:.3f}")
    if seen:
        parts.append(f"validation from {seen[0].eval_loss:.3f} to {seen[-1].eval_loss:.3f}")
    return ", ".join(parts) + f"; step {training.kept_step} kept"


def thinned(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """At most 400 points, each the mean of as many neighbours as that takes."""
    step = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[at : at + step] for at in range(0, len(points), step)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def _last_step(training: TrainingSummary) -> int:
    return max([training.steps, *(point.step for point in training.history)], default=1) or 1


def _ceiling(points: Sequence[tuple[float, float]]) -> float:
    """The lowest round number above every point."""
    top = max((y for _, y in points), default=1.0) or 1.0
    unit = 10.0 ** math.floor(math.log10(top))
    return next(unit * factor for factor in _ROUND if unit * factor >= top)


def _kept(training: TrainingSummary, frame: _Frame) -> list[Markup]:
    at = frame.x(training.kept_step)
    left = at > frame.width * 0.6
    words = tag(
        "text",
        f"kept: step {training.kept_step}",
        x=at - 6 if left else at + 6,
        y=frame.top + 12,
        text_anchor="end" if left else "start",
        class_="mark",
    )
    return [
        tag("path", d=f"M{at:.1f} {frame.top}V{frame.bottom}", class_="kept"),
        words,
    ]


def _stride(steps: int) -> int:
    """The round number of steps between ticks that gives six of them at most."""
    unit = 10 ** int(math.log10(steps))
    strides = (1, unit // 10, unit // 5, unit // 2, unit, 2 * unit, 5 * unit)
    return next(stride for stride in strides if stride and steps / stride <= _MOST_TICKS)


class _Frame:
    """The plot area of a chart with its two axes."""

    left, right, top, foot = 40, 12, 10, 34

    def __init__(self, width: int, height: int, steps: int, ceiling: float) -> None:
        self.width, self.bottom = width, height - self.foot
        self._steps, self._ceiling = steps, ceiling

    def x(self, step: float) -> float:
        return self.left + (self.width - self.left - self.right) * step / self._steps

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * value / self._ceiling

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return "".join(
            f"{'L' if at else 'M'}{self.x(x):.1f} {self.y(y):.1f}"
            for at, (x, y) in enumerate(points)
        )

    def grid(self) -> list[Markup]:
        """Horizontal lines with values, steps below."""
        drawn = []
        for tick in range(_TICKS + 1):
            value = self._ceiling * tick / _TICKS
            y, end = self.y(value), self.width - self.right
            drawn.append(tag("path", d=f"M{self.left} {y:.1f}H{end}", class_="grid"))
            drawn.append(tag("text", f"{value:.3g}", x=self.left - 8, y=y + 4, text_anchor="end"))
        return [*drawn, *self._steps_below()]

    def _steps_below(self) -> list[Markup]:
        ticks = range(0, self._steps + 1, _stride(self._steps))
        texts = join(
            tag("text", str(step), x=self.x(step), y=self.bottom + 17, text_anchor="middle")
            for step in ticks
        )
        middle = (self.left + self.width - self.right) / 2
        name = tag("text", "step", x=middle, y=self.bottom + 32, text_anchor="middle")
        return [texts, name]
