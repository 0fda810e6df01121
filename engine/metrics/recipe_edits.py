"""Edits of `method` for a model that learned too little or too much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from operator import attrgetter
from statistics import fmean, stdev
from typing import Any, Final, Literal

from engine.evidence import CheckpointScore, HistoryPoint, RecipeEdit, TrainingSummary
from engine.recipe.methods import (
    USUAL_ALPHA_OF_RSLORA,
    blank_rate,
    learned_of,
    size_of,
    usual_rate,
)
from engine.recipe.model import Method, Recipe, Scratch
from engine.recipe.references import base_reference
from engine.recipe.text.dump import reference_mapping
from engine.values import Value, put

FEWEST_LOSSES: Final = 9
"""Logged training losses, three for each third of the steps."""
FALL: Final = 0.05
"""Least fall of the training loss from the middle to the last third, as a share of it."""
SURELY_FLAT: Final = 0.1
"""A loss that surely falls by less than this share is flat: twice `FALL`, for the noise of single batches."""
LEARNED: Final = 0.2
"""Least fall of the training loss since its first steps, as a share of it, of a model that has learned."""
RISE: Final = 0.1
"""Least rise of the validation loss above its minimum, as a share of it."""
FEWEST_EVALUATIONS: Final = 3


class TrainingLosses(Value):
    start: float
    """Mean over the first tenth of the steps."""
    middle: float
    """Mean over the middle third."""
    end: float
    """Mean over the last third."""
    noise: float
    """Standard error of `middle - end`."""

    @property
    def is_falling(self) -> bool:
        return self.middle - self.end > max(FALL * self.middle, 2 * self.noise)

    @property
    def is_flat(self) -> bool:
        return self.middle - self.end + 2 * self.noise < SURELY_FLAT * self.middle

    @property
    def has_learned(self) -> bool:
        return self.end < (1 - LEARNED) * self.start

    @property
    def has_diverged(self) -> bool:
        return self.end - self.start > max(FALL * self.start, 2 * self.noise)


class ValidationLosses(Value):
    lowest: float
    lowest_step: int
    last: float
    last_step: int
    has_risen: bool
    is_falling: bool
    """The last loss is the lowest, and well below that at two thirds of the steps."""


def training_losses(history: Sequence[HistoryPoint]) -> TrainingLosses | None:
    losses = [point.loss for point in history if point.loss is not None]
    if len(losses) < FEWEST_LOSSES:
        return None
    third = len(losses) // 3
    middle, end = losses[third : 2 * third], losses[2 * third :]
    errors = (stdev(part) / math.sqrt(len(part)) for part in (middle, end))
    return TrainingLosses(
        start=fmean(losses[: max(1, len(losses) // 10)]),
        middle=fmean(middle),
        end=fmean(end),
        noise=math.hypot(*errors),
    )


def validation_losses(history: Sequence[HistoryPoint]) -> ValidationLosses | None:
    """Return the course of the validation loss; None for fewer than three measurements."""
    measured = [(point.step, point.eval_loss) for point in history if point.eval_loss is not None]
    if len(measured) < FEWEST_EVALUATIONS:
        return None
    lowest_step, lowest = min(measured, key=lambda one: (one[1], one[0]))
    last_step, last = measured[-1]
    before = [loss for step, loss in measured if 3 * step <= 2 * last_step]
    return ValidationLosses(
        lowest=lowest,
        lowest_step=lowest_step,
        last=last,
        last_step=last_step,
        has_risen=lowest_step < last_step and last >= (1 + RISE) * lowest,
        is_falling=lowest_step == last_step and bool(before) and last <= (1 - FALL) * before[-1],
    )


FEW_STEPS: Final = 200
WANTED_STEPS: Final = 250
SMALL_BATCH: Final = 8
MOST_EPOCHS: Final = 10
LONGEST: Final = 20
FAST: Final = 10
"""Factor above the usual rate beyond which the rate keeps a model from learning."""
USUAL_RANK: Final = 16
MOST_ALPHA: Final = 4096
CHECKPOINT_GAIN: Final = 0.02
"""Least gain in the main metric of a checkpoint that is proposed."""


def usual_rates(recipe: Recipe, training: TrainingSummary) -> tuple[float, ...]:
    """Return the usual rates for the number of trained weights, and for the number in the base model's name."""
    base, trained = recipe.base_model, training.total_parameters
    if isinstance(base, Scratch):
        return (blank_rate(trained),)
    reference = base_reference(base)
    named = size_of(reference and reference_mapping(reference))
    rate = partial(
        usual_rate,
        is_full=recipe.method.kind == "full",
        learns=learned_of(recipe.task.spec),
        has_loraplus=recipe.method.loraplus_lr_ratio != 1,
    )
    return rate(trained), rate(named)


def is_slow(recipe: Recipe, training: TrainingSummary) -> bool:
    return recipe.method.learning_rate < min(usual_rates(recipe, training)) / 2


def is_fast(recipe: Recipe, training: TrainingSummary) -> bool:
    return recipe.method.learning_rate > FAST * max(usual_rates(recipe, training))


def to_learn_more(
    recipe: Recipe, training: TrainingSummary, losses: TrainingLosses | None
) -> tuple[RecipeEdit, ...]:
    """Return edits for an underfitted model: rate and steps first, then length, then rank."""
    method = recipe.method
    if (losses is not None and losses.has_diverged) or is_fast(recipe, training):
        usual = usual_rates(recipe, training)[0]
        lower = float(f"{min(usual, method.learning_rate / 4):.1g}")
        return (edit_of("method.learning_rate", method.learning_rate, lower),)
    changes: dict[str, Any] = {}
    if is_slow(recipe, training):
        changes["learning_rate"] = usual_rates(recipe, training)[0]
    if training.stopped_early and method.early_stopping is not None:
        changes["early_stopping.patience"] = 2 * method.early_stopping.patience
    else:
        is_falling = losses is not None and losses.is_falling
        more = _more_steps(method, training) if training.steps < FEW_STEPS else {}
        changes |= more or (_doubled(method, training) if is_falling else {})
    if not changes and method.kind != "full" and method.rank < USUAL_RANK:
        # A multiple of the rank, so that the effect is not lowered, also in modules with a rank of their own.
        alpha = max(2, math.ceil(method.alpha / method.rank)) * USUAL_RANK
        if method.rslora:  # its alpha is the same at every rank
            alpha = max(method.alpha, USUAL_ALPHA_OF_RSLORA)
        if method.rslora or alpha <= MOST_ALPHA:
            changes |= {"rank": USUAL_RANK, "alpha": alpha}
    if not changes:
        changes |= _doubled(method, training)
    return _edits(method, changes)


def to_train_on(method: Method, training: TrainingSummary) -> tuple[RecipeEdit, ...]:
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
    """Return edits for an overfitted model; nothing where no edit is known to help.

    Judged checkpoints decide: fewer epochs help only if one of them was better. The validation loss alone decides
    nothing for tasks with labels: it rises long before answers get worse, and the step of its minimum scores less on
    average (docs/explanation/defaults.md). Without `can_choose` there are too few validation rows for their loss.
    """
    if checkpoints.are_compared:
        better = checkpoints.better
        if better is None:
            return ()
        at_minimum = losses is not None and losses.lowest_step == better.step
        if method.keep == "last" and at_minimum and can_choose:
            return to_keep(method, "best")
        # Full epochs, unless these are as long as the training was.
        epochs, rounded = better.epoch, float(round(better.epoch))
        if method.tokens is None and 1 <= rounded < training.epochs:
            epochs = rounded
        # By the lowest validation loss the same checkpoint would be kept, unless training ends before it.
        is_later = better.step > checkpoints.kept_step
        kept = {"keep": "last"} if method.keep == "best" and is_later else {}
        return _edits(method, _length(method, training, epochs) | kept)
    if losses is not None:
        has_turned = losses.has_risen and training.kept_step > losses.lowest_step
        return to_keep(method, "best") if has_turned and not has_labels else ()
    # Without validation rows, `keep: best` takes some of the training rows.
    if can_choose and (kept_best := to_keep(method, "best")):
        return kept_best
    epochs = _epochs(method, training)
    half = max(1, math.floor(epochs / 2))
    return _edits(method, _length(method, training, half)) if half < epochs else ()


def to_keep(method: Method, which: Literal["best", "last"]) -> tuple[RecipeEdit, ...]:
    return _edits(method, {"keep": which})


class Checkpoints(Value):
    judged: tuple[CheckpointScore, ...]
    kept_step: int
    is_lower_better: bool

    @property
    def kept(self) -> CheckpointScore | None:
        return next((one for one in self._known if one.step == self.kept_step), None)

    @property
    def are_compared(self) -> bool:
        return self.kept is not None and len(self._known) > 1

    @property
    def better(self) -> CheckpointScore | None:
        """Return the best checkpoint, the first of equals, if it is better than the kept one by `CHECKPOINT_GAIN`."""
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
    return RecipeEdit(key=key, current=written(current), proposed=written(proposed))


def yaml_of(edits: Iterable[RecipeEdit]) -> str:
    """Return edits as text for a recipe: a line for each section, `method: {epochs: 5}`."""

    def flow(node: Any) -> str:
        if isinstance(node, str):
            return node
        return f"{{{', '.join(f'{key}: {flow(inner)}' for key, inner in node.items())}}}"

    tree: dict[str, Any] = {}
    for edit in edits:
        put(tree, edit.key, edit.proposed)
    return "\n".join(f"{section}: {flow(inner)}" for section, inner in tree.items())


def _more_steps(method: Method, training: TrainingSummary) -> dict[str, Any]:
    """Return smaller batches, which cost an adapter nothing, and the epochs that then give the wanted steps.

    Never fewer epochs than were trained; no smaller batches where these give no more steps.
    """
    # Batches of about `SMALL_BATCH` rows, a multiple of `micro_batch_size`, which memory may bound.
    micro = min(method.micro_batch_size, SMALL_BATCH)
    small = micro * math.ceil(SMALL_BATCH / micro)
    is_smaller = method.kind != "full" and small < method.batch_size
    batches = [{"batch_size": small, "micro_batch_size": micro}] if is_smaller else []
    for smaller in (*batches, {}):
        batch = smaller.get("batch_size", method.batch_size)
        each = _steps_of_epoch(training, batch)
        wanted = min(math.ceil(WANTED_STEPS / each), MOST_EPOCHS)
        epochs = max(wanted, min(_epochs(method, training), LONGEST))
        steps, unchanged = math.ceil(epochs * each), _planned_steps(method, training, batch)
        if max(steps, unchanged) <= training.steps:
            continue
        longer = steps > unchanged
        return smaller | (_length(method, training, epochs, batch=batch) if longer else {})
    return {}


def _length(
    method: Method, training: TrainingSummary, epochs: float, *, batch: int | None = None
) -> dict[str, Any]:
    """Return the keys that set the length of a training, with their values for so many epochs.

    These are `epochs` or `tokens`, and bounds of the number of steps that would undo them. Nothing where the training
    has that length already: bounds may have made more or fewer epochs than `epochs`.
    """
    if method.tokens is not None:
        a_step = method.batch_size * method.max_length
        tokens = method.tokens * epochs / _epochs(method, training)
        return {"tokens": max(a_step, int(float(f"{tokens:.2g}")))}
    batch = batch or method.batch_size
    each = _steps_of_epoch(training, batch)
    steps, planned = max(1, math.ceil(epochs * each)), _planned_steps(method, training, batch)
    usual = math.ceil(method.epochs * each)
    if steps == planned:
        return {}
    # Where bounds made more or fewer steps than the epochs, these may be right already.
    changes: dict[str, Any] = {}
    if steps != usual and (steps > usual) == (steps > planned):
        changes["epochs"] = round(epochs, 1) if epochs >= 1 else float(f"{epochs:.2g}")
    if steps > (method.max_steps or steps):
        changes["max_steps"] = steps
    if steps < (method.min_steps or 0):
        changes["min_steps"] = steps
    return changes


def _steps_of_epoch(training: TrainingSummary, batch: int) -> int:
    return max(1, math.ceil(training.rows / batch))


def _planned_steps(method: Method, training: TrainingSummary, batch: int) -> int:
    """Return the steps of the training in batches of another size."""
    epochs = method.epochs if method.tokens is None else _epochs(method, training)
    steps = math.ceil(epochs * _steps_of_epoch(training, batch))
    steps = max(1, steps, method.min_steps or 1)
    return min(steps, method.max_steps or steps)


def _epochs(method: Method, training: TrainingSummary) -> float:
    """Return the planned epochs: bounds of the number of steps may have made others than `epochs`."""
    if method.tokens is not None:
        # Only packed rows, which are full, are counted in tokens.
        return method.tokens / (max(1, training.rows) * method.max_length)
    is_bounded = method.min_steps is not None or method.max_steps is not None
    return training.epochs if is_bounded and not training.stopped_early else method.epochs


def _doubled(method: Method, training: TrainingSummary) -> dict[str, Any]:
    epochs = _epochs(method, training)
    if epochs >= LONGEST:
        return {}
    return _length(method, training, min(2 * epochs, LONGEST))


def _edits(method: Method, changes: Mapping[str, Any]) -> tuple[RecipeEdit, ...]:
    return tuple(
        edit_of(f"method.{key}", now, value)
        for key, value in changes.items()
        if (now := attrgetter(key)(method)) != value
    )


def written(value: object) -> str:
    if isinstance(value, float):
        # without an exponent, which some readers of YAML take for a text
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return str(value)
