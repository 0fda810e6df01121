"""How the model was trained: losses and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from engine.evidence import (
    CheckpointScore,
    PrefixSharing,
    ReplayResult,
    Report,
    StartSummary,
    TrainingSummary,
)
from engine.render import blocks
from engine.render.blocks import Cell, Facts, Section, above, nice_range
from engine.render.labels import absent, estimate, untrained
from engine.render.number_format import (
    DASH,
    NOTHING,
    count,
    counted,
    direction,
    duration,
    epochs,
    millions,
    number,
    percent,
    size,
    value_of,
)
from engine.render.report.sections import report_section

_LEAD = (
    "General text is trained on with the rows, so that less of what the base model knew is forgotten. It is no row of "
    "the task and judges nothing. "
)
_WHOSE = {
    True: "The base model wrote it by itself, sampled by seed: nobody has read it.",
    False: "The recipe names where it stands.",
}


@report_section("replay", at=87)
def replay(report: Report) -> blocks.Section | None:
    result = report.replay
    if result is None:
        return None
    facts: list[tuple[str, blocks.Cell]] = [
        ("text", "sampled from the base model" if result.sampled else "given"),
        ("share of learned tokens", f"{percent(result.reached)}, asked: {percent(result.share)}"),
        (
            "learned in an epoch",
            f"{count(result.tokens)} tokens of {counted(result.texts, 'text')}",
        ),
        ("beside", f"{count(result.own_tokens)} tokens of the task's rows"),
        ("sampled" if result.sampled else "read", counted(result.read, "text")),
    ]
    facts += [(f"left out: {why}", count(texts)) for why, texts in result.left_out.items()]
    facts += [("sampling took", duration(result.seconds))] if result.sampled else []
    return blocks.Section(
        title="Replay",
        lead=_LEAD + _WHOSE[result.sampled] + untrained(report),
        blocks=(blocks.Facts(tuple(facts)),),
        card=(replay_line(result),),
    )


def replay_line(result: ReplayResult) -> str:
    whose = "sampled from the base model" if result.sampled else "given"
    texts = counted(result.texts, "text")
    return f"replay: {texts} {whose}, {percent(result.reached)} of the learned tokens"


@report_section("start", at=85)
def start(report: Report) -> Section | None:
    found = report.start
    if found is None:
        return None
    facts = _of_layers(found) if found.kind == "fewer_layers" else _of_blank(found)
    blocks = (Facts(tuple(facts)),)
    return Section(title="Where the model came from", lead=report.base_model, blocks=blocks)


def _of_layers(found: StartSummary) -> Iterator[tuple[str, Cell]]:
    share = found.parameters / max(1, found.parameters_before)
    left, whole = millions(found.parameters), millions(found.parameters_before)
    yield "layers", f"{len(found.kept)} of {found.of}: {', '.join(map(str, found.kept))}"
    yield "parameters", f"{left} of {whole} ({100 * share:.0f} %)"


def _of_blank(found: StartSummary) -> Iterator[tuple[str, Cell]]:
    yield "parameters", f"{millions(found.parameters)}, drawn by seed"
    yield "tokenizer", f"{found.vocabulary:,} tokens"
    yield "bytes a token", f"{found.bytes_per_token:.2f} of the training text"


_MOST_POINTS = 400
_MOST_TICKS = 5


@report_section("training", at=90)
def training(report: Report) -> blocks.Section:
    summary = report.training
    if summary is None:
        return blocks.Section(title="Training", blocks=(absent(report, "train"),))
    checkpoints = _checkpoints(report.checkpoints, summary)
    facts = blocks.Facts(_facts(report, summary))
    return blocks.Section(title="Training", blocks=(_losses(summary), *checkpoints, facts))


def _losses(summary: TrainingSummary) -> blocks.Block:
    train = [(p.step, p.loss) for p in summary.history if p.loss is not None]
    validation = [(p.step, p.eval_loss) for p in summary.history if p.eval_loss is not None]
    if not (train or validation):
        return blocks.Absent("not computed: the trainer logged no losses")
    thin = blocks.Curve(points=tuple(thinned(train)), kind="train")
    curves = (thin, blocks.Curve(points=tuple(validation)))
    legend = (("training loss", "train"), ("validation loss", "validation"))
    span = above([loss for curve in curves for loss in curve.heights])
    return _by_step(summary, curves, span=span, label=_loss_label(summary), legend=legend)


def _by_step(
    summary: TrainingSummary,
    curves: tuple[blocks.Curve, ...],
    *,
    span: tuple[float, float],
    label: str,
    legend: tuple[tuple[str, str], ...] = (),
) -> blocks.LineChart:
    last = max([summary.steps, *(point.step for point in summary.history)]) or 1
    return blocks.LineChart(
        label=label,
        curves=curves,
        end=last,
        span=span,
        ticks=tuple((step, str(step)) for step in range(0, last + 1, _stride(last))),
        across="step",
        mark=(summary.kept_step, f"kept: step {summary.kept_step}"),
        legend=legend,
    )


def _loss_label(summary: TrainingSummary) -> str:
    parts = [f"Loss over {summary.steps} steps"]
    for name, losses in (
        ("training", [point.loss for point in summary.history]),
        ("validation", [point.eval_loss for point in summary.history]),
    ):
        if known := [loss for loss in losses if loss is not None]:
            parts.append(f"{name} from {known[0]:.3f} to {known[-1]:.3f}")
    return ", ".join(parts) + f"; step {summary.kept_step} kept"


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most 400 points, each the mean of as many neighbours as that takes."""
    step = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[at : at + step] for at in range(0, len(points), step)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def _stride(steps: int) -> int:
    """The round number of steps between ticks that gives six of them at most."""
    unit = 10 ** int(math.log10(steps))
    strides = (1, unit // 10, unit // 5, unit // 2, unit, 2 * unit, 5 * unit)
    return next(stride for stride in strides if stride and steps / stride <= _MOST_TICKS)


def _checkpoints(items: Sequence[CheckpointScore], summary: TrainingSummary) -> list[blocks.Block]:
    if not items:
        return []
    name = items[0].metric.name
    curve = blocks.measured_curve((item.step, item.metric) for item in items)
    texts = (f"step {item.step} {value_of(name, item.metric.value)}" for item in items)
    chart = _by_step(
        summary,
        (curve,),
        span=nice_range(curve.heights),
        label=f"{name} on validation by checkpoint: {', '.join(texts)}; step {summary.kept_step} kept",
    )
    main = blocks.Column(blocks.Code(name), "number")
    columns = blocks.columns_of(">step | >epoch | >training loss | >validation loss", main)
    rows = (_checkpoint_row(item, summary.kept_step) for item in items)
    numbers = blocks.table("Checkpoints on the validation rows", columns, rows, "narrow")
    title = f"{name} on the validation rows, by checkpoint ({direction(name)})"
    return [blocks.Heading(title), chart, numbers]


def _checkpoint_row(item: CheckpointScore, kept: int) -> list[blocks.Cell]:
    return [
        blocks.Strong(f"{count(item.step)}, kept") if item.step == kept else count(item.step),
        f"{item.epoch:.2f}",
        number(item.loss) if item.loss is not None else DASH,
        number(item.eval_loss) if item.eval_loss is not None else DASH,
        estimate(item.metric),
    ]


def _facts(report: Report, summary: TrainingSummary) -> tuple[tuple[str, blocks.Cell], ...]:
    share = summary.trainable_parameters / (summary.total_parameters or 1)
    kept, resumed, peak = summary.kept_loss, summary.resumed_from_step, summary.peak_memory_bytes
    loss = "" if kept is None else f" (validation loss {number(kept)})"
    return (
        ("method", report.method),
        ("backend", f"{summary.backend} {summary.backend_version}"),
        ("device", f"{summary.device}, {summary.precision}"),
        *([("processes", f"{summary.processes}, together")] if summary.processes else []),
        ("steps", f"{count(summary.steps)} ({epochs(summary.epochs)})"),
        ("rows", f"{count(summary.rows)}{packed(summary)}{_repeated(summary)}"),
        ("supervised tokens", f"{count(summary.supervised_tokens)} an epoch"),
        *([("batches", _batches(summary.shared_prefix))] if summary.shared_prefix else []),
        ("trained parameters", f"{millions(summary.trainable_parameters)} ({percent(share)})"),
        ("kept step", f"{count(summary.kept_step)}{loss}"),
        ("stopped early", "yes" if summary.stopped_early else "no"),
        ("continued from", f"step {resumed}" if resumed is not None else "the start"),
        ("norm of the change", number(summary.adapter_norm)),
        ("time", duration(summary.seconds)),
        ("peak of memory", NOTHING if peak is None else size(peak)),
    )


def _repeated(summary: TrainingSummary) -> str:
    """Say how many rows filled the last batch of several processes; empty for none."""
    repeated = summary.repeated_rows
    if not repeated:
        return ""
    return f"; {count(repeated)} {'was' if repeated == 1 else 'were'} seen twice an epoch"


def packed(summary: TrainingSummary) -> str:
    """Say what stood in the rows, where a long document makes several blocks; empty where none were packed."""
    if summary.packed_documents is None:
        return ""
    padding = percent(summary.padding or 0.0)
    return f", packed from {count(summary.packed_documents)} blocks of documents, {padding} padding"


def _batches(sharing: PrefixSharing) -> str:
    if not sharing.used:
        return f"plain: {sharing.reason}"
    return (
        "rows share the tokens that they begin with; loss and gradients differ from plain batches "
        f"by {sharing.difference or 0.0:.1e}"
    )
