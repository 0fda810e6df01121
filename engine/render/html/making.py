"""How the model was made: data, training, quantization, and the stages that did it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.evidence import (
    DataFinding,
    DataSummary,
    ExportedFile,
    HistoryPoint,
    Report,
    Scores,
    SplitSummary,
    StageRecord,
    StageStatus,
    TrainingSummary,
)
from engine.render.html.curve import loss_chart
from engine.render.html.markup import Markup, join, tag
from engine.render.html.parts import absent, code, facts, muted, prose, section, spread, table
from engine.render.html.tracks import period, shares
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

_FEW_LABELS = 6
_MOST_FLIPS = 40
_DIGEST = 12
_COMPARED = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "valid_output")


def data(report: Report) -> Markup:
    """What was read, dropped and split, and the proof that the holdout stands apart."""
    summary = report.data
    if summary is None:
        return section("data", "Data", absent(why_absent(report, "data")))
    parts = [_overlap(summary), _splits(summary, report.labels), _dropped(summary)]
    return section("data", "Data", *parts, _findings(summary.findings))


def _overlap(summary: DataSummary) -> Markup:
    holdout = next((split for split in summary.splits if split.name == "holdout"), None)
    rows = count(holdout.rows) if holdout else "the"
    return tag(
        "p",
        tag("strong", f"{summary.overlap_exact} of {rows} holdout rows"),
        " also stand in train or validation word for word, and ",
        tag("strong", str(summary.overlap_near)),
        " nearly so.",
    )


def _splits(summary: DataSummary, labels: tuple[str, ...]) -> Markup:
    few = len(labels) <= _FEW_LABELS
    names = list(labels) if few else ["rows per label"]
    rows = [_split_row(split, labels, few=few) for split in summary.splits]
    columns = ["split", "rows", *names, "balance", "digest"]
    numeric = frozenset(range(1, 2 + len(names)))
    return table("Splits", columns, rows, numeric=numeric)


def _split_row(split: SplitSummary, labels: tuple[str, ...], *, few: bool) -> list[str]:
    counts = [split.labels.get(label, 0) for label in labels]
    told = [count(value) for value in counts]
    if not few:
        told = [f"{min(counts)} to {max(counts)}" if counts else DASH]
    named = ", ".join(f"{label} {value}" for label, value in zip(labels, counts, strict=True))
    balance = tag("div", shares(counts, f"{split.name}: {named}"), class_="meter")
    return [split.name, count(split.rows), *told, balance, code(split.digest[:_DIGEST])]


def _dropped(summary: DataSummary) -> Markup:
    rows = [("rows read", count(summary.rows_read))]
    rows += [(f"not used: {why}", count(rows)) for why, rows in summary.dropped.items()]
    return facts([*rows, ("rows used", count(summary.rows_used))])


def _findings(findings: Sequence[DataFinding]) -> Markup:
    if not findings:
        return Markup("")
    rows = [
        [
            code(item.check),
            item.action,
            count(item.count),
            join([prose(item.message), _places(item)]),
        ]
        for item in findings
    ]
    columns = ["check", "action", "found", "what"]
    return table("Data checks", columns, rows, kind="prose", numeric=frozenset({2}))


def _places(finding: DataFinding) -> Markup:
    if not finding.examples:
        return Markup("")
    items = (tag("li", example) for example in finding.examples)
    return tag("details", tag("summary", "where"), tag("ul", *items))


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
