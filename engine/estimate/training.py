"""Estimate of one training from rows and shapes: steps, parameters, memory, disk and time, each with its reason."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.backends.base import Schedule, accumulation, schedule, shares_prefix
from engine.backends.usage import Usage
from engine.environment import Device
from engine.estimate import cost, measured
from engine.estimate.cost import Batch, Course
from engine.estimate.devices import facts_of
from engine.estimate.measured import Measurement
from engine.estimate.row_tokens import (
    Lengths,
    Sampler,
    Workload,
    counted_by,
    counted_rows,
    mean,
    padded,
    workload_of,
)
from engine.estimate.shape import ModelShape, shape_of, why_unknown
from engine.recipe.model import Method, Recipe
from engine.render.number_format import epochs
from engine.runtime.rendering.key import rendered_key
from engine.store import Artifact, Store
from engine.values import Value, replace

LENGTHS = (
    "how long the rows are: every one is taken at max_length until `recipe data` has read them"
)
KEPT_ADAPTERS = 8
"""Kept adapters of checkpoints (`engine.runtime.training.saved_weights.MOST`)."""
CHECKPOINTS = 3
"""Checkpoints on disk at once: two that are kept, and one that is being written."""
STATE = 3
"""Numbers in a checkpoint for each trained number: itself, and two of the optimizer."""
TEXTS_OF_PREFERENCE = 2


class TrainingEstimate(Value):
    steps: int | None = None
    tokens: int | None = None
    """Tokens of an epoch, without padding."""
    exact_tokens: bool = False
    trainable_parameters: int | None = None
    total_parameters: int | None = None
    memory_bytes: int | None = None
    """Peak: resident on a CPU, allocated on a GPU."""
    disk_bytes: int | None = None
    scratch_bytes: int | None = None
    """Further bytes of checkpoints during training."""
    seconds: float | None = None
    basis: str = "computed"
    """Source of memory and time: `computed` (from shapes), `probe` or `run`."""
    fits: bool | None = None
    derived: tuple[tuple[str, str], ...] = ()
    """(number, derivation), for people."""
    unknown: tuple[str, ...] = ()


class Known(Value):
    shape: ModelShape | None
    workload: Workload
    measured: Measurement | None = None
    like: Measurement | None = None
    missing: tuple[str, ...] = ()


def known_of(
    recipe: Recipe,
    store: Store,
    device: Device,
    base_model: Mapping[str, Any],
    data: Artifact | None,
    sample: Sampler | None = None,
) -> Known:
    """Return the inputs of an estimate; nothing is fetched and nothing is run.

    `base_model` is its identity in keys (`PlanInputs.base_model`), `data` the artifact of the data stage if it exists,
    `sample` a function that sampled the rows before.
    """
    shape = shape_of(recipe.base_model, store, base_model.get("sha256"))
    workload = workload_of(recipe, store, data=data, base_model=base_model, sample=sample)
    exact = None
    if data is not None:
        rendered = rendered_key(recipe, data.key, base_model).digest
        work = measured.work_of(recipe, device, base_model=base_model, rendered=rendered)
        exact = measured.find(store.root, work)
    missing = [] if shape else [why_unknown(recipe.base_model)]
    if workload.train_rows is None:
        missing.append(f"how many rows train is known after {counted_by(recipe)}")
    missing += [LENGTHS] if workload.at_most and shape else []
    return Known(
        shape=shape,
        workload=workload,
        measured=exact,
        like=measured.find_like(store.root, measured.machine_of(recipe, device)),
        missing=tuple(missing),
    )


def measurement(
    recipe: Recipe, store: Store, usage: Usage, *, work: dict[str, Any], by: str
) -> Measurement:
    """Return a usage with the operations of its steps and the bytes of its weights."""
    shape = shape_of(recipe.base_model, store, work["base_model"].get("sha256"))
    method, steps = recipe.method, 0.0
    rendered = store.get(work["rendered"])
    rows = counted_rows(rendered) if rendered else None
    if shape:
        learned = math.ceil(rows.learned) if rows and shares_prefix(recipe) else 0
        batch = cost.batch_of(method, usage, learned=learned)
        passes = usage.steps.count * accumulation(method)
        steps = passes * cost.operations(shape, method, batch, backward=True)
    return Measurement(
        by=by,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        usage=usage,
        work=work,
        operations=steps,
        weights=cost.ready(shape, method, work["precision"]) if shape else 0,
    )


def estimate_from(recipe: Recipe, device: Device, known: Known) -> TrainingEstimate:
    shape, work, method = known.shape, known.workload, recipe.method
    plan = _plan(method, work)
    derived = [("rows", work.source)]
    if plan:
        # The last step of an epoch may have fewer passes.
        whole, rest = divmod(plan.steps, plan.steps_per_epoch)
        passes = math.ceil((work.train_rows or 1) / method.micro_batch_size)
        seen = epochs(whole + rest * accumulation(method) / passes)
        steps = f"{plan.steps}{' at most' if method.early_stopping else ''}"
        how = f"{work.train_rows} rows in batches of {method.batch_size}, {seen}: {steps}"
        if method.tokens is not None:
            how = f"{method.tokens:,} tokens in batches of {method.batch_size} rows of {method.max_length}"
            how += f": {steps}, {seen} of {work.train_rows} rows"
        derived.append(("steps", how))
    estimate = TrainingEstimate(
        steps=plan.steps if plan else None,
        tokens=work.train_tokens,
        exact_tokens=work.exact,
        unknown=known.missing,
        derived=tuple(derived),
    )
    if shape is None:
        return estimate
    trained = cost.trainable_parameters(shape, method)
    if method.kind == "full":
        is_all = method.train_only is None
        what = f"all {trained:,}" if is_all else f"{trained:,} of {shape.total_parameters:,}"
        how = f"{what} are trained; {shape.source}"
    else:
        targets = cost.targets(shape, method)
        ranks = sorted({cost.rank_of(matrix, method) for matrix in targets} or {method.rank})
        at = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
        beside = f"{sum(matrix.count for matrix in targets)} matrices"
        beside += " and the length of each row" if method.dora else ""
        how = f"{trained:,} at {at} beside {beside}; {shape.source}"
    derived.append(("parameters", how))
    peak, how = _memory(recipe, device, known, shape)
    derived.append(("memory", how))
    seconds = None
    if course := course_of(recipe, work):
        seconds, how = _duration(recipe, device, known, shape, course)
        derived.append(("time", how))
    saves = -(-plan.steps // plan.save_every) if plan else 1
    # Adapters of several checkpoints are kept (`saved_weights`), full models of none.
    kept = 1 if method.kind == "full" else min(saves, KEPT_ADAPTERS)
    disk, scratch = 4 * trained * kept, 4 * STATE * trained * min(saves, CHECKPOINTS)
    stays = f"{_size(disk)} stays; until it is done, checkpoints take {_size(scratch)} more"
    return replace(
        estimate,
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


def _plan(method: Method, work: Workload) -> Schedule | None:
    if work.train_rows is None:
        return None
    return schedule(method, train_rows=work.train_rows, validation_rows=work.validation_rows or 0)


def course_of(recipe: Recipe, work: Workload) -> Course | None:
    method = recipe.method
    plan = _plan(method, work)
    if plan is None or not work.train:
        return None
    # A preference has two texts: two answers, or one and another that serves as a reference.
    texts = 1 if method.preference is None else TEXTS_OF_PREFERENCE
    rows, micro = texts * (work.validation_rows or 0), texts * method.micro_batch_size

    def usual(lengths: Lengths, count: int) -> Batch:
        if shares_prefix(recipe):
            return _shared(work, count, max(1, round(mean(lengths))))
        return Batch(rows=count, length=max(1, round(padded(lengths, count))))

    judged = usual(work.validation or work.train, min(micro, max(1, rows)))
    # One is before the first step: every backend sets `eval_on_start`.
    evaluations = 1 + plan.steps // plan.evaluate_every if plan.evaluate_every else 0
    return Course(
        steps=min(plan.steps, plan.epochs * (work.train_rows or 0) / method.batch_size),
        passes=accumulation(method),
        batch=usual(work.train, micro),
        evaluations=evaluations,
        evaluation_tokens=rows / judged.rows * judged.tokens,
        evaluation_batch=judged,
        # Rounded up: the last step writes a checkpoint, too.
        saves=-(-plan.steps // plan.save_every),
    )


def _shared(work: Workload, rows: int, length: int) -> Batch:
    """Return a batch of rows without padding after their common start."""
    # The token before the first learned one belongs to each row.
    learned = math.ceil(work.learned)
    shared = min(work.shared, length - min(length, learned + 1))
    return Batch(rows=rows, length=length, shared=shared, learned=learned)


def _memory(
    recipe: Recipe, device: Device, known: Known, shape: ModelShape
) -> tuple[int | None, str]:
    work, like, most = known.workload, known.like, recipe.method.micro_batch_size
    if known.measured:
        peak = known.measured.usage.peak_bytes
        return peak, f"{_size(peak)} was the peak of {_source(known.measured)}"
    if not work.longest:
        return None, "not known: it depends on the longest row"
    rows, process = min(most, work.train_rows or most), cost.PROCESS
    if device.kind == "cuda":
        process = 0  # torch counts no context
    elif like is not None:
        process = max(0, like.usage.ready_bytes - like.weights) + cost.KERNELS
    batch = Batch(rows=rows, length=work.longest)
    memory = cost.peak(
        shape,
        recipe.method,
        _shared(work, rows, work.longest) if shares_prefix(recipe) else batch,
        precision=device.precision(recipe.backend.precision),
        backend=recipe.backend.name,
        process=process,
    )
    parts = ", ".join(f"{name} {_size(size)}" for name, size in memory.items() if size)
    measured_here = "" if like is None else "; the process as it was measured here"
    rows_at_once = f"at {most} rows of {work.longest} tokens at once{measured_here}"
    return sum(memory.values()), f"{parts}; {rows_at_once}"


def _duration(
    recipe: Recipe, device: Device, known: Known, shape: ModelShape, course: Course
) -> tuple[float | None, str]:
    method, like = recipe.method, known.like
    if known.measured:
        source = _source(known.measured)
        duration = cost.measured_duration(method, shape, course, known.measured.usage)
    else:
        facts = facts_of(device)
        peak = facts.peak(device.precision(recipe.backend.precision))
        if like is not None and like.usage.steps.seconds:
            speed = like.operations / like.usage.steps.seconds
            source = f"{speed / 1e9:.3g} billion operations a second, as in {_source(like)}"
        elif peak is not None:
            is_cpu = facts.kind == "cpu"
            share = cost.SHARE_OF_PEAK[method.kind] if is_cpu else cost.GPU_SHARE
            speed = share * peak
            source = (
                f"{share:.0%} of {peak / 1e12:.3g} trillion operations a second ({facts.source}) is assumed; "
                "`recipe plan --probe` on the device measures 2 steps"
            )
        else:
            return None, f"not known: {facts.source}; `recipe plan --probe` measures it"
        duration = cost.unmeasured_duration(
            shape,
            method,
            course,
            backend=recipe.backend.name,
            speed=speed,
            bandwidth=facts.bandwidth,
        )
    spent = ", ".join(f"{part} {seconds:.3g} s" for part, seconds in duration.items() if seconds)
    return sum(duration.values()), f"{spent}; {source}"


def _source(measured: Measurement) -> str:
    day = measured.created[:16].replace("T", " ")
    by = "trial steps" if measured.by == "probe" else "a run"
    return f"{by} on this machine on {day} UTC"


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"  # a tenth of a GB
