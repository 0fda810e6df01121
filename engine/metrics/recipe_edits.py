"""Edits of `method` that would help a model that learned too little or too much.

Where the numbers come from stands in docs/explanation/diagnosis.md. An edit changes what falls short and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from engine.evidence import CheckpointScore, RecipeEdit, TrainingSummary
from engine.metrics.losses import TrainingLosses, ValidationLosses
from engine.recipe.method_defaults import blank_rate, learned_of, usual_rate
from engine.recipe.model import Method, Recipe, Scratch
from engine.values import dataclass

FEW_STEPS: Final = 200
"""Optimizer steps below which a training is called short."""
WANTED_STEPS: Final = 250
SMALL_BATCH: Final = 8
MOST_EPOCHS: Final = 10
"""That are proposed for want of steps."""
LONGEST: Final = 20
"""Epochs beyond which more are never proposed."""
USUAL_RANK: Final = 16
CHECKPOINT_GAIN: Final = 0.02
"""Of the main metric, by which another checkpoint has to be better before it is proposed."""


def rate_of(recipe: Recipe, training: TrainingSummary) -> float:
    """Return the learning rate that a recipe of the same kind gets by itself."""
    method, weights = recipe.method, training.total_parameters
    if isinstance(recipe.base_model, Scratch):
        return blank_rate(weights)
    return usual_rate(
        weights,
        is_full=method.kind == "full",
        learns=learned_of(recipe.task.spec),
        has_loraplus=method.loraplus_lr_ratio != 1,
    )


def is_slow(recipe: Recipe, training: TrainingSummary) -> bool:
    """Tell whether the rate is below half of the usual one."""
    return recipe.method.learning_rate < rate_of(recipe, training) / 2


def to_learn_more(
    recipe: Recipe, training: TrainingSummary, losses: TrainingLosses | None
) -> tuple[RecipeEdit, ...]:
    """Return what would make an underfitted model learn: rate and steps first, then length, then rank."""
    method = recipe.method
    if losses is not None and losses.has_diverged:
        usual = rate_of(recipe, training)
        lower = float(f"{min(usual, method.learning_rate / 4):.1g}")
        return (_edit("learning_rate", method.learning_rate, lower),)
    changes: dict[str, Any] = {}
    if is_slow(recipe, training):
        changes["learning_rate"] = rate_of(recipe, training)
    if training.stopped_early and method.early_stopping is not None:
        changes["early_stopping.patience"] = 2 * method.early_stopping.patience
    elif training.steps < FEW_STEPS:
        changes |= _more_steps(method, training)
    elif losses is not None and losses.is_falling:
        changes |= _doubled(method, training)
    if not changes and method.kind != "full" and method.rank < USUAL_RANK:
        changes |= {"rank": USUAL_RANK, "alpha": max(method.alpha, 2 * USUAL_RANK)}
    if not changes:
        changes |= _doubled(method, training)
    return _edits(method, changes)


def to_train_on(method: Method, training: TrainingSummary) -> tuple[RecipeEdit, ...]:
    """Return twice the epochs, or tokens, where that is not too long."""
    return _edits(method, _doubled(method, training))


def to_learn_less(
    method: Method,
    training: TrainingSummary,
    *,
    checkpoints: Checkpoints,
    losses: ValidationLosses | None,
    has_labels: bool,
    can_choose: bool = True,
) -> tuple[RecipeEdit, ...]:
    """Return what would keep an overfitted model from learning rows by heart; nothing where no edit is known to.

    Where the kept checkpoints were judged, they decide: fewer epochs help only if one of them was better. The
    validation loss alone decides nothing where labels are chosen: it rises long before answers get worse, and the
    step of its minimum was better in one of nine trainings, by 0.002 (benchmarks/defaults.jsonl). Where validation
    rows are too few for `can_choose`, their loss decides nothing and is not to choose a checkpoint either.
    """
    if checkpoints.are_compared:
        better = checkpoints.better
        if better is None:
            return ()
        at_minimum = losses is not None and losses.lowest_step == better.step
        if method.keep == "last" and at_minimum and can_choose:
            return to_keep(method, "best")
        epochs = better.epoch if method.tokens is not None else _epochs_of(better, training)
        # The lowest validation loss keeps the one that is kept now, unless training ends before it.
        is_behind = better.step > checkpoints.kept_step
        kept = {"keep": "last"} if method.keep == "best" and is_behind else {}
        return _edits(method, _length(method, training, epochs) | kept)
    if losses is not None:
        has_turned = losses.has_risen and training.kept_step > losses.lowest_step
        return to_keep(method, "best") if has_turned and not has_labels else ()
    # Without validation rows, `best` draws them from the training rows.
    half = max(1, math.floor(_epochs(method, training) / 2))
    fewer = _edits(method, _length(method, training, half))
    return (to_keep(method, "best") if can_choose else ()) or fewer


def to_keep(method: Method, which: Literal["best", "last"]) -> tuple[RecipeEdit, ...]:
    """Return the edit that keeps the other checkpoint; nothing where it is kept already."""
    return _edits(method, {"keep": which})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The judged checkpoints of a training, and which of them is the model."""

    judged: tuple[CheckpointScore, ...]
    kept_step: int
    is_lower_better: bool

    @property
    def kept(self) -> CheckpointScore | None:
        """The model's own; None where it was not judged."""
        return next((one for one in self._known if one.step == self.kept_step), None)

    @property
    def are_compared(self) -> bool:
        """Whether the model's own was judged, and another one."""
        return self.kept is not None and len(self._known) > 1

    @property
    def better(self) -> CheckpointScore | None:
        """The best one, the first of equals, if it is better than the model by `CHECKPOINT_GAIN`."""
        if self.kept is None:
            return None
        best = max(self._known, key=lambda one: (self._goodness(one), -one.step))
        gain = self._goodness(best) - self._goodness(self.kept)
        return best if gain >= CHECKPOINT_GAIN else None

    @property
    def _known(self) -> tuple[CheckpointScore, ...]:
        return tuple(one for one in self.judged if one.metric.value is not None)

    def _goodness(self, one: CheckpointScore) -> float:
        value = one.metric.value or 0.0
        return -value if self.is_lower_better else value


def edit_of(key: str, current: object, proposed: object) -> RecipeEdit:
    """Return an edit of any key, its values as YAML writes them."""
    return RecipeEdit(key=key, current=written(current), proposed=written(proposed))


def yaml_of(edits: Iterable[RecipeEdit]) -> str:
    """Return edits as they are pasted into a recipe: a line for each section, `method: {epochs: 5}`."""
    tree: dict[str, Any] = {}
    for edit in edits:
        *parents, last = edit.key.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = edit.proposed
    return "\n".join(f"{section}: {_flow(inner)}" for section, inner in tree.items())


def _more_steps(method: Method, training: TrainingSummary) -> dict[str, Any]:
    """Smaller batches, which cost an adapter nothing, and as many epochs as then give the wanted steps."""
    changes: dict[str, Any] = {}
    batch = method.batch_size
    if batch > SMALL_BATCH and method.kind != "full":
        batch = SMALL_BATCH
        changes["batch_size"] = batch
        if batch % method.micro_batch_size:
            changes["micro_batch_size"] = batch
    each = max(1, math.ceil(training.rows / batch))
    epochs = min(math.ceil(WANTED_STEPS / each), MOST_EPOCHS)
    is_cut = method.max_steps is not None and method.max_steps < epochs * each
    if is_cut or epochs > _epochs(method, training):
        changes |= _length(method, training, epochs, batch=batch)
    return changes


def _length(
    method: Method, training: TrainingSummary, epochs: float, *, batch: int | None = None
) -> dict[str, Any]:
    """Return the keys that say how long is trained, with their values for so many epochs.

    `epochs` or `tokens`; and bounds of the number of steps, which would undo them.
    """
    if method.tokens is not None:
        tokens = method.tokens * epochs / _epochs(method, training)
        return {"tokens": int(float(f"{tokens:.2g}")) if tokens != method.tokens else method.tokens}
    each = math.ceil(training.rows / (batch or method.batch_size))
    steps = max(1, math.ceil(epochs * each))
    changes: dict[str, Any] = {"epochs": epochs}
    if method.max_steps is not None and steps > method.max_steps:
        # Where they had not cut it, the epochs would be enough.
        changes = {} if steps <= method.epochs * each else changes
        changes["max_steps"] = steps
    if method.min_steps is not None and steps < method.min_steps:
        changes["min_steps"] = steps
    return changes


def _epochs(method: Method, training: TrainingSummary) -> float:
    """Return how often rows were to be seen: bounds of the number of steps may have changed what `epochs` says."""
    if method.tokens is not None:
        # Only packed rows are counted in tokens, and these are full.
        return method.tokens / (max(1, training.rows) * method.max_length)
    is_bounded = method.min_steps is not None or method.max_steps is not None
    return round(training.epochs, 1) if is_bounded and not training.stopped_early else method.epochs


def _doubled(method: Method, training: TrainingSummary) -> dict[str, Any]:
    epochs = _epochs(method, training)
    return _length(method, training, max(epochs, min(2 * epochs, LONGEST)))


def _epochs_of(checkpoint: CheckpointScore, training: TrainingSummary) -> float:
    """Return the epochs that end at a checkpoint: whole ones, unless these are as long as the training was."""
    whole = float(round(checkpoint.epoch))
    return whole if 1 <= whole < training.epochs else round(checkpoint.epoch, 1) or 0.1


def _edits(method: Method, changes: Mapping[str, Any]) -> tuple[RecipeEdit, ...]:
    """Return the changes that are ones."""
    return tuple(
        _edit(key, now, value)
        for key, value in changes.items()
        if (now := _value_of(method, key)) != value
    )


def _value_of(method: Method, key: str) -> object:
    node: Any = method
    for part in key.split("."):
        node = getattr(node, part)
    return node


def _edit(key: str, current: object, proposed: object) -> RecipeEdit:
    return edit_of(f"method.{key}", current, proposed)


def written(value: object) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, float):
        # All digits and no exponent, which some readers of YAML take for a text.
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return str(value)


def _flow(node: Any) -> str:
    if isinstance(node, str):
        return node
    return f"{{{', '.join(f'{key}: {_flow(inner)}' for key, inner in node.items())}}}"
