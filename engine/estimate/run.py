"""The estimate of a plan: its training, and disk and last time of the other stages."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from engine.compute.profile import ONE, Ranks
from engine.environment import Device
from engine.errors import StoreError
from engine.estimate.devices import Price
from engine.estimate.row_tokens import Sampler, sampler
from engine.estimate.shape import ModelShape, shape_of
from engine.estimate.teacher import soft_estimate
from engine.estimate.training import TrainingEstimate, estimate_from, known_of
from engine.files.reading import parse_json
from engine.metrics.sweeping import SHARES
from engine.pipeline.plan import Plan, PlanInputs
from engine.recipe.model import Recipe
from engine.recipe.sweeps import methods_of, own_words, settled
from engine.store import Artifact, Store
from engine.store.records import Runs, read_file
from engine.values import Value, field, replace, to_json

BITS = {
    "Q2_K": 3.0, "Q3_K_S": 3.5, "Q3_K_M": 3.9, "Q3_K_L": 4.3, "Q4_0": 4.55, "Q4_1": 5.0,
    "Q4_K_S": 4.6, "Q4_K_M": 4.85, "Q5_0": 5.55, "Q5_1": 6.0, "Q5_K_S": 5.55, "Q5_K_M": 5.7,
    "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16.0, "BF16": 16.0,
}  # fmt: skip
"""Bits a weight of whole files, about; llama.cpp mixes formats within one file."""
FALLBACK = {"Q2_K": 4.5, "Q3": 4.5, "Q4_K": 6.2, "Q5_K": 6.8, "Q6_K": 8.5}
"""Bits if rows are no multiple of 256 numbers, so that llama.cpp takes another format, about."""
BLOCK = 256
LAST_RUNS = 5


def disk_of(stage: str, recipe: Recipe, shape: ModelShape | None) -> int | None:
    if shape is None:
        return None
    if stage == "merge":
        return shape.stored_bytes or 2 * shape.total_parameters
    if stage == "quantize" and recipe.export.has_quantized_file:
        files = sum(bits(name, shape) for name in recipe.export.quantizations)
        return round((files + 16) * shape.total_parameters / 8)  # and one file of 16 bits
    return None


def bits(quantization: str, shape: ModelShape) -> float:
    falls = shape.hidden % BLOCK != 0 and "_K" in quantization
    others = (bits for start, bits in FALLBACK.items() if falls and quantization.startswith(start))
    return next(others, BITS.get(quantization, 8.0))


def past_seconds(runs: Runs, recipe: str) -> dict[str, float]:
    """Return the seconds of each stage in the last run that executed it."""
    past: dict[str, float] = {}
    for folder, _ in itertools.islice(runs.ours(recipe), LAST_RUNS):
        try:
            stages = list(parse_json(read_file(folder, "report.json"))["stages"])
        except (StoreError, ValueError, KeyError, TypeError):
            continue
        for stage in stages:
            if stage.get("status") == "ran":
                past.setdefault(str(stage["stage"]), float(stage["seconds"]))
    return past


class StageForecast(Value):
    seconds: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    basis: str = ""
    """`computed`, `probe`, `run` (a measurement of the same training), `last run`, or `sweep`: part of the sweep."""


TRAINING = frozenset({"train", "sweep", "resample", "seeds", "answers_only"})
SWEPT = StageForecast(basis="sweep")
"""The training after a sweep, which takes the weights of the chosen setting."""


class Forecast(Value):
    device: Device
    training: TrainingEstimate
    recipe: Recipe
    """The recipe with the method of `training`."""
    of: str = ""
    stages: Mapping[str, StageForecast] = field(default_factory=dict)
    price: Price | None = None

    @property
    def seconds(self) -> float | None:
        return _sum_of(one.seconds for one in self.stages.values())

    @property
    def untimed(self) -> tuple[str, ...]:
        return tuple(
            name for name, one in self.stages.items() if one.seconds is None and one != SWEPT
        )

    @property
    def disk_bytes(self) -> int | None:
        return _sum_of(one.disk_bytes for one in self.stages.values())

    @property
    def cost(self) -> float | None:
        if self.price is None or self.seconds is None:
            return None
        return self.price.of(self.seconds)


def _sum_of[N: (int, float)](numbers: Iterable[N | None]) -> N | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def forecast(
    plan: Plan,
    store: Store,
    *,
    price: Price | None = None,
    elsewhere: bool = False,
    ranks: Ranks = ONE,
) -> Forecast:
    """Return the estimate of all stages that run; `elsewhere` is another machine, whose last runs are unknown.

    GPUs of several processes divide the time of trainings and are paid together; on a CPU they share its cores.
    """
    device, data, of = plan.inputs.device, plan.training_data(store), ""
    sample = sampler(plan.recipe, store, data, plan.inputs.base_model)
    if plan.trained is not None:
        recipe = plan.trained
        training = _every(replace(recipe, sweep=None), store, plan.inputs, data, sample)[0]
    else:
        number, training = largest_setting(plan.recipe, store, plan.inputs, data, sample)
        recipe = settled(plan.recipe, number)
        which = f"setting {number + 1} of {len(methods_of(recipe))}"
        of = f"{which} ({own_words(recipe)}), the largest"
    past = {} if elsewhere else past_seconds(Runs(store.root), recipe.name)
    shape = shape_of(recipe.base_model, store, plan.inputs.base_model.get("sha256"))
    stages: dict[str, StageForecast] = {}
    repeats = further_trainings(recipe)
    for stage in plan.stages:
        if stage.reused is not None:
            continue
        if stage.name == "sweep":
            settings = _every(plan.recipe, store, plan.inputs, data, sample)
            is_timed = all(setting.seconds is not None for setting in settings)
            stages[stage.name] = StageForecast(
                seconds=_sum_of(setting.seconds for setting in settings) if is_timed else None,
                memory_bytes=max((one.memory_bytes or 0 for one in settings), default=0) or None,
                basis=" and ".join(dict.fromkeys(setting.basis for setting in settings)),
            )
        elif stage.name == "train":
            stages[stage.name] = SWEPT if plan.takes_swept else _again(training, 1)
        elif stage.name in repeats:
            stages[stage.name] = _again(training, repeats[stage.name])
        else:
            soft = None
            if stage.name == "soft_targets":
                soft = soft_estimate(recipe, store, data, device=device)
            disk = soft.disk_bytes if soft else disk_of(stage.name, recipe, shape)
            seconds = past.get(stage.name, soft.seconds if soft else None)
            known = "last run" if stage.name in past else "computed"
            basis = "" if seconds is None else known
            stages[stage.name] = StageForecast(seconds=seconds, disk_bytes=disk, basis=basis)
    if ranks.size > 1 and device.kind != "cpu":
        for name, one in stages.items():
            # This ignores the time in which processes wait for each other.
            if name in TRAINING and one.seconds is not None:
                stages[name] = replace(one, seconds=one.seconds / ranks.size)
        source = f"{ranks.size} times {price.source}" if price else ""
        price = price and replace(price, an_hour=price.an_hour * ranks.size, source=source)
    return Forecast(
        device=device, training=training, recipe=recipe, of=of, stages=stages, price=price
    )


def further_trainings(recipe: Recipe) -> dict[str, int]:
    """Return the number of models that each stage trains in addition to that of the run."""
    smaller = len(SHARES) - 1 if recipe.learning_curve else 0
    without = int(bool(recipe.acceptance.over_without_synthetic))
    return {
        "resample": smaller + max(0, recipe.splits.folds - 1) + without,
        "seeds": len(recipe.method.seeds),
        "answers_only": 1,
    }


def largest_setting(
    recipe: Recipe,
    store: Store,
    inputs: PlanInputs,
    data: Artifact | None,
    sample: Sampler | None = None,
) -> tuple[int, TrainingEstimate]:
    """Return the number, from 0, of the method of a recipe with the most memory, and its estimate.

    Of several, that with the most steps: it gives the time of further trainings.
    """
    every = _every(recipe, store, inputs, data, sample)
    sizes = [(x.memory_bytes or 0, x.trainable_parameters or 0, x.steps or 0) for x in every]
    number = max(range(len(every)), key=sizes.__getitem__)
    return number, every[number]


def _every(
    recipe: Recipe, store: Store, inputs: PlanInputs, data: Artifact | None, sample: Sampler | None
) -> list[TrainingEstimate]:
    device, base = inputs.device, inputs.base_model
    sample = sample or sampler(recipe, store, data, base)
    estimates = []
    for method in methods_of(recipe):
        setting = replace(recipe, method=method)
        known = known_of(setting, store, device, base, data, sample)
        estimates.append(estimate_from(setting, device, known))
    return estimates


def _again(training: TrainingEstimate, times: int) -> StageForecast:
    """Return the estimate of several trainings like the first; trainings on fewer rows take less."""
    return StageForecast(
        seconds=None if training.seconds is None else times * training.seconds,
        memory_bytes=training.memory_bytes,
        disk_bytes=None if training.disk_bytes is None else times * training.disk_bytes,
        basis=training.basis,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def forecast_json(found: Forecast) -> dict[str, Any]:
    training = found.training
    own = ("steps", "tokens", "trainable_parameters", "total_parameters", "memory_bytes", "fits")
    return {
        "device": found.device.name,
        **{name: getattr(training, name) for name in (*own, "scratch_bytes", "basis")},
        "device_memory_bytes": found.device.memory_bytes,
        "disk_bytes": found.disk_bytes,
        "seconds": _rounded(found.seconds),
        "untimed": list(found.untimed),
        "cost": None if found.cost is None else round(found.cost, 4),
        "currency": found.price.currency if found.price else "",
        "of": found.of,
        "derived": [{"what": what, "how": how} for what, how in training.derived],
        "unknown": list(training.unknown),
        "stages": {
            name: to_json(one) | {"seconds": _rounded(one.seconds)}
            for name, one in found.stages.items()
        },
    }
