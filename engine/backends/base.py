"""The contract of a backend: a pure compiler of recipes, and a trainer of what it compiled."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import yaml

from engine.backends.usage import Usage
from engine.compute.profile import ONE, Ranks
from engine.environment import Device
from engine.errors import Problem, RecipeError
from engine.evidence import HistoryPoint
from engine.files.writing import COMPILED
from engine.progress import Progress
from engine.recipe.model import Json, Method, Preference, Recipe, Scheduler
from engine.recipe.teacher import soft_targets_of
from engine.values import Value, field, put

ADAMW = ("adamw_torch_fused", "default: AdamW, one kernel for all weights")
"""The optimizer's name in all, and why: apart for each weight it takes three times as long on a CPU."""
EMBEDDINGS = "embeddings"
LAYER = "layers."


def numbered(layers: str | tuple[int, ...]) -> list[int]:
    """Return layers by their numbers; `last_2` is -2, -1."""
    if isinstance(layers, str):
        return list(range(-int(layers.removeprefix("last_")), 0))
    return sorted(layers)


def method_lines(method: Method, keys: Mapping[str, str]) -> Iterator[tuple[str, Json, str]]:
    """Yield the lines of keys whose value is that of a key of the method, as it is written."""
    for key, name in keys.items():
        yield key, getattr(method, name), f"method.{name}"


ADAPTER = {"lora_r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}


def adapter_lines(method: Method, keys: Mapping[str, str]) -> Iterator[tuple[str, Json, str]]:
    """Yield the lines of an adapter's options; `keys` says what the backend calls them."""
    if method.dora:
        yield keys["dora"], True, "method.dora"
    if method.rslora:
        yield keys["rslora"], True, "method.rslora"
    if method.ranks:
        yield keys["ranks"], dict(method.ranks), "method.ranks"
        if alphas := alpha_pattern(method):
            yield keys["alphas"], alphas, "method.ranks"
    if method.layers is not None:
        yield keys["layers"], list[Json](numbered(method.layers)), "method.layers"


def alpha_pattern(method: Method) -> dict[str, Json]:
    """Return the alphas with which alpha / rank is the same in all modules; none with rslora.

    There the effect is meant to fall with the rank at one alpha: https://arxiv.org/abs/2312.03732.
    """
    if method.rslora:
        return {}
    ratio = Fraction(method.alpha, method.rank)
    # Whole, which R348 sees to.
    return {name: int(ratio * rank) for name, rank in method.ranks}


def unfrozen(method: Method) -> list[Json]:
    """Return what full training moves, in words of `engine.runtime.training.gradients`; nothing for everything."""
    only = method.train_only
    if only is None:
        return []
    named: list[Json] = [f"{LAYER}{number}" for number in numbered(only.layers or ())]
    return [*named, EMBEDDINGS] if only.embeddings else named


class CompileInputs(Value):
    device: Device
    precision: str
    """`bf16`, `fp16` or `fp32`: resolved, never `auto`."""
    train_rows: int
    validation_rows: int
    kernels: tuple[str, ...] = ()
    """Packages of GPU kernels where it is trained: what the backend's `kernels` found."""


class ConfigLine(Value):
    key: str
    value: Json
    origin: str
    """A path in the recipe such as `method.rank`, or `default: <why>`."""


class BackendConfig(Value):
    """What a trainer is given, and the origin of every line of it."""

    text: str
    """YAML; names only paths relative to the launch folder."""
    lines: tuple[ConfigLine, ...]


class Launch(Value):
    config: str
    rows: Path
    """Folder with the rendered `train.jsonl` and `validation.jsonl`."""
    base_model: Path
    folder: Path
    """Outlives a killed process: checkpoints, logs and prepared rows live here."""
    method: Method
    setting: CompileInputs
    progress: Progress
    targets: Path | None = None
    """Folder with the soft targets of the rows; None where only answers are learned."""
    ranks: Ranks = ONE
    """The processes that train together; `config` is that of one, however many there are."""
    has_all_layers: bool = True
    """False for a base model that was cut: it may predict badly until it is trained."""


class Trained(Value):
    """What training left: the kept checkpoint and the trainer's own account of it."""

    folder: Path
    """Weights of the kept checkpoint: an adapter, or the whole model (method full)."""
    log: Path
    steps: int
    epochs: float
    seconds: float
    kept_step: int
    stopped_early: bool
    resumed_from_step: int | None
    trainable_parameters: int
    total_parameters: int
    history: tuple[HistoryPoint, ...]
    facts: Mapping[str, Any]
    """Measured while training: dtypes of weights and products, device, threads."""
    checkpoints: tuple[tuple[int, Path], ...] = ()
    """Adapters of some steps, by step; none of full training."""
    usage: Usage = field(default_factory=Usage)


class BackendModule(Protocol):
    NAME: str
    IN_ORDER: Mapping[str, Json]
    """Keys that make the trainer take the rows in their order; only trial steps do."""

    def version(self) -> str | None: ...

    def kernels(self, device: Device) -> tuple[str, ...]:
        """Return the packages here whose presence changes what is compiled for the device."""

    def packages(self) -> Mapping[str, str]:
        """Return the version of everything in an environment of its own; nothing where it is this one."""

    def check(self, recipe: Recipe) -> tuple[Problem, ...]: ...

    def check_environment(self, recipe: Recipe, device: Device) -> tuple[Problem, ...]:
        """Return what keeps this machine from training: missing packages or precisions."""

    def compile(self, recipe: Recipe, setting: CompileInputs) -> BackendConfig:
        """Return the config, byte-equal for equal arguments. RecipeError B4xx."""

    def train(self, launch: Launch) -> Trained:
        """Train, or go on from the last complete checkpoint in `launch.folder`. StageError B4xx."""


def no_packages() -> Mapping[str, str]:
    return {}


def no_kernels(device: Device) -> tuple[str, ...]:  # noqa: ARG001 - the contract's argument
    return ()


class Schedule(Value):
    steps_per_epoch: int
    steps: int
    evaluate_every: int
    """0 without validation rows."""
    save_every: int
    warmup: int

    @property
    def epochs(self) -> float:
        return self.steps / self.steps_per_epoch

    @property
    def whole_epochs(self) -> int:
        return math.ceil(self.epochs)


def schedule(method: Method, *, train_rows: int, validation_rows: int) -> Schedule:
    """Return the schedule of a training, by transformers' own arithmetic: rounded up twice."""
    batches = math.ceil(train_rows / method.micro_batch_size)
    per_epoch = max(1, math.ceil(batches / accumulation(method)))
    epochs = method.epochs
    if method.tokens is not None:
        # Packed rows have `max_length` tokens, but for little padding.
        epochs = method.tokens / (max(1, train_rows) * method.max_length)
    usual = max(1, math.ceil(epochs * per_epoch))
    steps = max(usual, method.min_steps or 1)
    steps = min(steps, method.max_steps or steps)
    every = per_epoch // method.evaluations_per_epoch
    if steps != usual:
        # As many as without the bound: an evaluation costs the same however short an epoch is.
        every = steps // math.ceil(epochs * method.evaluations_per_epoch)
    # Not beyond the last step: a training without one evaluation or checkpoint could not be judged.
    every = max(1, min(steps, every))
    return Schedule(
        steps_per_epoch=per_epoch,
        steps=steps,
        evaluate_every=every if validation_rows else 0,
        save_every=every,
        warmup=(
            max(2, math.ceil(method.warmup_ratio * steps))
            if method.warmup_ratio and steps > 1
            else 0
        ),
    )


def plan_of(method: Method, setting: CompileInputs) -> Schedule:
    rows = setting.train_rows, setting.validation_rows
    return schedule(method, train_rows=rows[0], validation_rows=rows[1])


def rate_schedule(method: Method, plan: Schedule) -> tuple[str, dict[str, Json]]:
    """Return how the learning rate falls as transformers names it, and its numbers; none where a name suffices."""
    one = method.scheduler
    if isinstance(one, str):
        # Under its plain name a constant rate has no warm-up, whatever `warmup_steps` says.
        return "constant_with_warmup" if one == "constant" and plan.warmup else one, {}
    if one.name == "cosine":
        return "cosine_with_min_lr", {"min_lr_rate": one.floor}
    numbers: dict[str, Json] = {
        "num_decay_steps": falling_steps(one, plan),
        "decay_type": "linear",
        "min_lr_ratio": one.floor,
    }
    return "warmup_stable_decay", numbers


def optimizer_lines(
    method: Method, plan: Schedule, *, scheduler: str, optimizer: str
) -> Iterator[Line]:
    """Yield the settings of the optimizer; `scheduler` and `optimizer` are the backend's names of these keys."""
    yield "learning_rate", method.learning_rate, "method.learning_rate"
    name, numbers = rate_schedule(method, plan)
    yield scheduler, name, "method.scheduler"
    if numbers:
        yield "lr_scheduler_kwargs", numbers, "method.scheduler"
    yield "warmup_steps", plan.warmup, "method.warmup_ratio"
    yield optimizer, *ADAMW
    yield "weight_decay", method.weight_decay, "method.weight_decay"
    yield "max_grad_norm", 1.0, "default: gradients are clipped at norm 1"
    if method.loraplus_lr_ratio != 1:
        yield "loraplus_lr_ratio", method.loraplus_lr_ratio, "method.loraplus_lr_ratio"
    if method.neftune_alpha is not None:
        yield "neftune_noise_alpha", method.neftune_alpha, "method.neftune_alpha"


def falling_steps(scheduler: Scheduler, plan: Schedule) -> int:
    decay = 1.0 if scheduler.decay is None else scheduler.decay
    return max(1, min(math.ceil(decay * plan.steps), plan.steps - plan.warmup))


def bounded(method: Method, plan: Schedule) -> str:
    """Return the key that decides how many steps there are, if another than `epochs`; else nothing."""
    if method.tokens is not None:
        return "method.tokens"
    if plan.steps == math.ceil(method.epochs * plan.steps_per_epoch):
        return ""
    return "method.min_steps" if plan.steps == method.min_steps else "method.max_steps"


def accumulation(method: Method) -> int:
    return method.batch_size // method.micro_batch_size


def keeps_best(method: Method, *, validation_rows: int) -> bool:
    return method.keep == "best" and validation_rows > 0


SHARED = (
    "default: rows share the computation of their common start; exact, as nothing is dropped out"
)
PLAIN_ONLY = frozenset(
    {"attn_implementation", "neftune_noise_alpha", "pad_to_sequence_len", "torch_compile"}
)
"""Overrides that speak of batches as they are by themselves, or draw other numbers for each row."""


def shares_prefix(recipe: Recipe) -> bool:
    method = recipe.method
    return not (
        # Dropout drops other units of each row, and noise is drawn for each.
        (method.kind != "full" and method.dropout > 0)
        or method.neftune_alpha is not None
        # The common start is learned from in each row.
        or method.loss_on == "everything"
        # Pairs are compared, each after its own prompt; documents and replayed text have no common start.
        or method.preference is not None
        or method.packing
        or recipe.data.replay is not None
        or any(key in PLAIN_ONLY for key, _ in recipe.backend.overrides)
    )


def dpo_losses(preference: Preference, keys: tuple[str, str]) -> Iterator[tuple[str, Json, str]]:
    """Yield TRL's losses of DPO or IPO, and their weights where the chosen answer's likelihood is one, as lines."""
    at, name = "method.preference", {"dpo": "sigmoid"}.get(preference.loss, preference.loss)
    if not preference.answer_weight:
        yield keys[0], [name], f"{at}.loss"
        return
    yield keys[0], [name, "sft"], f"{at}.answer_weight"
    yield keys[1], [1.0, preference.answer_weight], f"{at}.answer_weight"


def soft_lines(recipe: Recipe) -> Iterator[Line]:
    soft = soft_targets_of(recipe)
    if soft is not None:
        yield "distillation_weight", soft.weight, "teacher.weight"
        yield "distillation_temperature", soft.temperature, "teacher.temperature"


Line = tuple[str, Json, str]


def compiled(
    recipe: Recipe,
    lines: Iterable[Line],
    tool: str,
    problems: Sequence[Problem],
    *,
    flow: bool | None = None,
) -> BackendConfig:
    """Return lines as YAML, in their order, below a comment that names the tool.

    What the recipe overrides is in its place, further keys are last; keys with points are written as sections.
    RecipeError where there are problems: then no line is read.
    """
    if problems:
        raise RecipeError(problems)
    overrides = {
        key: ConfigLine(key=key, value=value, origin=f"backend.overrides.{key}")
        for key, value in recipe.backend.overrides
    }
    written = [
        overrides.pop(key, ConfigLine(key=key, value=value, origin=origin))
        for key, value, origin in lines
    ]
    # Sorted: the text is part of stage keys, and the order of keys in a recipe means nothing.
    written += [overrides[key] for key in sorted(overrides)]
    data: dict[str, Any] = {}
    for line in written:
        put(data, line.key, line.value)
    # Copied, so that equal parts are written out and not as references to each other.
    data = json.loads(json.dumps(data))
    body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    header = f"# {tool}; {COMPILED}: `recipe compile` writes it\n"
    return BackendConfig(text=f"{header}{body}", lines=tuple(written))
