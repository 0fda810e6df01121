"""How long training takes: operations over speed, and what comes before, between and after the steps.

Without a measurement a speed is a share of the device's peak, which is an assumption and is named as one.
"""

from __future__ import annotations

from engine.backends.usage import Spent, Usage
from engine.estimate.memory import Batch, layers_back, rank_of, targets, trainable_parameters
from engine.estimate.shape import ModelShape
from engine.recipe.model import Method
from engine.values import Value

SHARE_OF_PEAK = {"lora": 0.42, "qlora": 0.42, "full": 0.55}
"""Of a CPU's peak of operations, what training reaches: fitted on one machine."""
GPU_SHARE = 0.35
"""An assumption, not measured here: large models on one GPU reach 30 to 50 % of the peak, small ones less."""
STARTING = {"trl": 3.0, "axolotl": 20.0}
"""Seconds until the first step: weights and rows, and imports where they are a process of their own; on two cores."""
CHECKPOINT_BYTES = 200e6
"""Written a second, as it was on one disk."""
STATE_BYTES = 28
"""Read and written for one trained number in the optimizer's step."""
MEMORY_BYTES = 10e9
"""A second, where the device's bandwidth is not known."""


class DeviceSpeed(Value):
    """How fast this device trains."""

    operations: float
    """A second."""
    bandwidth: float
    """Bytes a second."""


class Course(Value):
    """How often what happens, and with how much."""

    steps: float
    """As so many full batches: the last one of an epoch may be smaller."""
    passes: int
    """Forward and backward passes a step."""
    batch: Batch
    """Of a usual training pass."""
    evaluations: int
    evaluation_tokens: float
    """Of one evaluation, padding included."""
    evaluation_batch: Batch
    saves: int


class Duration(Value):
    """Seconds, by what they are spent on."""

    starting: float
    steps: float
    evaluations: float
    saves: float
    ending: float

    @property
    def total(self) -> float:
        """Of all."""
        return self.starting + self.steps + self.evaluations + self.saves + self.ending


def operations(shape: ModelShape, method: Method, batch: Batch, *, backward: bool) -> float:
    """Return the operations of one pass: forward, and with `backward` the way back.

    The way back is twice the forward pass where every weight has a gradient; beside frozen weights it
    is as much again, and the adapters' own part. It ends where nothing before is trained. Preferences that are
    measured against the untouched model go through that one as well, forward only.
    """
    head = shape.vocabulary * shape.hidden
    attention = 4.0 * shape.hidden * batch.length * shape.layers
    blocks = batch.tokens * (2.0 * shape.linear_parameters + attention)
    logits = batch.logits * 2.0 * head
    forward = blocks + logits
    is_compared = method.preference is not None and method.preference.has_reference
    reference = forward if is_compared else 0.0
    if not backward:
        return forward + reference
    again = forward if method.gradient_checkpointing else 0.0
    if method.kind == "full" and method.train_only is None:
        return 3 * forward + again + reference
    # No further than the first layer of which anything is trained.
    back = blocks * (layers_back(shape, method) / shape.layers) + logits
    own = 2.0 if method.kind == "full" else 6.0
    learned = own * trainable_parameters(shape, method) * batch.tokens
    # For DoRA's lengths of rows B A is multiplied out, once a pass whatever the tokens.
    lengths = sum(
        2.0 * rank_of(one, method) * one.inputs * (one.inputs + one.outputs) * one.count
        for one in (targets(shape, method) if method.dora else ())
    )
    return forward + back + again + learned + lengths + reference


def work(shape: ModelShape, method: Method, course: Course) -> float:
    """Return the operations of a step; what the optimizer reads and writes counts as four for a byte.

    That is what a CPU computes in the time in which it moves one, and it only serves ratios.
    """
    passing = operations(shape, method, course.batch, backward=True)
    return course.passes * passing + 4.0 * STATE_BYTES * trainable_parameters(shape, method)


def unmeasured_duration(
    shape: ModelShape, method: Method, course: Course, speed: DeviceSpeed, *, backend: str
) -> Duration:
    """Return the duration of a training that nothing of this machine is known of."""
    trained, looked_at = trainable_parameters(shape, method), course.evaluation_batch
    passing = operations(shape, method, course.batch, backward=True) / speed.operations
    step = course.passes * passing + STATE_BYTES * trained / speed.bandwidth
    forward = operations(shape, method, looked_at, backward=False) / looked_at.tokens
    written = 12 * trained  # the trained numbers, and two of the optimizer's for each
    return Duration(
        starting=STARTING.get(backend, 10.0),
        steps=course.steps * step,
        evaluations=course.evaluations * course.evaluation_tokens * forward / speed.operations,
        saves=course.saves * written / CHECKPOINT_BYTES,
        ending=0.0,
    )


def from_usage(usage: Usage, course: Course, scale: float) -> Duration:
    """Return the duration of a training whose like was measured on this machine.

    `scale` is how much more a usual step has to do than a measured one. What the first step, evaluation
    and checkpoint took longer than the next ones belongs to the start.
    """
    # A training of a single step has no later one to go by.
    seconds = _each(usage.steps) or _each(usage.first)
    looked_at = usage.evaluations if usage.evaluations.tokens else usage.first_evaluation
    each_token = looked_at.seconds / looked_at.tokens if looked_at.tokens else 0.0
    saving = _each(usage.saves) or _each(usage.first_save)
    warming = (
        # What the first step's own rows explain is no warming up; they may be longer than the
        # others.
        max(0.0, usage.first.seconds - seconds * usage.first.tokens / max(1.0, _tokens(usage)))
        + max(0.0, usage.first_evaluation.seconds - each_token * usage.first_evaluation.tokens)
        + max(0.0, usage.first_save.seconds - saving)
    )
    return Duration(
        starting=usage.starting.seconds + warming,
        steps=course.steps * seconds * scale,
        evaluations=course.evaluations * course.evaluation_tokens * each_token,
        saves=course.saves * saving,
        ending=usage.ending.seconds,
    )


def _tokens(usage: Usage) -> float:
    """Return the tokens of a step after the first, or of the first where there is no other."""
    spent = usage.steps if usage.steps.count else usage.first
    return spent.tokens / max(1, spent.count)


def _each(spent: Spent) -> float:
    return spent.seconds / spent.count if spent.count else 0.0
