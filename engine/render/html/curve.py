"""Losses and the metric by step as inline SVG with axes and text, drawn for wide and for narrow pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.evidence import CheckpointScore, Interval, TrainingSummary
from engine.render.html.markup import Markup, tag
from engine.render.html.plot import Plot, above, nice_range
from engine.render.measures import value_of

_MOST_POINTS = 400
_MOST_TICKS = 5


def loss_chart(training: TrainingSummary, *, width: int, height: int) -> Markup:
    """Loss by step: training as a line, validation as a line with dots, the kept step marked."""
    train = thinned([(p.step, p.loss) for p in training.history if p.loss is not None])
    validation = [(p.step, p.eval_loss) for p in training.history if p.eval_loss is not None]
    span = above([y for _, y in (*train, *validation)])
    plot = Plot(width, height, end=_last_step(training), span=span)
    drawn = [
        *plot.grid(),
        *_steps(training, plot),
        tag("path", d=plot.path(train), class_="line train"),
        tag("path", d=plot.path(validation), class_="line validation"),
        tag("path", d=plot.dots(validation), class_="points validation"),
        *plot.mark(training.kept_step, f"kept: step {training.kept_step}"),
    ]
    return _chart(drawn, width, height, loss_label(training))


def metric_chart(
    found: Sequence[CheckpointScore], training: TrainingSummary, *, width: int, height: int
) -> Markup:
    """The validation metric of every checkpoint with its interval, over the steps of `loss_chart`."""
    known = [(item.step, item.metric.value, item.metric.interval) for item in found]
    points = [(step, value, bounds) for step, value, bounds in known if value is not None]
    span = nice_range([end for _, value, bounds in points for end in _ends(value, bounds)])
    plot = Plot(width, height, end=_last_step(training), span=span)
    line = [(step, value) for step, value, _ in points]
    drawn = [
        *plot.grid(),
        *_steps(training, plot),
        *(plot.whisker(step, b.low, b.high) for step, _, b in points if b),
        tag("path", d=plot.path(line), class_="line validation"),
        tag("path", d=plot.dots(line), class_="points validation"),
        *plot.mark(training.kept_step, f"kept: step {training.kept_step}"),
    ]
    return _chart(drawn, width, height, _metric_label(found, training.kept_step))


def _chart(drawn: Sequence[Markup], width: int, height: int, label: str) -> Markup:
    box = f"0 0 {width} {height}"
    return tag("svg", *drawn, viewBox=box, class_="chart", role="img", aria_label=label)


def _ends(value: float, bounds: Interval | None) -> tuple[float, ...]:
    return (value, bounds.low, bounds.high) if bounds else (value,)


def _metric_label(found: Sequence[CheckpointScore], kept: int) -> str:
    told = (f"step {item.step} {value_of(item.metric.name, item.metric.value)}" for item in found)
    name = found[0].metric.name if found else "metric"
    return f"{name} on validation by checkpoint: {', '.join(told)}; step {kept} kept"


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


def _steps(training: TrainingSummary, plot: Plot) -> list[Markup]:
    last = _last_step(training)
    marks = [(float(step), str(step)) for step in range(0, last + 1, _stride(last))]
    return plot.below(marks, "step")


def _stride(steps: int) -> int:
    """The round number of steps between ticks that gives six of them at most."""
    unit = 10 ** int(math.log10(steps))
    strides = (1, unit // 10, unit // 5, unit // 2, unit, 2 * unit, 5 * unit)
    return next(stride for stride in strides if stride and steps / stride <= _MOST_TICKS)
