"""The profile that a plan is for, in words: who trains, how the batch is divided, what is seen twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.compute.profile import ComputeProfile
from engine.compute.ranks import BatchDivision, Ranks, divided, repeated_rows
from engine.estimate.run import Forecast
from engine.metrics.learning import SHARES
from engine.recipe.model import Recipe
from engine.recipe.sweeps import methods_of
from engine.render.number_format import count
from engine.training.trained_rows import TrainedRows

DIVIDED = "time of training divided by the processes, as if they did not wait for each other: not measured"
SHARED = "no faster than one process, since processes of a CPU share its cores; each takes memory of its own"
ELSEWHERE = "estimated for this machine's processor: --device NAME estimates for a GPU"
ENGINES = {"ray": "Ray", "slurm": "Slurm", "skypilot": "SkyPilot"}
NOT_RUN = "shard: true (FSDP2) is compiled for GPUs and was never run on one by us"


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
        if (
            rows is not None
            and rows.counted
            and (text := repeat_words(rows.train, division, ranks))
        ):
            yield text
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
    return (
        f"a machine of {engine}" if profile.nodes == 1 else f"{profile.nodes} machines of {engine}"
    )


def trainings_beside(recipe: Recipe) -> int:
    """Return the most trainings of one stage that may run at once: seeds, settings, folds or points of a curve."""
    settings = len(recipe.sweep.settings) if recipe.sweep else 0
    curve = len(SHARES) - 1 if recipe.learning_curve else 0
    return max(len(recipe.method.seeds), settings, recipe.splits.folds - 1, curve)


def repeat_words(rows: int, division: BatchDivision, ranks: Ranks) -> str:
    """Say how many rows fill the last batch a second time; empty for none."""
    repeated = repeated_rows(rows, division, ranks)
    if not repeated:
        return ""
    return f"{count(repeated)} row{' is' if repeated == 1 else 's are'} seen twice an epoch"


def compute_facts(
    profile: ComputeProfile, recipe: Recipe, rows: TrainedRows | None
) -> dict[str, Any]:
    """Return the same as JSON data; `repeated_rows` is null until rows are counted; nothing where none was named."""
    if not profile.name:
        return {}
    ranks = profile.ranks
    division = divided(recipe.method, ranks)
    is_counted = rows is not None and rows.counted
    facts = {
        "profile": profile.name,
        "processes": ranks.size,
        "shard": ranks.shard,
        "retries": ranks.retries,
        "micro_batch_size": division.micro_batch_size,
        "accumulation": division.accumulation,
        "repeated_rows": repeated_rows(rows.train, division, ranks)
        if rows and is_counted
        else None,
    }
    return {"compute": facts}
