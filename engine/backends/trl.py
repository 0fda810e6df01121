"""TRL: training in this process or in several of its own, with the same schedule, masking and endings as Axolotl."""

from collections.abc import Iterator

from engine.backends import base
from engine.backends.base import BackendConfig, CompileInputs, Launch, Line, Trained
from engine.backends.checks import device_problems, idle_of_adam, override_problems, vocabulary
from engine.environment import Device, version_of
from engine.errors import Problem, install_hint
from engine.recipe.methods import ATTENTION
from engine.recipe.model import Json, Method, Preference, Recipe

NAME = "trl"
IN_ORDER: dict[str, Json] = {"train_sampling_strategy": "sequential"}
REQUIRED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
OPTION_KEYS = {
    "dora": "use_dora",
    "rslora": "use_rslora",
    "ranks": "lora_rank_pattern",
    "alphas": "lora_alpha_pattern",
    "layers": "layers_to_transform",
}


def version() -> str | None:
    return version_of("trl")


packages = base.no_packages
kernels = base.no_kernels


def check(recipe: Recipe) -> tuple[Problem, ...]:
    overrides = recipe.backend.overrides
    return (*override_problems(overrides, vocabulary(NAME)), *idle_of_adam(overrides, "optim"))


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    needed = (*REQUIRED, "bitsandbytes") if recipe.method.kind == "qlora" else REQUIRED
    missing = [name for name in needed if version_of(name) is None]
    message, hint = f"not installed: {', '.join(missing)}", install_hint("train")
    absent = Problem(code="B402", message=message, path="backend.name", hint=hint)
    return (*([absent] if missing else []), *device_problems(recipe, device))


def compile(recipe: Recipe, setting: CompileInputs) -> BackendConfig:  # noqa: A001 - the verb of the contract
    return base.compiled(recipe, _lines(recipe, setting), "trl", check(recipe))


def train(launch: Launch) -> Trained:
    from engine.backends.launches import train_trl  # which no plan needs

    return train_trl(launch)


def _lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    method = recipe.method
    yield "base_model", "base_model", "base_model"
    yield "attn_implementation", "sdpa", "default: on every device, nothing fetched"
    yield "adapter", "none" if method.kind == "full" else method.kind, "method.kind"
    if method.kind != "full":
        yield "load_in_4bit", method.kind == "qlora", "method.kind"
        if method.kind == "qlora" and setting.device.kind == "cpu":
            yield "repack_4bit", False, "default: gradients of repacked weights are wrong"
        yield from adapter_precision(method)
        yield from base.method_lines(method, base.ADAPTER)
        yield "lora_target_modules", targets(method), "method.target_modules"
        yield from base.adapter_lines(method, OPTION_KEYS)
    elif method.train_only is not None:
        yield "unfrozen_parameters", base.unfrozen(method), "method.train_only"
    yield "precision", setting.precision, "backend.precision"
    yield "max_length", method.max_length, "method.max_length"
    if method.loss_on == "everything":
        yield "train_on_inputs", True, "method.loss_on"
    if method.preference is not None:
        yield from _preference(method.preference)
    if base.shares_prefix(recipe):
        yield "shared_prefix", True, base.SHARED
    if recipe.method.packing:
        yield "packed_rows", True, "method.packing"
    yield from base.soft_lines(recipe)
    yield from optimization(method, setting)
    yield from schedule_lines(method, setting)
    yield "seed", method.seed, "method.seed"


def _preference(preference: Preference) -> Iterator[Line]:
    at, loss = "method.preference", preference.loss
    yield "preference", loss, f"{at}.loss"
    yield "beta", preference.beta, f"{at}.beta"
    if loss in ("dpo", "ipo"):
        yield from base.dpo_losses(preference, ("loss_type", "loss_weights"))
    elif loss == "simpo":
        yield "loss_type", "simpo", f"{at}.loss"
        yield "cpo_alpha", preference.answer_weight, f"{at}.answer_weight"
        yield "simpo_gamma", preference.gamma, f"{at}.gamma"
    elif loss == "kto":
        yield "desirable_weight", preference.desirable_weight, f"{at}.desirable_weight"
        yield "undesirable_weight", preference.undesirable_weight, f"{at}.undesirable_weight"


def adapter_precision(method: Method) -> Iterator[Line]:
    """Yield the precision of an adapter on 4-bit weights, which TRL would train in 16 bits."""
    if method.kind == "qlora":
        yield "adapter_precision", "fp32", "default: small steps round to nothing in 16 bits"


def targets(method: Method) -> Json:
    # PEFT's own word for every linear layer but the output.
    if method.target_modules == "all_linear":
        return "all-linear"
    return list(ATTENTION if method.target_modules == "attention" else method.target_modules)


def optimization(method: Method, setting: CompileInputs) -> Iterator[Line]:
    for key in ("per_device_train_batch_size", "per_device_eval_batch_size"):
        yield key, method.micro_batch_size, "method.micro_batch_size"
    yield "gradient_accumulation_steps", base.accumulation(method), "method.batch_size"
    plan = base.plan_of(method, setting)
    bound = base.bounded(method, plan)
    if method.tokens is None:
        yield "num_train_epochs", method.epochs, "method.epochs"
    else:
        yield "num_train_epochs", plan.whole_epochs, bound
    if bound:
        yield "max_steps", plan.steps, bound
    yield from base.optimizer_lines(method, plan, scheduler="lr_scheduler_type", optimizer="optim")
    yield "gradient_checkpointing", method.gradient_checkpointing, "method.gradient_checkpointing"


def schedule_lines(method: Method, setting: CompileInputs) -> Iterator[Line]:
    plan = base.plan_of(method, setting)
    yield "logging_steps", 1, "default: every step is recorded"
    if plan.evaluate_every:
        yield "eval_steps", plan.evaluate_every, "method.evaluations_per_epoch"
        yield "eval_on_start", True, "default: the loss before any training"
    yield "save_steps", plan.save_every, "method.evaluations_per_epoch"
    yield "save_total_limit", 2, "default: the best and the last checkpoint"
    best = base.keeps_best(method, validation_rows=setting.validation_rows)
    yield "load_best_model_at_end", best, "method.keep"
    if plan.evaluate_every and method.early_stopping is not None:
        patience = method.early_stopping.patience
        yield "early_stopping_patience", patience, "method.early_stopping.patience"
