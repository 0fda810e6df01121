"""Planted trainings: losses, scores and checkpoints of a model that learned too little, too much or enough."""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.evidence import (
    BaselineResult,
    CheckpointScore,
    DataFinding,
    DataSummary,
    Diagnosis,
    HistoryPoint,
    Interval,
    Metric,
    Scores,
    TrainingSummary,
)
from engine.metrics.diagnosis import diagnose
from engine.metrics.trained_case import TrainedEvidence
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.paths import EXAMPLES

REACH = 0.04
"""Of every interval, to each side."""


def recipe(name: str = "minimal", **method: Any) -> Recipe:
    """Return a valid recipe; of its method everything that edits touch is stated."""
    found, _ = load_recipe(EXAMPLES / "valid" / f"{name}.yaml")
    stated: dict[str, Any] = {
        "epochs": 5.0,
        "min_steps": None,
        "max_steps": None,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "micro_batch_size": 8,
        "rank": 16,
        "alpha": 32,
        "keep": "best",
        "early_stopping": None,
    }
    return replace(found, method=replace(found.method, **(stated | method)))


def metric(value: float | None, name: str = "macro_f1", *, reach: float = REACH) -> Metric:
    if value is None:
        return Metric(name=name, value=None, n=0, undefined="no rows of `bug`")
    ends = Interval(
        low=max(0.0, value - reach), high=value + reach, confidence=0.95, method="bootstrap"
    )
    return Metric(name=name, value=value, n=200, interval=ends)


def scores(value: float | None, *, rows: int = 200, name: str = "macro_f1") -> Scores:
    return Scores(
        rows=rows,
        metrics=(metric(value, name), metric(value, "accuracy")),
        classes=(),
        confusion=(),
    )


def history(losses: Sequence[float], validation: Sequence[float] = ()) -> tuple[HistoryPoint, ...]:
    """Return losses one a step, and validation losses spread evenly over the same steps."""
    return tuple(_points(losses, validation))


def _points(losses: Sequence[float], validation: Sequence[float]) -> Iterator[HistoryPoint]:
    every = len(losses) // len(validation) if validation else 0
    for step, loss in enumerate(losses, start=1):
        yield HistoryPoint(step=step, epoch=step / 50, loss=loss)
        if every and step % every == 0 and step // every <= len(validation):
            yield HistoryPoint(step=step, epoch=step / 50, eval_loss=validation[step // every - 1])


def falling(start: float, end: float, steps: int = 250) -> list[float]:
    """Return losses on a straight line."""
    return [start + (end - start) * at / (steps - 1) for at in range(steps)]


def levelling(start: float, end: float, steps: int = 250) -> list[float]:
    """Return losses that fall in the first fifth of the steps, and then no more."""
    return [*falling(start, end, steps // 5), *[end] * (steps - steps // 5)]


def training(losses: Sequence[float], validation: Sequence[float] = (), **changes: Any) -> Any:
    """Return a summary of a training of 400 rows in batches of 8, and of as many steps as there are losses."""
    steps = len(losses)
    values: dict[str, Any] = {
        "backend": "trl",
        "backend_version": "1",
        "device": "cpu",
        "precision": "fp32",
        "steps": steps,
        "epochs": steps / 50,
        "seconds": 1.0,
        "rows": 400,
        "supervised_tokens": 800,
        "trainable_parameters": 1000,
        "total_parameters": 135_000_000,
        "kept_step": steps,
        "stopped_early": False,
        "resumed_from_step": None,
        "adapter_norm": 1.0,
        "history": history(losses, validation),
    }
    return TrainingSummary(**(values | changes))


def checkpoint(step: int, value: float, *, name: str = "macro_f1") -> CheckpointScore:
    return CheckpointScore(
        step=step, epoch=step / 50, loss=None, eval_loss=None, metric=metric(value, name)
    )


def baseline(name: str, value: float) -> BaselineResult:
    return BaselineResult(name=name, scores=scores(value), passes=False, seconds=1.0)


def data(*, used: int = 800, action: str = "warn", **counts: int) -> DataSummary:
    findings = (
        DataFinding(check=name, action=action, count=count, message="")
        for name, count in counts.items()
    )
    return DataSummary(
        rows_read=used,
        rows_used=used,
        dropped={},
        splits=(),
        findings=tuple(findings),
        overlap_exact=0,
        overlap_near=0,
    )


LEARNED = levelling(2.0, 0.1)
UNDONE = falling(2.0, 0.5)
TURNED = (1.0, 0.6, 0.5, 0.6, 0.8)
"""Validation losses that are lowest at step 150 of 250."""
SETTLED = (1.0, 0.6, 0.5, 0.49, 0.49)


def found(
    on_train: float | None = 0.97,
    on_validation: float = 0.93,
    on_holdout: float = 0.92,
    *,
    of: Recipe | None = None,
    name: str = "macro_f1",
    **evidence: Any,
) -> Diagnosis:
    """Return the diagnosis of a model with such scores of the main metric, `name`, and a good training unless given."""
    values: dict[str, Any] = {
        "training": training(LEARNED, SETTLED),
        "train": scores(on_train, name=name),
        "validation": scores(on_validation, rows=100, name=name),
        "holdout": scores(on_holdout, rows=300, name=name),
    }
    return diagnose(of or recipe(), TrainedEvidence(**(values | evidence)))
