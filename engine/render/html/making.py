"""How the model was made: the training with its checkpoints, and the stages of the run."""

from __future__ import annotations

from engine.evidence import (
    CheckpointScore,
    HistoryPoint,
    Report,
    Scores,
    StageRecord,
    StageStatus,
    TrainingSummary,
)
from engine.render.costs import COLUMNS, basis_line, cost_rows
from engine.render.html.curve import loss_chart, metric_chart
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, facts, muted, prose, section, table
from engine.render.html.tracks import period
from engine.render.measures import direction, interval_of, value_of
from engine.render.quantities import (
    DASH,
    NOTHING,
    count,
    duration,
    millions,
    number,
    percent,
    size,
)
from engine.render.wording import find_metric, judged_by, main_metric, undefined, why_absent


def training(report: Report) -> Markup:
    """The loss curves, what was trained, and how train, validation and holdout compare."""
    summary = report.training
    if summary is None:
        return section("training", "Training", absent(why_absent(report, "train")))
    parts = [
        _curves(summary),
        *_checkpoints(report, summary),
        _trained(report, summary),
        _generalisation(report),
    ]
    return section("training", "Training", *parts)


def _curves(summary: TrainingSummary) -> Markup:
    if not any(_has_loss(point) for point in summary.history):
        return absent("not computed: the trainer logged no losses")
    legend = tag(
        "p",
        tag("span", "training loss", class_="key train"),
        tag("span", "validation loss", class_="key validation"),
        class_="legend",
    )
    wide = tag("div", loss_chart(summary, width=920, height=300), class_="wide")
    small = tag("div", loss_chart(summary, width=350, height=230), class_="small")
    return tag("figure", legend, wide, small)


def _checkpoints(report: Report, summary: TrainingSummary) -> list[Markup]:
    """The main metric on the validation rows by checkpoint, drawn and in numbers."""
    found = report.checkpoints
    if not found:
        return []
    name = found[0].metric.name
    title = tag("h3", f"{name} on the validation rows, by checkpoint ({direction(name)})")
    wide = tag("div", metric_chart(found, summary, width=920, height=230), class_="wide")
    small = tag("div", metric_chart(found, summary, width=350, height=210), class_="small")
    numbers = table(
        "Checkpoints on the validation rows",
        ["step", "epoch", "training loss", "validation loss", name, "interval"],
        [_checkpoint_row(item, summary.kept_step) for item in found],
        kind="narrow",
        numeric=frozenset({0, 1, 2, 3, 4, 5}),
    )
    return [title, tag("figure", wide, small), numbers]


def _checkpoint_row(item: CheckpointScore, kept: int) -> list[str]:
    metric = item.metric
    value = (
        value_of(metric.name, metric.value)
        if metric.value is not None
        else muted(undefined(metric))
    )
    return [
        tag("strong", f"{count(item.step)}, kept") if item.step == kept else count(item.step),
        f"{item.epoch:.2f}",
        number(item.loss) if item.loss is not None else muted(DASH),
        number(item.eval_loss) if item.eval_loss is not None else muted(DASH),
        value,
        tag("span", interval_of(metric.name, metric.interval), class_="muted spread"),
    ]


def _has_loss(point: HistoryPoint) -> bool:
    return point.loss is not None or point.eval_loss is not None


def _trained(report: Report, summary: TrainingSummary) -> Markup:
    share = summary.trainable_parameters / (summary.total_parameters or 1)
    parameters = f"{millions(summary.trainable_parameters)} ({percent(share)})"
    resumed = summary.resumed_from_step
    return facts(
        [
            ("method", report.method),
            ("backend", f"{summary.backend} {summary.backend_version}"),
            ("device", f"{summary.device}, {summary.precision}"),
            ("steps", f"{count(summary.steps)} ({summary.epochs:g} epochs)"),
            ("rows", count(summary.rows)),
            ("supervised tokens", f"{count(summary.supervised_tokens)} an epoch"),
            ("trained parameters", parameters),
            ("kept step", count(summary.kept_step)),
            ("stopped early", "yes" if summary.stopped_early else "no"),
            ("continued from", f"step {resumed}" if resumed is not None else "the start"),
            ("norm of the change", number(summary.adapter_norm)),
            ("time", duration(summary.seconds)),
            ("peak of memory", _peak(summary)),
        ]
    )


def _peak(summary: TrainingSummary) -> str:
    peak = summary.peak_memory_bytes
    return NOTHING if peak is None else size(peak)


def _generalisation(report: Report) -> Markup:
    metric = main_metric(report)
    sets = (
        ("train", report.train_scores),
        ("validation", report.validation_scores),
        ("holdout", report.holdout),
        ("holdout, free decoding", report.free),
    )
    rows = [_set_row(name, scores, metric) for name, scores in sets if scores]
    if not rows:
        return absent(why_absent(report, "evaluate"))
    columns = ["rows of", metric, "interval", "rows"]
    caption = f"The tuned model on what it saw and what it never saw, {judged_by(report)}"
    return table(caption, columns, rows, kind="narrow", numeric=frozenset({1, 2, 3}))


def _set_row(name: str, scores: Scores, metric: str) -> list[str]:
    found = find_metric(scores, metric)
    value = value_of(metric, found.value) if found and found.value is not None else undefined(found)
    bounds = interval_of(metric, found.interval if found else None)
    return [name, value, tag("span", bounds, class_="muted spread"), count(scores.rows)]


def stages(report: Report) -> Markup:
    """What ran, what was reused, what was skipped, when and why."""
    ran = [item for item in report.stages if item.status not in _IDLE]
    total = sum(item.seconds for item in ran)
    rows, start = [], 0.0
    for item in report.stages:
        rows.append(_stage_row(item, start, total))
        start += 0.0 if item.status in _IDLE else item.seconds
    columns = ["stage", "status", "time", "", "why", "key"]
    shown = table("Stages in order", columns, rows, kind="stages", numeric=frozenset({2}))
    return section("stages", "Stages", shown, *_costs(report))


def _costs(report: Report) -> list[Markup]:
    """Estimate beside actual."""
    rows = cost_rows(report.costs)
    if not rows:
        return []
    numeric = frozenset(range(1, len(COLUMNS)))
    shown = table("Estimated and taken", list(COLUMNS), rows, kind="narrow", numeric=numeric)
    return [shown, tag("p", basis_line(report.costs), class_="muted")]


_IDLE = (StageStatus.REUSED, StageStatus.SKIPPED)


def _stage_row(item: StageRecord, start: float, total: float) -> list[str]:
    idle = item.status in _IDLE
    told = f"{item.stage} {item.status.value}, {duration(item.seconds)}"
    drawn = Markup("") if idle else period(start, item.seconds, total, kind=item.status, label=told)
    problems = [tag("span", prose(problem), class_="note fail") for problem in item.problems]
    return [
        item.stage,
        tag("span", item.status.value, class_=f"state {item.status.value}"),
        muted(DASH) if idle else duration(item.seconds),
        tag("div", drawn, class_="meter"),
        join([prose(item.reason), *problems]),
        code(item.key[:8]) if item.key else muted(DASH),
    ]
