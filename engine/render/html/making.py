"""How the model was made: data, training, quantization, and the stages that did it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.evidence import (
    ExportedFile,
    HistoryPoint,
    Report,
    Scores,
    StageRecord,
    StageStatus,
    TrainingSummary,
)
from engine.render.html.curve import loss_chart
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, facts, muted, prose, section, spread, table
from engine.render.html.tracks import period
from engine.render.html.verdict import check_table, methods
from engine.render.quantities import (
    DASH,
    count,
    duration,
    millions,
    number,
    percent,
    size,
)
from engine.render.wording import find_metric, main_metric, undefined, why_absent

_MOST_FLIPS = 40
_COMPARED = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "valid_output")


def training(report: Report) -> Markup:
    """The loss curves, what was trained, and how train, validation and holdout compare."""
    summary = report.training
    if summary is None:
        return section("training", "Training", absent(why_absent(report, "train")))
    parts = [_curves(summary), _trained(report, summary), _generalisation(report)]
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
        ]
    )


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
    columns = ["rows of", metric, "interval", "valid output", "rows"]
    caption = "The tuned model on what it saw and what it never saw"
    return table(caption, columns, rows, kind="narrow", numeric=frozenset({1, 2, 3, 4}))


def _set_row(name: str, scores: Scores, metric: str) -> list[str]:
    found, valid = find_metric(scores, metric), find_metric(scores, "valid_output")
    value = number(found.value) if found and found.value is not None else undefined(found)
    shown = number(valid.value) if valid else DASH
    return [
        name,
        value,
        spread(found.interval if found else None),
        shown,
        count(scores.rows),
    ]


def quantization(report: Report) -> Markup:
    """The files that leave, the quantized file judged again, and the rows it changed."""
    files = _files(report.files) if report.files else absent(why_absent(report, "quantize"))
    if report.verify is None:
        verdict = absent(why_absent(report, "verify"))
        return section("quantization", "Quantization", files, verdict)
    table_ = check_table(report.verify, "Checks on the quantized file, run with llama.cpp")
    parts = [files, table_, methods(report.verify.checks), _compared(report), _flips(report)]
    lead = "The file that leaves is judged again: same rows, the runtime it is made for."
    return section("quantization", "Quantization", *parts, lead=lead)


def _files(files: Sequence[ExportedFile]) -> Markup:
    rows = [
        [
            code(file.name),
            file.format,
            size(file.bytes),
            f"{file.bits_per_weight:.2f}" if file.bits_per_weight is not None else DASH,
            f"{file.fallback_tensors} of {file.tensors}" if file.tensors else DASH,
            tag("code", file.sha256, class_="digest"),
        ]
        for file in files
    ]
    columns = ["file", "format", "size", "bits a weight", "tensors that fell back", "sha256"]
    return table("Files", columns, rows, numeric=frozenset({2, 3, 4}))


def _compared(report: Report) -> Markup:
    if report.quantized is None or report.holdout is None:
        return Markup("")
    rows = []
    for name in _COMPARED:
        before, after = find_metric(report.holdout, name), find_metric(report.quantized, name)
        if before is None or after is None or before.value is None or after.value is None:
            continue
        change = number(after.value - before.value, signed=True)
        rows.append([code(name), number(before.value), number(after.value), change])
    columns = ["metric", "tuned", "quantized", "change"]
    caption = "Before and after quantization, on the holdout"
    return table(caption, columns, rows, kind="narrow", numeric=frozenset({1, 2, 3}))


def _flips(report: Report) -> Markup:
    if not report.flips:
        return tag("p", "Quantization changed no row's label.", class_="fine")
    rows = [
        [
            code(_label(flip["id"])),
            code(_label(flip["target"])),
            _label(flip["merged"]),
            _label(flip["quantized"]),
            _effect(flip),
        ]
        for flip in report.flips[:_MOST_FLIPS]
    ]
    more = len(report.flips) - len(rows)
    caption = "Rows whose label quantization changed"
    caption += f" (the first {len(rows)}; {more} more in report.json)" if more else ""
    columns = ["row", "true", "merged", "quantized", "effect"]
    return table(caption, columns, rows, kind="narrow")


def _label(value: object) -> str:
    return "invalid output" if value is None else str(value)


def _effect(flip: dict[str, Any]) -> str:
    if flip["quantized"] == flip["target"]:
        return "corrected"
    return "lost" if flip["merged"] == flip["target"] else "wrong either way"


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
    return section("stages", "Stages", shown)


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
