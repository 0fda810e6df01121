"""How the model was trained: losses and checkpoints."""

import math
from collections.abc import Sequence

from engine.evidence import CheckpointScore, ReplayResult, Report, TrainingSummary
from engine.render import blocks
from engine.render import number_format as write
from engine.render.blocks import above, nice_range
from engine.render.label_tables import absent, estimate, untrained
from engine.render.report.sections import Parts

_WHOSE = {
    True: "The base model wrote it by itself, sampled by seed: nobody has read it.",
    False: "The recipe names where it is.",
}


def replay(report: Report) -> Parts:
    result = report.replay
    if result is None:
        return
    yield "lead", _WHOSE[result.sampled] + untrained(report)
    reached = f"{write.percent(result.reached)}, asked: {write.percent(result.share)}"
    yield blocks.facts(
        ("text", "sampled from the base model" if result.sampled else "given"),
        ("share of learned tokens", reached),
        (
            "learned in an epoch",
            f"{write.count(result.tokens)} tokens of {write.counted(result.texts, 'text')}",
        ),
        ("beside", f"{write.count(result.own_tokens)} tokens of the task's rows"),
        ("sampled" if result.sampled else "read", write.counted(result.read, "text")),
        *((f"left out: {why}", write.count(texts)) for why, texts in result.left_out.items()),
        ("sampling took", write.duration(result.seconds) if result.sampled else ""),
    )
    yield "card", replay_line(result)


def replay_line(result: ReplayResult) -> str:
    whose = "sampled from the base model" if result.sampled else "given"
    texts = write.counted(result.texts, "text")
    return f"replay: {texts} {whose}, {write.percent(result.reached)} of the learned tokens"


def start(report: Report) -> Parts:
    found = report.start
    if found is None:
        return
    yield "lead", report.base_model
    size = write.millions(found.parameters)
    if found.kind == "fewer_layers":
        share = found.parameters / max(1, found.parameters_before)
        before = write.millions(found.parameters_before)
        yield blocks.facts(
            ("layers", f"{len(found.kept)} of {found.of}: {', '.join(map(str, found.kept))}"),
            ("parameters", f"{size} of {before} ({100 * share:.0f} %)"),
        )
    else:
        yield blocks.facts(
            ("parameters", f"{size}, drawn by seed"),
            ("tokenizer", f"{found.vocabulary:,} tokens"),
            ("bytes a token", f"{found.bytes_per_token:.2f} of the training text"),
        )


_MOST_POINTS = 400
_MOST_TICKS = 5


def training(report: Report) -> Parts:
    summary = report.training
    if summary is None:
        yield absent(report, "train")
        return
    yield _losses(summary)
    if report.checkpoints:
        yield from _checkpoints(report.checkpoints, summary)
    share = summary.trainable_parameters / (summary.total_parameters or 1)
    kept, resumed, peak = summary.kept_loss, summary.resumed_from_step, summary.peak_memory_bytes
    loss = "" if kept is None else f" (validation loss {write.number(kept)})"
    repeated = ""
    if twice := summary.repeated_rows:
        repeated = f"; {write.count(twice)} {'was' if twice == 1 else 'were'} seen twice an epoch"
    batches = ""
    if sharing := summary.shared_prefix:
        batches = f"plain: {sharing.reason}"
        if sharing.used:
            batches = (
                "rows share the tokens that they begin with; loss and gradients differ from plain batches "
                f"by {sharing.difference or 0.0:.1e}"
            )
    yield blocks.facts(
        ("method", report.method),
        ("backend", f"{summary.backend} {summary.backend_version}"),
        ("device", f"{summary.device}, {summary.precision}"),
        ("processes", f"{summary.processes}, together" if summary.processes else ""),
        ("steps", f"{write.count(summary.steps)} ({write.epochs(summary.epochs)})"),
        ("rows", f"{write.count(summary.rows)}{packed(summary)}{repeated}"),
        ("supervised tokens", f"{write.count(summary.supervised_tokens)} an epoch"),
        ("batches", batches),
        (
            "trained parameters",
            f"{write.millions(summary.trainable_parameters)} ({write.percent(share)})",
        ),
        ("kept step", f"{write.count(summary.kept_step)}{loss}"),
        ("stopped early", "yes" if summary.stopped_early else "no"),
        ("continued from", f"step {resumed}" if resumed is not None else "the start"),
        ("norm of the change", write.number(summary.adapter_norm)),
        ("time", write.duration(summary.seconds)),
        ("peak of memory", write.NOTHING if peak is None else write.size(peak)),
    )


def _losses(summary: TrainingSummary) -> blocks.Block:
    train = [(p.step, p.loss) for p in summary.history if p.loss is not None]
    validation = [(p.step, p.eval_loss) for p in summary.history if p.eval_loss is not None]
    if not (train or validation):
        return blocks.Absent("not computed: the trainer logged no losses")
    label = f"Loss over {summary.steps} steps"
    for name, points in (("training", train), ("validation", validation)):
        if points:
            label += f", {name} from {points[0][1]:.3f} to {points[-1][1]:.3f}"
    curves = (
        blocks.Curve(points=tuple(thinned(train)), kind="train"),
        blocks.Curve(points=tuple(validation)),
    )
    legend = (("training loss", "train"), ("validation loss", "validation"))
    span = above([loss for curve in curves for loss in curve.heights])
    return _by_step(summary, curves, span, label, legend=legend)


def _by_step(
    summary: TrainingSummary,
    curves: tuple[blocks.Curve, ...],
    span: tuple[float, float],
    label: str,
    *,
    legend: tuple[tuple[str, str], ...] = (),
) -> blocks.LineChart:
    last = max([summary.steps, *(point.step for point in summary.history)]) or 1
    # the round number of steps between ticks that gives six of them at most
    unit = 10 ** int(math.log10(last))
    strides = (1, unit // 10, unit // 5, unit // 2, unit, 2 * unit, 5 * unit)
    stride = next(one for one in strides if one and last / one <= _MOST_TICKS)
    return blocks.LineChart(
        label=f"{label}; step {summary.kept_step} kept",
        curves=curves,
        end=last,
        span=span,
        ticks=tuple((step, str(step)) for step in range(0, last + 1, stride)),
        across="step",
        mark=(summary.kept_step, f"kept: step {summary.kept_step}"),
        legend=legend,
    )


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most 400 points, each the mean of as many neighbours as that takes."""
    step = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[at : at + step] for at in range(0, len(points), step)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def _checkpoints(items: Sequence[CheckpointScore], summary: TrainingSummary) -> Parts:
    name = items[0].metric.name
    curve = blocks.measured_curve((item.step, item.metric) for item in items)
    texts = (f"step {item.step} {write.value_of(name, item.metric.value)}" for item in items)
    label = f"{name} on validation by checkpoint: {', '.join(texts)}"
    rows: list[tuple[blocks.Cell, ...]] = []
    for item in items:
        step: blocks.Cell = write.count(item.step)
        if item.step == summary.kept_step:
            step = blocks.Strong(f"{step}, kept")
        losses = (write.known(item.loss), write.known(item.eval_loss))
        rows.append((step, f"{item.epoch:.2f}", *losses, estimate(item.metric)))
    columns = (
        ">step | >epoch | >training loss | >validation loss",
        blocks.Column(blocks.Code(name), "number"),
    )
    yield blocks.Heading(f"{name} on the validation rows, by checkpoint ({write.direction(name)})")
    yield _by_step(summary, (curve,), nice_range(curve.heights), label)
    yield blocks.table("Checkpoints on the validation rows", columns, rows, "narrow")


def packed(summary: TrainingSummary) -> str:
    """Say what stood in the rows, where a long document makes several blocks; empty where none were packed."""
    if summary.packed_documents is None:
        return ""
    padding = write.percent(summary.padding or 0.0)
    return f", packed from {write.count(summary.packed_documents)} blocks of documents, {padding} padding"
