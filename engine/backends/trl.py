"""TRL: training in this process, with the same schedule, masking and endings as Axolotl.

For laptops, GPUs without Axolotl, and the fast tests. Its config is a closed list of keys too; every line has an origin.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.backends import trainer_state
from engine.backends.base import (
    BackendConfig,
    ConfigLine,
    Launch,
    Schedule,
    Setting,
    Trained,
    accumulation,
    keeps_best,
    schedule,
    to_config,
)
from engine.backends.checks import device_problems
from engine.backends.overrides import Vocabulary, override_problems
from engine.environment import Device, version_of
from engine.errors import Problem, RecipeError, StageError
from engine.recipe.model import Json, Method, Recipe

NAME = "trl"
REQUIRED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
CONFIG = "config.yaml"
OUTPUT = "output"
LOG = "train.log"

_NUMBER, _COUNT, _FLAG, _WORD = (
    frozenset({"float"}),
    frozenset({"int"}),
    frozenset({"bool"}),
    frozenset({"str"}),
)
VOCABULARY = Vocabulary(
    name="the trl backend",
    kinds={
        "attn_implementation": _WORD,
        "adam_beta1": _NUMBER,
        "adam_beta2": _NUMBER,
        "adam_epsilon": _NUMBER,
        "eval_on_start": _FLAG,
        "full_determinism": _FLAG,
        "logging_steps": _COUNT,
        "max_grad_norm": _NUMBER,
        "neftune_noise_alpha": _NUMBER,
        "optim": _WORD,
        "per_device_eval_batch_size": _COUNT,
        "save_total_limit": _COUNT,
    },
    overridable=frozenset(
        {
            "attn_implementation",
            "adam_beta1",
            "adam_beta2",
            "adam_epsilon",
            "eval_on_start",
            "full_determinism",
            "logging_steps",
            "max_grad_norm",
            "neftune_noise_alpha",
            "optim",
            "per_device_eval_batch_size",
            "save_total_limit",
        }
    ),
    from_recipe={
        "adapter": "method.kind",
        "load_in_4bit": "method.kind",
        "lora_r": "method.rank",
        "lora_alpha": "method.alpha",
        "lora_dropout": "method.dropout",
        "lora_target_modules": "method.target_modules",
        "max_length": "method.max_length",
        "per_device_train_batch_size": "method.micro_batch_size",
        "gradient_accumulation_steps": "method.batch_size",
        "num_train_epochs": "method.epochs",
        "learning_rate": "method.learning_rate",
        "lr_scheduler_type": "method.scheduler",
        "warmup_steps": "method.warmup_ratio",
        "weight_decay": "method.weight_decay",
        "eval_steps": "method.evaluations_per_epoch",
        "save_steps": "method.evaluations_per_epoch",
        "load_best_model_at_end": "method.keep",
        "early_stopping_patience": "method.early_stopping.patience",
        "precision": "backend.precision",
        "gradient_checkpointing": "method.gradient_checkpointing",
        "seed": "method.seed",
    },
    values={
        "attn_implementation": ("sdpa", "eager"),
        "optim": ("adamw_torch", "adamw_torch_fused", "adamw_bnb_8bit", "adafactor", "sgd"),
    },
)

Line = tuple[str, Json, str]


def version() -> str | None:
    """The installed version of TRL, or None."""
    return version_of("trl")


def check(recipe: Recipe) -> tuple[Problem, ...]:
    """Overrides that may not stand."""
    return override_problems(recipe.backend.overrides, VOCABULARY)


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    """Packages that are missing, or a device that cannot train the method."""
    needed = (*REQUIRED, "bitsandbytes") if recipe.method.kind == "qlora" else REQUIRED
    missing = [name for name in needed if version_of(name) is None]
    problems = device_problems(recipe, device)
    if not missing:
        return problems
    absent = Problem(
        code="B402",
        message=f"not installed: {', '.join(missing)}",
        path="backend.name",
        hint="pip install 'slm-recipe[train]'",
    )
    return (absent, *problems)


def compile(recipe: Recipe, setting: Setting) -> BackendConfig:  # noqa: A001 - the verb of the contract
    """The config of a recipe, every line with its origin. RecipeError B404–B407 for bad overrides."""
    problems = override_problems(recipe.backend.overrides, VOCABULARY)
    if problems:
        raise RecipeError(problems)
    overrides = dict(recipe.backend.overrides)
    lines = []
    for key, value, origin in _lines(recipe.method, setting):
        given = overrides.pop(key, None)
        lines.append(
            ConfigLine(key=key, value=value, origin=origin)
            if given is None
            else ConfigLine(key=key, value=given, origin=f"backend.overrides.{key}")
        )
    lines += [
        ConfigLine(key=key, value=value, origin=f"backend.overrides.{key}")
        for key, value in sorted(overrides.items())
    ]
    return to_config(lines, "trl; compiled, do not edit: `recipe compile` writes it")


def train(launch: Launch) -> Trained:
    """Train in this process, or go on from the last complete checkpoint.

    Raises:
        StageError: B411 the trainer failed, B412 no whole checkpoint, B414 a loss that is not a number.

    """
    output = _prepare(launch)
    moved = trainer_state.set_incomplete_aside(output)
    for path in moved:
        launch.progress.note(f"{path.name.rpartition('-')[0]} was not wholly written, set aside")
    found = trainer_state.checkpoints(output)
    resume = found[-1] if found else None
    if resume:
        launch.progress.note(f"continuing from step {resume[0]}")
    plan = _plan(launch.method, launch.setting)
    events = _Events(launch, plan)
    started = time.monotonic()
    _run(launch, output, resume[1] if resume else None, events)
    events.refuse_nonfinite()
    best = keeps_best(launch.method, validation_rows=launch.setting.validation_rows)
    ending = trainer_state.judge_ending(output, launch.method, steps=plan.steps, best=best)
    return Trained(
        folder=ending.kept,
        log=launch.folder / LOG,
        steps=ending.steps,
        epochs=ending.epochs,
        seconds=time.monotonic() - started,
        kept_step=ending.kept_step,
        stopped_early=ending.stopped_early,
        resumed_from_step=resume[0] if resume else None,
        trainable_parameters=events.facts["trainable_parameters"],
        total_parameters=events.facts["total_parameters"],
        history=ending.history,
        facts=events.facts,
    )


def _run(launch: Launch, output: Path, resume: Path | None, events: _Events) -> None:
    from engine.runtime import training  # noqa: PLC0415 - torch is imported here and not before

    try:
        training.train(
            yaml.safe_load(launch.config),
            training.Folders(
                rows=launch.rows, base_model=launch.base_model, output=output, resume=resume
            ),
            device=launch.setting.device,
            tell=events.tell,
        )
    except (RuntimeError, ValueError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError.one(
            "B411",
            f"trl failed after step {events.done} of {events.steps}: {first}",
            hint="lower method.micro_batch_size if memory ran out; running again continues "
            "from the last checkpoint",
        ) from error


def _prepare(launch: Launch) -> Path:
    """The output folder; what another config left in it is moved aside, not resumed."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    output, config = launch.folder / OUTPUT, launch.folder / CONFIG
    if config.exists() and config.read_text(encoding="utf-8") != launch.config and output.exists():
        shutil.move(output, launch.folder / f"other-{time.time_ns()}")
    config.write_text(launch.config, encoding="utf-8")
    output.mkdir(exist_ok=True)
    return output


class _Events:
    """Passes the trainer's events on to progress and the log, and remembers facts."""

    def __init__(self, launch: Launch, plan: Schedule) -> None:
        self.steps = plan.steps
        self.done = 0
        self.facts: dict[str, Any] = {"product_dtype": None}
        self._launch = launch
        self._shown: dict[str, str] = {}
        self._bad: Mapping[str, Any] | None = None
        self._first: tuple[float, int] | None = None

    def tell(self, event: Mapping[str, Any]) -> None:
        with (self._launch.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(yaml.safe_dump(dict(event), default_flow_style=True, width=1000))
        kind = event["event"]
        if kind == "start":
            self.facts |= event
        elif kind == "nonfinite":
            self._bad = event
        elif kind == "step":
            self._step(int(event["step"]))
        else:
            self.facts["product_dtype"] = event.get("product_dtype", self.facts["product_dtype"])
            names = {"loss": "loss", "eval_loss": "validation"}
            self._shown |= {names[key]: f"{event[key]:.3g}" for key in names if key in event}

    def refuse_nonfinite(self) -> None:
        if self._bad is not None:
            name = next(key for key in ("loss", "eval_loss", "grad_norm") if key in self._bad)
            raise trainer_state.nonfinite(name, self._bad[name], int(self._bad["step"]))

    def _step(self, step: int) -> None:
        self.done = step
        now = time.monotonic()
        self._first = self._first or (now, step)
        began, began_step = self._first
        rate = {}
        if step > began_step and now > began:
            rows = (step - began_step) * self._launch.method.batch_size / (now - began)
            rate = {"rows_per_second": f"{rows:.2g}"}
        self._launch.progress.update(step, self.steps, "step", **self._shown, **rate)


def _lines(method: Method, setting: Setting) -> Iterator[Line]:
    yield from _model(method, setting)
    yield from _optimization(method, setting)
    yield from _schedule(method, setting)
    yield "seed", method.seed, "method.seed"


def _model(method: Method, setting: Setting) -> Iterator[Line]:
    yield "base_model", "base_model", "base_model"
    yield "attn_implementation", "sdpa", "default: on every device, nothing fetched"
    yield "adapter", "none" if method.kind == "full" else method.kind, "method.kind"
    if method.kind != "full":
        yield "load_in_4bit", method.kind == "qlora", "method.kind"
        yield "lora_r", method.rank, "method.rank"
        yield "lora_alpha", method.alpha, "method.alpha"
        yield "lora_dropout", method.dropout, "method.dropout"
        yield "lora_target_modules", _targets(method), "method.target_modules"
    yield "precision", setting.precision, "backend.precision"
    yield "max_length", method.max_length, "method.max_length"


def _targets(method: Method) -> Json:
    if method.target_modules == "all_linear":
        return "all-linear"
    return list(ATTENTION if method.target_modules == "attention" else method.target_modules)


def _optimization(method: Method, setting: Setting) -> Iterator[Line]:
    yield "per_device_train_batch_size", method.micro_batch_size, "method.micro_batch_size"
    yield "per_device_eval_batch_size", method.micro_batch_size, "method.micro_batch_size"
    yield "gradient_accumulation_steps", accumulation(method), "method.batch_size"
    yield "num_train_epochs", method.epochs, "method.epochs"
    yield "learning_rate", method.learning_rate, "method.learning_rate"
    yield "lr_scheduler_type", method.scheduler, "method.scheduler"
    yield "warmup_steps", _plan(method, setting).warmup, "method.warmup_ratio"
    yield "optim", "adamw_torch", "default: AdamW without fused kernels"
    yield "weight_decay", method.weight_decay, "method.weight_decay"
    yield "max_grad_norm", 1.0, "default: gradients are clipped at norm 1"
    yield "gradient_checkpointing", method.gradient_checkpointing, "method.gradient_checkpointing"


def _schedule(method: Method, setting: Setting) -> Iterator[Line]:
    plan = _plan(method, setting)
    yield "logging_steps", 1, "default: every step is recorded"
    if plan.evaluate_every:
        yield "eval_steps", plan.evaluate_every, "method.evaluations_per_epoch"
        yield "eval_on_start", True, "default: the loss before any training"
    yield "save_steps", plan.save_every, "method.evaluations_per_epoch"
    yield "save_total_limit", 2, "default: the best and the last checkpoint"
    best = keeps_best(method, validation_rows=setting.validation_rows)
    yield "load_best_model_at_end", best, "method.keep"
    if plan.evaluate_every and method.early_stopping is not None:
        patience = method.early_stopping.patience
        yield "early_stopping_patience", patience, "method.early_stopping.patience"


def _plan(method: Method, setting: Setting) -> Schedule:
    return schedule(method, train_rows=setting.train_rows, validation_rows=setting.validation_rows)
