"""Axolotl: the recipe becomes its YAML with what it is given on an NVIDIA GPU, and a process of its own trains it."""

import importlib.util
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine.backends import base
from engine.backends.base import BackendConfig, CompileInputs, Launch, Line, Trained, shares_prefix
from engine.backends.checks import (
    device_problems,
    idle,
    idle_of_adam,
    override_problems,
    vocabulary,
)
from engine.environment import Device, version_of
from engine.errors import Problem, install_hint
from engine.recipe.methods import ATTENTION
from engine.recipe.model import Json, Method, Preference, Recipe
from engine.recipe.teacher import soft_targets_of

NAME = "axolotl"
PINNED = "0.21.0"
"""The version whose keys are listed; `schemas/axolotl/make_keys.py` writes the list."""
IN_ORDER: dict[str, Json] = {"curriculum_sampling": True, "shuffle_merged_datasets": False}
# The name is part of compiled configs, whose bytes are part of keys: with another one everything is trained again.
PLUGIN = "engine.runtime.axolotl_plugin"
"""Only this file names plugins; recipes cannot."""

OPTION_KEYS = {
    "dora": "peft_use_dora",
    "rslora": "peft_use_rslora",
    "ranks": "lora_rank_pattern",
    "alphas": "lora_alpha_pattern",
    "layers": "peft_layers_to_transform",
}


def version() -> str | None:
    return version_of("axolotl")


packages = base.no_packages


def check(recipe: Recipe) -> tuple[Problem, ...]:
    overrides = recipe.backend.overrides
    problems = override_problems(overrides, vocabulary(NAME, PINNED))
    return (*problems, *_unread(recipe), *idle_of_adam(overrides, "optimizer"))


def _unread(recipe: Recipe) -> Iterator[Problem]:
    method = recipe.method
    unread = {
        # Its builder of preference trainers does not read them (`axolotl.core.builders.causal` does).
        ("group_by_length", "pad_to_sequence_len"): (
            method.preference is not None,
            "Axolotl reads this for answers only: with preferences it would do nothing",
            "delete it",
        ),
        # Without an adapter the ratio would raise the rate of norms, and the kernels end the training.
        ("lora_mlp_kernel", "lora_o_kernel", "lora_qkv_kernel", "loraplus_lr_ratio"): (
            method.kind == "full",
            "this is of adapters, and `method.kind: full` has none",
            "delete it",
        ),
        # Its scheduler of that name alone reads it (`axolotl.core.trainers.mixins.scheduler`).
        ("cosine_min_lr_ratio",): (
            method.scheduler != "cosine",
            "Axolotl reads this for `scheduler: cosine` only: it would do nothing",
            "delete it, and write a `floor` under method.scheduler",
        ),
    }
    for keys, (is_unread, message, hint) in unread.items():
        for key, value in recipe.backend.overrides if is_unread else ():
            if key in keys and value:
                yield idle(key, message, hint)


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    installed, at, others = version(), "backend.name", device_problems(recipe, device)
    if installed == PINNED:
        return others
    message = f"axolotl {installed} is installed, configs are compiled for {PINNED}"
    hint = f"uv pip install 'axolotl=={PINNED}'"
    found = Problem(code="B403", message=message, path=at, hint=hint)
    if installed is None:
        message, hint = "axolotl is not installed", f"{install_hint('axolotl')}, or set {at}: trl"
        found = Problem(code="B402", message=message, path=at, hint=hint)
    return (found, *others)


def compile(recipe: Recipe, setting: CompileInputs) -> BackendConfig:  # noqa: A001 - the verb of the contract
    return base.compiled(recipe, _lines(recipe, setting), f"axolotl {PINNED}", check(recipe))


def train(launch: Launch) -> Trained:
    from engine.backends.launches import train_axolotl  # which no plan needs

    return train_axolotl(launch)


def _lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    method = recipe.method
    yield from _model(recipe, setting)
    yield "plugins", _plugins(recipe, setting), "default: progress is recorded; see each of them"
    yield from kernel_lines(recipe, setting)
    # Segments and no chat template: what is learned is then token for token what inference sends (decision 0001).
    train: dict[str, Json] = {"path": "train.jsonl", "ds_type": "json", **_row_type(method)}
    yield "datasets", [train], "data"
    if setting.validation_rows:
        # A local file is always loaded as the split `train`, whatever it is used for.
        validation: dict[str, Json] = {**train, "path": "validation.jsonl", "split": "train"}
        yield "test_datasets", [validation], "splits.validation"
    yield "val_set_size", 0, "default: the data stage has split the rows"
    yield "sequence_len", method.max_length, "method.max_length"
    # Axolotl drops rows that are too long by default, with one line in its log.
    yield "excess_length_strategy", "raise", "default: no row is dropped silently"
    unpacked = "default: rows do not see each other"
    if method.packing:  # so that steps are counted of the rows that are trained
        unpacked = "method.packing: the rows are packed already"
    yield "sample_packing", False, unpacked
    yield "eval_sample_packing", False, unpacked
    yield "pad_to_sequence_len", False, "default: short rows stay cheap"
    if method.loss_on == "everything":
        yield "train_on_inputs", True, "method.loss_on"
    else:
        yield "train_on_inputs", False, "default: only answers are learned"
    yield "shuffle_merged_datasets", True, "default: seeded by `seed`"
    # Axolotl's key of prepared rows does not cover the content of files, and without a path it reuses
    # `last_run_prepared`: rows that were added to a file would not be trained.
    yield "dataset_prepared_path", "prepared", "default: a cache per training, never a shared one"
    yield "dataset_num_proc", 1, "default: same order everywhere"
    if method.preference is not None:
        yield from _preference(method.preference)
    yield from base.soft_lines(recipe)
    yield "micro_batch_size", method.micro_batch_size, "method.micro_batch_size"
    yield "gradient_accumulation_steps", base.accumulation(method), "method.batch_size"
    yield "eval_batch_size", method.micro_batch_size, "method.micro_batch_size"
    plan = base.plan_of(method, setting)
    bound = base.bounded(method, plan)
    # Axolotl takes the smaller one of both, so epochs follow where a bound asks for more steps.
    yield "num_epochs", plan.whole_epochs if bound else method.epochs, bound or "method.epochs"
    # By itself Axolotl multiplies rows by epochs before it rounds, and trains a step less when batches are not full.
    yield "max_steps", plan.steps, bound or "method.epochs"
    yield from base.optimizer_lines(method, plan, scheduler="lr_scheduler", optimizer="optimizer")
    yield from _schedule(method, setting)
    held = "fp32" if _mixed_full(method, setting) else setting.precision
    # All three are written down: `bf16: auto` becomes fp16 on a CPU.
    yield "bf16", held == "bf16", "backend.precision"
    yield "fp16", held == "fp16", "backend.precision"
    yield tf32(setting)
    yield "gradient_checkpointing", method.gradient_checkpointing, "method.gradient_checkpointing"
    # Without the key Axolotl shuffles the rows at random, though transformers falls back to 42.
    yield "seed", method.seed, "method.seed"
    yield "dataloader_num_workers", 0, "default: same order everywhere"
    pinned = setting.device.kind == "cuda"
    yield "dataloader_pin_memory", pinned, "default: pinned memory only speeds up a GPU"
    yield "output_dir", "output", "default: within the launch folder"
    yield "strict", True, "default: command-line flags cannot change the config"


def _model(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    method = recipe.method
    yield "base_model", "base_model", "base_model"
    yield "trust_remote_code", False, "default: a recipe is data, never code"
    yield attention(recipe, setting)
    if method.kind != "full":
        yield "adapter", method.kind, "method.kind"
        yield "load_in_4bit", method.kind == "qlora", "method.kind"
        yield "load_in_8bit", False, "default: the recipe language has no 8-bit training"
        yield from base.method_lines(method, base.ADAPTER)
        yield _targets(method)
        yield from base.adapter_lines(method, OPTION_KEYS)
        for part in ("mlp", "qkv", "o", "embedding"):
            yield (
                f"lora_{part}_kernel",
                False,
                "default: triton kernels are not deterministic and need a GPU",
            )
    elif method.train_only is not None:
        yield "unfrozen_parameters", base.unfrozen(method), "method.train_only"


def _targets(method: Method) -> Line:
    if method.target_modules == "all_linear":
        return "lora_target_linear", True, "method.target_modules"
    names = ATTENTION if method.target_modules == "attention" else method.target_modules
    return "lora_target_modules", list(names), "method.target_modules"


def _plugins(recipe: Recipe, setting: CompileInputs) -> list[Json]:
    """Return the recorder, and those for batches, the CPU, 32-bit weights of full training, 4-bit weights on it.

    And the one that counts layers where only the base model says how many there are.
    Axolotl's own for the kernels of a GPU come last.
    """
    method = recipe.method
    names = ["SharePrefix"] if base.shares_prefix(recipe) else []
    if method.packing:
        names.append("Packed")
    if soft_targets_of(recipe) is not None:
        # After those that change batches: it adds to theirs.
        names.append("LearnSoftTargets")
    names.append("Recorder")
    if method.preference is not None:
        names.append("EndTurns")
    if setting.device.kind == "cpu":
        names.append("OnCpu")
    if _mixed_full(method, setting):
        names.append("MixedPrecision" if setting.precision == "bf16" else "MixedHalf")
    if method.kind == "qlora" and setting.device.kind == "cpu":
        names.append("Unpacked")
    if method.train_only is not None or isinstance(method.layers, str):
        names.append("CountLayers")
    ours = [f"{PLUGIN}.{name}" for name in names]
    return [*ours, *plugins(recipe, setting)]


def _mixed_full(method: Method, setting: CompileInputs) -> bool:
    """Axolotl's `bf16: true` and `fp16: true` hold all weights in 16 bits.

    Small steps of full training round to nothing in bf16, and gradients of fp16 weights cannot be scaled back.
    """
    return method.kind == "full" and setting.precision != "fp32"


def _row_type(method: Method) -> dict[str, Json]:
    if method.preference is None:
        return {"type": "input_output"}
    # Axolotl has one form of rows for ORPO, which it renders by itself; without any it takes the columns as they are.
    if method.preference.loss == "orpo":
        return {}
    pair = ("prompt", "chosen", "rejected")
    columns = pair if method.preference.reads_pairs else ("prompt", "completion", "label")
    return {"type": {f"field_{name}": name for name in columns}}


def _preference(preference: Preference) -> Iterator[Line]:
    at, loss = "method.preference", preference.loss
    # Of IPO's own name Axolotl takes no second loss beside it.
    yield "rl", "dpo" if loss == "ipo" else loss, f"{at}.loss"
    yield "rl_beta", preference.beta, f"{at}.beta"
    if loss in ("dpo", "ipo"):
        yield from base.dpo_losses(preference, ("dpo_loss_type", "dpo_loss_weights"))
    elif loss == "simpo":
        # By itself Axolotl adds the likelihood with a weight of 1.
        yield "cpo_alpha", preference.answer_weight, f"{at}.answer_weight"
        yield "simpo_gamma", preference.gamma, f"{at}.gamma"
    elif loss == "kto":
        yield "kto_desirable_weight", preference.desirable_weight, f"{at}.desirable_weight"
        yield "kto_undesirable_weight", preference.undesirable_weight, f"{at}.undesirable_weight"
        yield "remove_unused_columns", False, "default: KTO needs the column `label`"


def _schedule(method: Method, setting: CompileInputs) -> Iterator[Line]:
    plan = base.plan_of(method, setting)
    best = base.keeps_best(method, validation_rows=setting.validation_rows)
    yield "logging_steps", 1, "default: every step is recorded"
    yield "logging_nan_inf_filter", False, "default: a loss that is not a number is seen"
    # Steps as integers: one evaluation an epoch for one epoch would come out as none, and beside early stopping
    # Axolotl refuses evaluations by epoch and some fractions.
    if plan.evaluate_every:
        yield "eval_strategy", "steps", "method.evaluations_per_epoch"
        yield "eval_steps", plan.evaluate_every, "method.evaluations_per_epoch"
        yield "eval_on_start", True, "default: the loss before any training"
    yield "save_strategy", "steps", "method.evaluations_per_epoch"
    yield "save_steps", plan.save_every, "method.evaluations_per_epoch"
    yield "save_total_limit", 2, "default: the best and the last checkpoint"
    yield "save_only_model", False, "default: an interrupted training goes on"
    yield "auto_resume_from_checkpoints", True, "default: an interrupted training goes on"
    yield "load_best_model_at_end", best, "method.keep"
    if plan.evaluate_every:
        # `greater_is_better` is left out: Axolotl passes on a true value only, and transformers knows that a loss
        # falls.
        yield "metric_for_best_model", "eval_loss", "method.keep"
        if method.early_stopping is not None:
            patience = method.early_stopping.patience
            yield "early_stopping_patience", patience, "method.early_stopping.patience"


LIGER, FLASH = "liger-kernel", "flash-attn"
LIGER_PLUGIN = "axolotl.integrations.liger.LigerPlugin"
TOKENWISE = ("liger_rope", "liger_rms_norm", "liger_glu_activation")
"""What Liger computes token by token: the same whatever attention and batches are."""
LOSS = "liger_fused_linear_cross_entropy"
LONG = 2048
"""`method.max_length` from which on flash attention is worth its unpadding of every layer's states."""


def kernels(device: Device) -> tuple[str, ...]:
    """Return the packages of GPU kernels that training on this device can use; none but on an NVIDIA GPU."""
    return _importable() if device.kind == "cuda" else ()


def plugins(recipe: Recipe, setting: CompileInputs) -> list[str]:
    return [LIGER_PLUGIN] if LIGER in _chosen(recipe, setting) else []


def kernel_lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    if LIGER not in _chosen(recipe, setting):
        return
    for name in TOKENWISE:
        yield name, True, "default: fused on a GPU; computes token by token"
    plain = {
        # Labels of such rows are none that the fused losses of some models read.
        "rows that share their start have logits only where something is learned": shares_prefix(
            recipe
        ),
        "soft targets are compared with the logits of learned tokens": soft_targets_of(recipe),
        # Their trainers give the model no labels: they read its logits.
        "losses of preferences are computed of logits": recipe.method.preference,
    }
    reason = next((words for words, holds in plain.items() if holds), "")
    yield LOSS, not reason, f"default: {reason or 'no logits of all tokens are held'}"


def attention(recipe: Recipe, setting: CompileInputs) -> Line:
    """Return the attention that rows are trained with where they do not share their start."""
    if FLASH in _chosen(recipe, setting):
        reason = f"default: flash-attn is installed, and rows may have {LONG} tokens or more"
        return "attn_implementation", "flash_attention_2", reason
    return "attn_implementation", "sdpa", "default: on every device, nothing fetched"


def tf32(setting: CompileInputs) -> Line:
    """Return whether what is left of 32-bit products may round to TF32: where products are of bf16 anyway."""
    if _rounds(setting):
        return "tf32", True, "default: products are of bf16, which rounds more"
    if setting.device.kind != "cuda":
        return "tf32", False, "default: a format of NVIDIA GPUs"
    if not setting.device.bf16:
        return "tf32", False, "default: this GPU has none; it came with bf16"
    exact = "fp32 means" if setting.precision == "fp32" else "what fp16 leaves in 32 bits stays"
    return "tf32", False, f"default: {exact} fp32"


def _chosen(recipe: Recipe, setting: CompileInputs) -> tuple[str, ...]:
    method = recipe.method
    # Flash attention keeps documents of packed rows apart in batches of one row only, and needs weights of 16 bits.
    is_plain = not (shares_prefix(recipe) or method.packing or method.kind == "full")
    used = (LIGER, FLASH) if is_plain and method.max_length >= LONG else (LIGER,)
    return tuple(one for one in used if one in setting.kernels) if _rounds(setting) else ()


def _rounds(setting: CompileInputs) -> bool:
    # Before Ampere bfloat16 can be asked for too, and is emulated: transformers refuses TF32 there, and neither
    # Triton's kernels nor flash attention have it.
    return setting.device.kind == "cuda" and setting.precision == "bf16" and setting.device.bf16


@cache
def _importable() -> tuple[str, ...]:
    import sysconfig  # only where there is a GPU

    there = {
        name: importlib.util.find_spec(name) for name in ("triton", "liger_kernel", "flash_attn")
    }
    # Triton compiles the launcher of its kernels in C when they first run.
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    compiles = header.exists() and any(map(shutil.which, ("gcc", "clang")))
    found = [LIGER] if there["triton"] and there["liger_kernel"] and compiles else []
    return tuple([*found, FLASH] if there["flash_attn"] else found)
