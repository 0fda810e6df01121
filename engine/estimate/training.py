"""One training put together: rows and shapes in; steps, parameters, memory, disk and time out, each with its reason."""

from __future__ import annotations

import math

from engine.backends import load_backend
from engine.backends.base import (
    CompileInputs,
    Schedule,
    accumulation,
    plain_reason,
    rate_in_words,
    schedule,
    shares_prefix,
)
from engine.backends.usage import Usage
from engine.environment import Device
from engine.estimate import duration, memory
from engine.estimate.devices import facts_of
from engine.estimate.duration import Course, DeviceSpeed, Duration
from engine.estimate.measured import Measurement
from engine.estimate.memory import Batch, Memory
from engine.estimate.shape import ModelShape
from engine.estimate.workload import Lengths, Workload, mean, padded
from engine.recipe.methods import unset_options
from engine.recipe.model import Method, Recipe
from engine.render.number_format import epochs
from engine.values import Value, replace

KEPT_ADAPTERS = 8
"""Adapters of checkpoints that stay (`engine.runtime.training.saved_weights.MOST`)."""
CHECKPOINTS = 3
"""On disk at once: two that stay, and one that is being written."""
STATE = 3
"""Numbers in a checkpoint for each trained one: itself, and two of the optimizer."""
NOTICED = 1.05
"""Times fewer tokens from which sharing the start of rows is worth a line."""


class TrainingEstimate(Value):
    """What one training will take; None where it is not known, and `unknown` says why."""

    steps: int | None = None
    tokens: int | None = None
    """Of an epoch, without padding."""
    exact_tokens: bool = False
    """They were counted by the base model's tokenizer."""
    shared_prefix: str = ""
    """What it saves that rows share the tokens they begin with, in words; empty where it is not known to."""
    kernels: str = ""
    """Which kernels of a GPU are used, and what is missing for more, in words; empty where there is no choice."""
    trainable_parameters: int | None = None
    total_parameters: int | None = None
    memory_bytes: int | None = None
    """Peak: resident on a CPU, allocated on a GPU."""
    disk_bytes: int | None = None
    """What training leaves in the store."""
    scratch_bytes: int | None = None
    """What checkpoints take besides, until it is done."""
    seconds: float | None = None
    basis: str = "computed"
    """What memory and time come from: `computed` (from shapes), `probe` or `run`."""
    fits: bool | None = None
    """The device has as much memory."""
    derived: tuple[tuple[str, str], ...] = ()
    """(what, how it was derived), for people."""
    unknown: tuple[str, ...] = ()
    """What is missing, and what would make it known."""


class Known(Value):
    """What an estimate may stand on besides the recipe."""

    shape: ModelShape | None
    workload: Workload
    measured: Measurement | None = None
    """Of exactly this training."""
    like: Measurement | None = None
    """Of another training on this machine."""
    missing: tuple[str, ...] = ()
    """What is not known, with what would make it known."""


def estimate_from(recipe: Recipe, device: Device, known: Known) -> TrainingEstimate:
    """Return what training this recipe on this device will take."""
    shape, work, method = known.shape, known.workload, recipe.method
    plan = _plan(method, work)
    derived = [("rows", work.source)]
    if plan:
        derived.append(("steps", _steps_text(method, work, plan)))
        if rate := rate_in_words(method, plan):
            derived.append(("learning rate", rate))
    backend = load_backend(recipe.backend.name)
    kernels = CompileInputs(
        device=device,
        precision=device.precision(recipe.backend.precision),
        train_rows=0,
        validation_rows=0,
        kernels=backend.kernels(device),
    )
    found = TrainingEstimate(
        steps=plan.steps if plan else None,
        tokens=work.train_tokens,
        exact_tokens=work.exact,
        # without a row where every one of the sample is left out
        shared_prefix=_shared_text(recipe, work)
        if work.shared and work.train and not work.at_most
        else "",
        kernels=backend.kernel_words(recipe, kernels),
        unknown=known.missing,
        derived=tuple(derived),
    )
    # Steps and tokens need no shape of the base model; all that follows does.
    if shape is None:
        return found
    trained = memory.trainable_parameters(shape, method)
    derived.append(("parameters", _parameters_text(shape, method, trained)))
    peak, how = _memory(recipe, device, known, shape)
    derived.append(("memory", how))
    seconds = None
    if course := course_of(recipe, work):
        seconds, how = _duration(recipe, device, known, shape, course)
        derived.append(("time", how))
    saves = -(-plan.steps // plan.save_every) if plan else 1
    # A full training puts no checkpoint aside; adapters of several are kept (`adapter_checkpoints`).
    kept = 1 if method.kind == "full" else min(saves, KEPT_ADAPTERS)
    disk, scratch = 4 * trained * kept, 4 * STATE * trained * min(saves, CHECKPOINTS)
    stays = f"{_size(disk)} stays; until it is done, checkpoints take {_size(scratch)} more"
    return replace(
        found,
        trainable_parameters=trained,
        total_parameters=shape.total_parameters + (0 if method.kind == "full" else trained),
        memory_bytes=peak,
        fits=None if peak is None else peak <= device.memory_bytes,
        disk_bytes=disk,
        scratch_bytes=scratch,
        seconds=seconds,
        basis=known.measured.by if known.measured else "computed",
        derived=(*derived, ("disk", stays)),
    )


TEXTS_OF_PREFERENCE = 2


def _plan(method: Method, work: Workload) -> Schedule | None:
    if work.train_rows is None:
        return None
    return schedule(method, train_rows=work.train_rows, validation_rows=work.validation_rows or 0)


def course_of(recipe: Recipe, work: Workload) -> Course | None:
    """Return how often what happens; None while rows or their lengths are not known."""
    method = recipe.method
    plan = _plan(method, work)
    if plan is None or not work.train:
        return None
    # Of a preference two texts go through the model: both answers, or one and one that is estimated by.
    texts = 1 if method.preference is None else TEXTS_OF_PREFERENCE
    rows, micro = texts * (work.validation_rows or 0), texts * method.micro_batch_size
    looked_at = _usual(recipe, work, work.validation or work.train, min(micro, max(1, rows)))
    # One before the first step: every backend that trains here sets `eval_on_start`.
    evaluations = 1 + plan.steps // plan.evaluate_every if plan.evaluate_every else 0
    return Course(
        steps=min(plan.steps, plan.epochs * (work.train_rows or 0) / method.batch_size),
        passes=accumulation(method),
        batch=_usual(recipe, work, work.train, micro),
        evaluations=evaluations,
        evaluation_tokens=rows / looked_at.rows * looked_at.tokens,
        evaluation_batch=looked_at,
        # Rounded up: the last step writes a checkpoint too.
        saves=-(-plan.steps // plan.save_every),
    )


def _usual(recipe: Recipe, work: Workload, lengths: Lengths, rows: int) -> Batch:
    """Return a usual batch of so many rows: unpadded behind their common start, or padded to the longest."""
    if not shares_prefix(recipe):
        return Batch(rows=rows, length=max(1, round(padded(lengths, rows))))
    return _shared(work, rows, max(1, round(mean(lengths))))


def _shared(work: Workload, rows: int, length: int) -> Batch:
    # The token before the first learned one is each row's own, whatever all begin with.
    learned = math.ceil(work.learned)
    shared = min(work.shared, length - min(length, learned + 1))
    return Batch(rows=rows, length=length, shared=shared, learned=learned)


def _memory(
    recipe: Recipe, device: Device, known: Known, shape: ModelShape
) -> tuple[int | None, str]:
    """Return the peak, and where it comes from."""
    if known.measured:
        peak = known.measured.usage.peak_bytes
        return peak, f"{_size(peak)} was the peak of {_source(known.measured)}"
    if not known.workload.longest:
        return None, "not known: it depends on the longest row"
    found = computed_memory(recipe, device, known, shape)
    parts = ", ".join(f"{name} {_size(size)}" for name, size in found.parts().items())
    process = "" if known.like is None else "; the process as it was measured here"
    rows, length = recipe.method.micro_batch_size, known.workload.longest
    return found.total, f"{parts}; at {rows} rows of {length} tokens at once{process}"


def computed_memory(recipe: Recipe, device: Device, known: Known, shape: ModelShape) -> Memory:
    """Return the computed parts of the peak, at the longest rows."""
    work, like = known.workload, known.like
    rows = min(recipe.method.micro_batch_size, work.train_rows or recipe.method.micro_batch_size)
    process = memory.PROCESS
    if device.kind == "cuda":
        process = 0  # torch's own account; the context is listed beside it
    elif like is not None:
        process = max(0, like.usage.ready_bytes - like.weights) + memory.KERNELS
    return memory.peak(
        shape,
        recipe.method,
        _shared(work, rows, work.longest)
        if shares_prefix(recipe)
        else Batch(rows=rows, length=work.longest),
        precision=device.precision(recipe.backend.precision),
        backend=recipe.backend.name,
        process=process,
    )


def _duration(
    recipe: Recipe, device: Device, known: Known, shape: ModelShape, course: Course
) -> tuple[float | None, str]:
    """Return the seconds, and where they come from."""
    method, like = recipe.method, known.like
    if known.measured:
        found, source = (
            measured_duration(method, shape, course, known.measured),
            _source(known.measured),
        )
    else:
        facts = facts_of(device)
        peak = facts.peak(device.precision(recipe.backend.precision))
        if like is not None and like.usage.steps.seconds:
            operations = like.operations / like.usage.steps.seconds
            source = f"{operations / 1e9:.3g} billion operations a second, as in {_source(like)}"
        elif peak is not None:
            is_cpu = facts.kind == "cpu"
            share = duration.SHARE_OF_PEAK[method.kind] if is_cpu else duration.GPU_SHARE
            operations = share * peak
            source = (
                f"{share:.0%} of {peak / 1e12:.3g} trillion operations a second ({facts.source}) is assumed; "
                "`recipe plan --probe` on the device measures 2 steps"
            )
        else:
            return None, f"not known: {facts.source}; `recipe plan --probe` measures it"
        bandwidth = facts.bandwidth or duration.MEMORY_BYTES
        speed = DeviceSpeed(operations=operations, bandwidth=bandwidth)
        backend = recipe.backend.name
        found = duration.unmeasured_duration(shape, method, course, speed, backend=backend)
    parts = {
        "start": found.starting,
        "steps": found.steps,
        "evaluations": found.evaluations,
        "checkpoints": found.saves,
    }
    spent = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in parts.items() if seconds)
    return found.total, f"{spent}; {source}"


def measured_duration(
    method: Method, shape: ModelShape, course: Course, measured: Measurement
) -> Duration:
    """Return the duration by a measurement, scaled from its rows to the usual ones."""
    usual = duration.work(shape, method, course)
    there = replace(course, batch=_batch_of(method, measured.usage, learned=course.batch.learned))
    was = duration.work(shape, method, there)
    return duration.from_usage(measured.usage, course, usual / was)


def _batch_of(method: Method, usage: Usage, *, learned: int) -> Batch:
    """Return what went through the model at once in a measured step after the first."""
    spent = usage.steps if usage.steps.count else usage.first
    each = spent.tokens / max(1, spent.count * method.batch_size)
    return Batch(rows=method.micro_batch_size, length=max(1, round(each)), learned=learned)


def operations_of(method: Method, shape: ModelShape, usage: Usage, *, learned: int) -> float:
    """Return the operations of all measured steps after the first; `learned` as in `Batch`."""
    passing = duration.operations(
        shape, method, _batch_of(method, usage, learned=learned), backward=True
    )
    return usage.steps.count * accumulation(method) * passing


def learned_tokens(recipe: Recipe, work: Workload) -> int:
    """Return the tokens of a row that have logits, as in `Batch`."""
    return math.ceil(work.learned) if shares_prefix(recipe) else 0


def _source(measured: Measurement) -> str:
    day = measured.created[:16].replace("T", " ")
    by = "trial steps" if measured.by == "probe" else "a run"
    return f"{by} on this machine on {day} UTC"


def _steps_text(method: Method, work: Workload, plan: Schedule) -> str:
    least = " at most" if method.early_stopping else ""
    seen = epochs(_epochs(method, work, plan))
    if method.tokens is not None:
        return (
            f"{method.tokens:,} tokens in batches of {method.batch_size} rows of "
            f"{method.max_length}: {plan.steps}{least}, {seen} of {work.train_rows} rows"
        )
    return f"{work.train_rows} rows in batches of {method.batch_size}, {seen}: {plan.steps}{least}"


def _epochs(method: Method, work: Workload, plan: Schedule) -> float:
    """Return how often all rows are seen, as trainers count it: the last step of an epoch may have fewer passes."""
    whole, rest = divmod(plan.steps, plan.steps_per_epoch)
    passes = math.ceil((work.train_rows or 1) / method.micro_batch_size)
    return whole + rest * accumulation(method) / passes


def _shared_text(recipe: Recipe, work: Workload) -> str:
    """Say what sharing the start of rows saves, or which option of the method keeps rows from it; else nothing."""
    if not shares_prefix(recipe):
        options = ("neftune_alpha", "loss_on")
        is_plain = unset_options(recipe.method, options) == options
        return "" if is_plain else f"computed for each row: {plain_reason(recipe)}"
    rows, length = recipe.method.micro_batch_size, round(work.mean)
    batch = _shared(work, rows, length)
    fewer = rows * padded(work.train, rows) / batch.tokens
    if fewer < NOTICED:
        return ""
    about = "" if work.exact else "about "
    return (
        f"prompts begin with the same {about}{batch.shared} of {length} tokens: "
        f"{fewer:.1f} times fewer to compute in a batch of {rows}"
    )


def _parameters_text(shape: ModelShape, method: Method, trained: int) -> str:
    if method.kind == "full":
        of_all = f"all {trained:,}"
        if method.train_only is not None:
            of_all = f"{trained:,} of {shape.total_parameters:,}"
        return f"{of_all} are trained; {shape.source}"
    targets = memory.targets(shape, method)
    count = sum(one.count for one in targets)
    ranks = sorted({memory.rank_of(one, method) for one in targets} or {method.rank})
    at = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
    lengths = " and the length of each row" if method.dora else ""
    return f"{trained:,} at {at} beside {count} matrices{lengths}; {shape.source}"


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"  # a tenth of a GB
