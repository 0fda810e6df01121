"""Whether a report says the same of its run in all of its parts: training, rows, checkpoints, ladder, machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.bundle.contents import Contents
from engine.bundle.scores import NEAR, same, unequal
from engine.evidence import DataSummary, Interval, Report, StageStatus
from engine.lock.hardware import RANKS
from engine.metrics.intervals import wilson
from engine.pipeline.report import accepted_steps, accepted_summary
from engine.recipe.model import Recipe


def report_problems(found: Contents) -> Iterator[str]:
    """Yield the facts of a report that others of it, its recipe or its lock deny."""
    report, recipe = found.report, found.recipe
    if report.data is not None:
        yield from _asked(report.data, recipe)
    yield from _training(report, recipe)
    yield from _checkpoints(report)
    yield from _ladder(report, recipe)
    yield from _intervals(report, recipe)
    yield from _machine(found)
    yield from _costs(report)
    if found.is_of_this_version:
        yield from _own_words(found)


def _asked(data: DataSummary, recipe: Recipe) -> Iterator[str]:
    """Yield where the data stage was asked something else than the recipe says."""
    for split in data.splits:
        wanted = getattr(recipe.splits, split.name, None)
        if (
            isinstance(wanted, int)
            and not isinstance(wanted, bool)
            and wanted
            and split.asked is not None
        ):
            text = "{name} was asked for {} rows, the recipe asks for {}"
            yield from unequal((split.asked, wanted, text), name=split.name)
    for finding in data.findings:
        action = getattr(recipe.data.checks, finding.check, None)
        if action is None and finding.check != "splits":
            yield f"a finding is of `{finding.check}`, which is no check"
        elif action is not None and finding.action != action:
            yield f"the finding of {finding.check} says `{finding.action}`, the recipe `{action}`"
    if len(data.sources) == len(recipe.data.sources):
        for one, source in zip(data.sources, recipe.data.sources, strict=True):
            facts = (
                (one.weight, source.weight, "{name} has the weight {}, the recipe says {}"),
                (one.into, source.into, "{name} goes into `{}`, the recipe says `{}`"),
            )
            yield from unequal(*facts, name="a source")


def _training(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the training was made with other tools, or of other rows, than the rest says."""
    training = report.training
    if training is None:
        return
    yield from unequal(
        (training.backend, recipe.backend.name, "it was trained by `{}`, the recipe says `{}`")
    )
    steps = [point.step for point in training.history]
    if any(step > training.steps for step in (*steps, training.kept_step)):
        yield f"a step of the training is beyond its {training.steps} steps"
    if not recipe.sweep:
        for one in report.lengths:
            text = "{name} was cut at {} tokens, the recipe says {}"
            yield from unequal((one.max_length, recipe.method.max_length, text), name=one.split)
    seen = {split.name: split.seen for split in report.data.splits} if report.data else {}
    for one in report.lengths:
        # documents count by their blocks, and a teacher adds rows
        if not recipe.task.spec.has_labels or recipe.teacher is not None or recipe.splits.folds:
            continue
        if one.used + one.left_out + one.left_out_marked != one.given:
            yield f"{one.used} rows of {one.split} were used of {one.given}"
        yield from unequal(
            (one.given, seen.get(one.split), "{name} gave {} rows, the data has {}"), name=one.split
        )
        if one.split == "train" and one.used != training.rows and training.packed_documents is None:
            yield f"it was trained on {training.rows} rows, {one.used} were used"


def _checkpoints(report: Report) -> Iterator[str]:
    """Yield the checkpoints that the training does not have, or that were judged on other rows."""
    training = report.training
    if training is None or not report.checkpoints:
        return
    losses = {
        point.step: point.eval_loss for point in training.history if point.eval_loss is not None
    }
    kept = [one.step for one in report.checkpoints]
    if training.kept_step not in kept:
        yield f"the checkpoint of step {training.kept_step} was kept, and none is of that step"
    if len(set(kept)) != len(kept) or any(step > training.steps for step in kept):
        yield "a checkpoint stands twice, or is beyond the training"
    rows = report.validation_scores.rows if report.validation_scores else None
    for one in report.checkpoints:
        if one.step in losses and not same(one.eval_loss, losses[one.step]):
            yield f"the checkpoint of step {one.step} has the loss {one.eval_loss}, the training {losses[one.step]}"
        if rows is not None and one.metric.n != rows:
            yield f"the checkpoint of step {one.step} was judged on {one.metric.n} of {rows} rows"


def _ladder(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield the agreements whose interval is not that of their rows."""
    if recipe.splits.by == "group":  # whole groups are drawn then
        return
    for rung in report.ladder:
        found = rung.agreement
        if found is None or found.value is None:
            continue
        right = wilson(
            round(found.value * found.n), found.n, confidence=recipe.acceptance.confidence
        )
        if found.name != "agreement" or not _alike(found.interval, right):
            yield f"rung {rung.name}: the interval of its agreement is not that of {found.n} rows"


def _alike(one: Interval | None, right: Interval | None) -> bool:
    if one is None or right is None:
        return one is right
    ends = ("low", "high", "confidence")
    is_near = all(same(getattr(one, part), getattr(right, part)) for part in ends)
    return is_near and one.method == right.method


def _intervals(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield the intervals of another confidence than the recipe's, and values outside of theirs."""
    metrics = [
        (f"checkpoint {one.step}", one.metric.value, one.metric.interval)
        for one in report.checkpoints
    ]
    metrics += [(f"{one.metric} over {one.name}", None, one.interval) for one in report.comparisons]
    for name, value, interval in metrics:
        if interval is None:
            continue
        if abs(interval.confidence - recipe.acceptance.confidence) > NEAR:
            yield f"{name}: its interval is one of {interval.confidence:g}"
        if not interval.low <= interval.high:
            yield f"{name}: the ends of its interval are exchanged"
        if value is not None and not interval.low - NEAR <= value <= interval.high + NEAR:
            yield f"{name} is {value:g}, outside of its interval"


def _machine(found: Contents) -> Iterator[str]:
    """Yield where the lock names another machine than the report of the run that wrote it."""
    report, locked = found.report, found.accepted.hardware
    trained = [one for one in report.stages if one.stage == "train"]
    if report.reproduction is not None or any(one.status is not StageStatus.RAN for one in trained):
        return
    platform = f"{locked.get('system')} {locked.get('machine')}"
    shown = report.environment.get("platform", platform)
    if {"system", "machine"} <= locked.keys() and shown != platform:
        yield f"the machine is `{shown}` in the report, `{platform}` in the lock"
    together = locked.get(RANKS, {})
    processes = together.get("processes", 1) if isinstance(together, Mapping) else together
    if report.training is not None and (report.training.processes or 1) != processes:
        yield (
            f"{report.training.processes or 1} processes trained together in the report, {processes} in the lock"
        )


def _costs(report: Report) -> Iterator[str]:
    stages = {one.stage for one in report.stages}
    for one in report.costs:
        if one.stage not in stages:
            yield f"a cost is of `{one.stage}`, which is no stage of the run"


def _own_words(found: Contents) -> Iterator[str]:
    """Yield what this very version says in other words."""
    report, recipe = found.report, found.recipe
    yield from unequal(
        (report.summary, accepted_summary(recipe), "the summary is `{}`, it should be `{}`"),
        (report.next_steps, accepted_steps(recipe), "the next steps are {}, they should be {}"),
    )
