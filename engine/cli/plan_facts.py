"""The facts below the table of a plan: its costs, who trains, queries of models."""

from collections.abc import Iterable, Iterator
from typing import Any

from engine.compute.profile import ComputeProfile, divided, repeated_rows
from engine.environment import Device
from engine.estimate.run import Forecast, StageForecast
from engine.estimate.teacher import soft_estimate, synthesis_estimate, teacher_estimate
from engine.metrics.sweeping import SHARES
from engine.pipeline.plan import Plan
from engine.recipe.model import Recipe
from engine.recipe.sweeps import methods_of
from engine.recipe.teacher import is_baseline, judge_of, soft_targets_of
from engine.render.number_format import about, count, counted, millions, size
from engine.store import Store
from engine.training.trained_rows import TrainedRows
from engine.values import to_json

DIVIDED = "time of training divided by the processes, as if they did not wait for each other: not measured"
SHARED = "no faster than one process, since processes of a CPU share its cores; each takes memory of its own"
ELSEWHERE = "estimated for this machine's processor: --device NAME estimates for a GPU"
ENGINES = {"ray": "Ray", "slurm": "Slurm", "skypilot": "SkyPilot"}
NOT_RUN = "shard: true (FSDP2) is compiled for GPUs and was never run on one by us"
TIGHT = 0.9
"""Of the device's memory, from which on an estimate is close to not fitting."""
_MEASURED = {
    "probe": "training measured in trial steps on this machine",
    "run": "training measured by a run on this machine",
}


def cost_words(found: StageForecast, exact: str) -> str:
    parts = [f"~{about(found.seconds)}"] if found.seconds is not None else []
    if found.memory_bytes is not None:
        parts.append(size(found.memory_bytes))
    elif found.disk_bytes is not None:
        parts.append(f"{size(found.disk_bytes)} disk")
    return " · ".join(filter(None, [*parts, exact]))


def estimate_lines(found: Forecast, *, explain: bool) -> list[tuple[str, str]]:
    training = found.training
    lines = [("trains", " · ".join(parts))] if (parts := list(_trained(found))) else []
    if training.memory_bytes is not None:
        lines.append(("memory", _memory(training.memory_bytes, found.device)))
    lines += [("in all", total)] if (total := " · ".join(_total(found))) else []
    lines += [("unknown", what) for what in training.unknown]
    return [*lines, *(training.derived if explain else ())]


def _trained(found: Forecast) -> Iterator[str]:
    training = found.training
    trainable, total = training.trainable_parameters, training.total_parameters
    if trainable is None or total is None:
        return
    yield f"{millions(trainable)} of {millions(total)} parameters are trained"
    if training.tokens is not None:
        yield f"{'' if training.exact_tokens else '~'}{count(training.tokens)} tokens an epoch"
    if found.of:
        yield found.of


def _memory(peak: int, device: Device) -> str:
    where = "of the GPU's" if device.kind == "cuda" else "of the machine's"
    text = f"~{size(peak)} at the peak, {where} {size(device.memory_bytes)} ({device.name})"
    if peak > device.memory_bytes:
        return f"{text}: does not fit; lower method.micro_batch_size or method.max_length"
    return f"{text}{': tight' if peak > TIGHT * device.memory_bytes else ''}"


def _total(found: Forecast) -> Iterator[str]:
    others = ", ".join(found.untimed)
    if found.seconds is not None:
        known = about(found.seconds)
        yield f"at least {known}: no time is known of {others}" if others else f"~{known}"
    elif others:
        yield f"no time is known of {others}"
    if found.disk_bytes is not None:
        yield f"{size(found.disk_bytes)} disk"
    if found.cost is not None and found.price is not None:
        price = found.price
        unit = f" {price.currency}" if price.currency else ""
        bound = "at least " if others else "~"
        yield f"{bound}{found.cost:.2f}{unit} at {price.an_hour:g}{unit} an hour ({price.source})"
    if found.training.seconds is not None:
        otherwise = "training estimated, not measured: --probe measures 2 steps"
        yield _MEASURED.get(found.training.basis, otherwise)


def compute_lines(
    profile: ComputeProfile, recipe: Recipe, rows: TrainedRows | None, found: Forecast
) -> Iterator[str]:
    """Yield what a profile means for a recipe; nothing where none was named."""
    if not profile.name:
        return
    ranks = profile.ranks
    kind = found.device.kind
    beside = trainings_beside(recipe)
    if profile.parallel > 1 and beside > 1:
        most = min(profile.parallel, beside)
        yield f"{most} of {beside} trainings beside the model at once: {most} times the memory of one"
    if ranks.size == 1:
        yield f"{profile.name}: one process on {_place(profile)}"
        return
    together = (
        "weights and optimizer divided among them" if ranks.shard else "each with all weights"
    )
    # A job gets the devices that its profile asks for, whatever this machine has.
    device = "sharing its cores" if kind == "cpu" else "one GPU each"
    device = f"with {profile.device}" if profile.device else device
    yield f"{profile.name}: {ranks.size} processes on {_place(profile)}, {device}, {together}"
    for method in dict.fromkeys(methods_of(recipe)):
        division = divided(method, ranks)
        lowered = division.micro_batch_size < method.micro_batch_size
        why = f" (micro_batch_size {method.micro_batch_size} lowered)" if lowered else ""
        yield (
            f"batch {method.batch_size} = {division.micro_batch_size} rows x {division.accumulation} "
            f"pass{'' if division.accumulation == 1 else 'es'} x {ranks.size} processes{why}"
        )
        if rows is not None and rows.counted:
            # How many fill the last batch a second time.
            repeated = repeated_rows(rows.train, division, ranks)
            if repeated:
                yield f"{counted(repeated, 'row')} {'is' if repeated == 1 else 'are'} seen twice an epoch"
    if kind == "cpu":
        yield ELSEWHERE if profile.device else SHARED
    else:
        yield DIVIDED
    if ranks.shard:
        yield NOT_RUN


def _place(profile: ComputeProfile) -> str:
    engine = ENGINES.get(profile.engine)
    if engine is None:
        return "this machine"
    return f"{'a machine' if profile.nodes == 1 else f'{profile.nodes} machines'} of {engine}"


def trainings_beside(recipe: Recipe) -> int:
    """Return the most trainings of one stage that may run at once: seeds, settings, folds or points of a curve."""
    settings = len(recipe.sweep.settings) if recipe.sweep else 0
    curve = len(SHARES) - 1 if recipe.learning_curve else 0
    return max(len(recipe.method.seeds), settings, recipe.splits.folds - 1, curve)


def compute_facts(
    profile: ComputeProfile, recipe: Recipe, rows: TrainedRows | None
) -> dict[str, Any]:
    """Return the same as JSON data; `repeated_rows` is null until rows are counted; nothing where none was named."""
    if not profile.name:
        return {}
    ranks, repeated = profile.ranks, None
    division = divided(recipe.method, ranks)
    if rows is not None and rows.counted:
        repeated = repeated_rows(rows.train, division, ranks)
    facts = {
        "profile": profile.name,
        "processes": ranks.size,
        "shard": ranks.shard,
        "retries": ranks.retries,
        **to_json(division),
        "repeated_rows": repeated,
    }
    return {"compute": facts}


def under(name: str, parts: Iterable[str]) -> list[tuple[str, str]]:
    """Return facts of one name, which is before the first of them, without empty ones."""
    shown = [part for part in parts if part]
    return [("" if number else name, part) for number, part in enumerate(shown)]


def teacher_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield what a teacher is asked, in which order, and about what it costs; nothing once it has answered."""
    teacher = plan.recipe.teacher
    if teacher is None or plan.stage("teach").reused is not None:
        return

    found = teacher_estimate(plan.recipe, teacher, store, plan.stage("data").reused)
    rows = "every row without a label" if found.rows is None else f"at most {found.rows:,} rows"
    sizes = {"validation rows": found.validation, "holdout rows": found.holdout}
    judged, held = (
        f"the {name}" if size is None else f"{size:,} {name}" for name, size in sizes.items()
    )
    ends = ", and ends there where a cheap baseline is as good"
    stops = ends if teacher.stop_if_teacher_is_no_better else ""
    asked = f"{rows} and {held}" if teacher.inputs.sources else held
    learned = " is trained on the training rows and" if is_baseline(teacher) else ""
    yield f"`{teacher.model.name}`{learned} is asked {judged}{stops}; then {asked}"
    if found.read_tokens is not None and found.written_tokens is not None:
        cost = "" if found.cost is None else f": ~{found.cost:.4f} at the recipe's prices"
        yield f"about {found.read_tokens:,} tokens read, {found.written_tokens:,} written{cost}"
    yield "each row is asked once: answers are kept"


def soft_lines(plan: Plan, store: Store) -> Iterator[str]:
    soft = soft_targets_of(plan.recipe)
    if soft is None:
        return
    learned = f"learned at temperature {soft.temperature:g}, {soft.weight:.0%} of the loss"
    if plan.stage("soft_targets").reused is not None:
        yield f"its probabilities are kept, and asked for no more; {learned}"
        return

    data = plan.training_data(store)
    found = soft_estimate(plan.recipe, store, data, device=plan.inputs.device)
    rows = "every training row" if found.rows is None else f"{found.rows:,} training rows"
    most = "" if found.is_counted or found.rows is None else "at most "
    tokens = (
        "" if found.read_tokens is None else f", about {found.read_tokens:,} tokens in one pass"
    )
    yield f"then it is asked for its probabilities in {most}{rows}{tokens}; {learned}"


def synthesis_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield what a model is asked for, and about what it costs; nothing once it has answered."""
    value = plan.recipe.data.synthesize
    if value is None or plan.stage("synthesize").reused is not None:
        return

    found = synthesis_estimate(plan.recipe, store, plan.stage("data").reused)
    kept = "" if found.most_kept is None else f", of which at most {found.most_kept:,} are kept"
    yield f"`{value.teacher.name}` is asked for {found.rows:,} rows after training rows{kept}"
    if found.votes:
        yield f"`{judge_of(value).name}` is asked at most {found.votes:,} times for their answers"
    if found.read_tokens is not None and found.written_tokens is not None:
        cost = "" if found.cost is None else f": ~{found.cost:.4f} at the recipe's prices"
        most = "" if value.max_cost is None else f", at most {value.max_cost:g}"
        tokens = f"about {found.read_tokens:,} tokens read, {found.written_tokens:,} written"
        yield f"{tokens}{cost}{most}"
    bounds = plan.recipe.acceptance.synthetic
    if bounds is not None and bounds.min_reviewed is not None:
        yield f"then the run waits for people: {value.review}"
    yield "each question is asked once: answers are kept"
