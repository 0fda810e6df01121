"""Whether seconds, memory, sizes and counts of a report follow from each other, and what of it nothing else denies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.backends.base import steps_of
from engine.bundle.contents import Contents
from engine.bundle.scores import by_name, same, unequal
from engine.estimate.actuals import error_of
from engine.evidence import Repeat, Report, StageStatus, TrainingSummary
from engine.recipe.model import Recipe

RECOMPUTED: Final = (
    "verdicts and bounds from the recipe; scores of labels from their confusion matrices; answers and numbers of the "
    "holdout from the lock; config and digest from the recipe; digests of files at hand; pages from the report"
)
"""What a bundle is held to, for people."""
STATED: Final[Mapping[str, tuple[str, ...]]] = {
    "when the run was made and how long each part took": (
        "started", "seconds", "run_directory", "stages.[].key", "stages.[].reason", "stages.[].seconds",
        "baselines.[].seconds", "training.seconds", "training.cpu_seconds", "costs.[].seconds",
    ),
    "memory, disk, confinement and sizes of files that are not at hand, and what was estimated": (
        "training.peak_memory_bytes", "costs.[].basis", "costs.[].estimated", "costs.[].estimated_seconds",
        "costs.[].estimated_memory_bytes", "costs.[].memory_bytes", "costs.[].estimated_disk_bytes",
        "costs.[].disk_bytes", "files.[].bytes", "files.[].bits_per_weight", "files.[].fallback_tensors",
        "files.[].tensors", "files.[].format", "environment.threads", "environment.memory", "environment.bfloat16",
        "environment.confined",
        "quantized.metrics.[].value", "quantized.metrics.[].n",
    ),
    "losses, parameters and checkpoints of the training": (
        "training.epochs", "training.supervised_tokens", "training.trainable_parameters",
        "training.total_parameters", "training.stopped_early", "training.adapter_norm", "training.history.*",
        "training.shared_prefix.*", "training.padding", "checkpoints.*",
    ),
    "intervals by resampling to a quarter of their width, and what the scores leave open of comparisons": (
        "*.interval.low", "*.interval.high", "comparisons.[].interval.method", "comparisons.[].p_value",
        "comparisons.[].test", "gate.checks.[].p_value", "gate.checks.[].p_adjusted", "checkpoints.[].metric.*",
    ),
    "counts of what the checks of rows found, and lengths of rows": (
        "data.splits.[].replaced", "data.findings.*", "data.sources.[].shape", "data.firewall.compared",
        "data.firewall.removed", "lengths.*", "holdout_use.looks",
    ),
    "temperatures, what they make of probabilities, and how a threshold was chosen": (
        "calibrated.*",
    ),
    "learning curves, shifts, diagnosis, warnings, notes and versions that the lock does not name": (
        "stages.[].problems", "warnings",
        "learning_curves.*", "ladder.[].mean_shift", "ladder.[].largest_shift", "*.note", "*.undefined",
        "notes", "power", "diagnosis.*", "versions.*",
    ),
    "digests of what is not in the bundle: rows and answers, sources, base model, adapter, predictions": (
        "lock.splits.*.digest", "lock.splits.*.members", "lock.splits.*.left_out", "lock.unused",
        "lock.accepted.fingerprints", "lock.accepted.answers.entries", "data.splits.[].digest",
        "holdout_use.digest", "holdout_use.redraws", "lock.holdout.redraws", "lock.inputs",
        "lock.holdout.looks", "lock.accepted.sources.[].sha256", "lock.accepted.base_model.files.*",
        "lock.accepted.predictions.*", "lock.accepted.adapter.*",
    ),
}  # fmt: skip
"""What only the signer states, by words for people: paths of report and lock (`[]` an item, `*` anything)."""
_SLACK: Final = 0.01
"""Of the seconds of a run, which are rounded and measured around its stages."""


def quantity_problems(found: Contents) -> Iterator[str]:
    """Yield the quantities that another one of the same report, or the recipe, denies."""
    report = found.report
    seconds = [one.seconds for one in report.stages if one.status is StageStatus.RAN]
    if any(one < 0 for one in (*seconds, report.seconds)):
        yield "a stage took less than no time"
    if sum(seconds) > report.seconds * (1 + _SLACK) + 1:
        yield f"the stages took {sum(seconds):.1f} s, the whole run {report.seconds:.1f} s"
    yield from _costs(report)
    yield from _files(report)
    for one in report.comparisons:
        metric = by_name(report.holdout).get(one.metric)
        if metric is not None:
            text = "{name} stands on {} rows, the scores of the holdout on {}"
            yield from unequal((one.n, metric.n, text), name=f"the comparison with {one.name}")
        if one.p_value is not None and not 0 <= one.p_value <= 1:
            yield f"the comparison with {one.name} has the p-value {one.p_value:g}"
    if report.training is not None:
        yield from _training(report.training, found)


def _costs(report: Report) -> Iterator[str]:
    """Yield where what a stage took is not what its record says, or an error not that of its estimate."""
    records = {one.stage: one for one in report.stages}
    peak = report.training.peak_memory_bytes if report.training else None
    for one in report.costs:
        record = records.get(one.stage)
        taken = record.seconds if record else one.seconds
        errors = (
            ("seconds", one.estimated_seconds, one.seconds, one.seconds_error),
            ("memory", one.estimated_memory_bytes, one.memory_bytes, one.memory_error),
            ("disk", one.estimated_disk_bytes, one.disk_bytes, one.disk_error),
        )
        yield from unequal((one.seconds, taken, "{name} took {} s, its stage {} s"), name=one.stage)
        if one.stage == "train" and one.memory_bytes is not None and peak is not None:
            text = "the training took {} bytes of memory, its own record says {}"
            yield from unequal((one.memory_bytes, peak, text))
        for what, estimate, actual, error in errors:
            right = error_of(estimate, actual)
            # an estimate is rounded where it is shown, and its error was taken before
            near = 0.01 + abs(right or 0) * 0.05
            if (error is None) is not (right is None) or abs((error or 0) - (right or 0)) > near:
                yield f"{one.stage}: the error of its {what} is {error}, estimate and actual give {right}"


def _files(report: Report) -> Iterator[str]:
    metric = by_name(report.quantized).get("file_megabytes")
    size = sum(one.bytes for one in report.files if one.name.endswith(".gguf"))
    if metric is not None and metric.value is not None and not same(metric.value, size / 1e6):
        yield f"the GGUF file has {size / 1e6:g} MB, the scores of the file say {metric.value:g}"


def _training(training: TrainingSummary, found: Contents) -> Iterator[str]:
    report, recipe = found.report, found.recipe
    lengths = next((one for one in report.lengths if one.split == "train"), None)
    if lengths is not None and _counts_rows(training, recipe):
        left = lengths.left_out + lengths.left_out_marked
        yield from unequal(
            (training.rows_left_out or 0, left, "{} rows were left out of the training, {} by their lengths"),
            (training.rows_cut or 0, lengths.cut, "{} rows of the training were cut, {} by their lengths"),
        )  # fmt: skip
        if not training.stopped_early and recipe.method.tokens is None:
            text = "the training took {} steps, the recipe gives {}"
            yield from unequal((training.steps, steps_of(recipe, training.rows), text))
    if any(point.epoch > training.epochs * (1 + _SLACK) + _SLACK for point in training.history):
        yield f"an epoch of the training is beyond its {training.epochs:g}"
    repeated = found.report.reproduction
    trained = [one for one in found.report.stages if one.stage == "train"]
    is_one = repeated is None or repeated.verdict is Repeat.EXACT
    ran = bool(trained) and all(one.status is StageStatus.RAN for one in trained)
    if is_one and ran and not found.accepted.trainer:
        # drivers and PyTorch may name a graphics card in two ways
        if report.environment.get("kind") == "cpu":
            facts = (training.device, report.environment.get("device", training.device))
            yield from unequal((*facts, "it was trained on `{}`, the machine is `{}`"))
        version = report.versions.get(training.backend, training.backend_version)
        text = "it was trained by version {} of its backend, installed is {}"
        yield from unequal((training.backend_version, version, text))


def _counts_rows(training: TrainingSummary, recipe: Recipe) -> bool:
    added = (recipe.teacher, recipe.data.synthesize, recipe.data.replay, recipe.sweep)
    is_plain = recipe.task.spec.has_labels and not recipe.splits.folds
    return is_plain and not any(added) and training.packed_documents is None
