"""Nanotron: the recipe becomes its YAML for pre-training on many GPUs. Compiled only: its own program trains.

Nanotron trains under torchrun and needs flash-attn, and so CUDA; its checkpoints are converted by its own scripts. What
is compiled stands in a closed list of its keys. Blank models (`base_model.scratch`) are compiled from the recipe,
further training from the `config.json` of a local Llama.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.backends import base
from engine.backends.base import (
    BackendConfig,
    CompileInputs,
    Launch,
    Line,
    Schedule,
    Trained,
)
from engine.backends.checks import option_problems, override_problems, soft_problems, vocabulary
from engine.environment import Device
from engine.errors import Problem, StageError
from engine.files.reading import parse_json, read_json
from engine.recipe.model import Json, Method, PathRef, Recipe, Scratch
from engine.recipe.validation.schema import schema_text

NAME = "nanotron"
IN_ORDER: dict[str, Json] = {}
PINNED = "0.4"
"""The version of its source whose keys are listed; `schemas/nanotron/make_keys.py` writes the list."""
TOKENIZER, TOKENS, CHECKPOINT = "tokenizer", "tokens", "checkpoint"
"""Beside the config: the tokenizer's folder, token files (`*.ds`) of the training rows, the converted base model."""
SPREAD = 0.02
"""Standard deviation of the first weights; of matrices that layers add up Nanotron draws smaller ones by itself."""
DTYPES = {"bf16": "bfloat16", "fp32": "float32"}
OF_METHOD = {
    "tokens.sequence_length": "max_length",
    "tokens.micro_batch_size": "micro_batch_size",
    "optimizer.weight_decay": "weight_decay",
    "optimizer.learning_rate_scheduler.learning_rate": "learning_rate",
    "parallelism.recompute_layer": "gradient_checkpointing",
}
"""Keys that have the value of a key of `method`; `schemas/nanotron/fixed.json` has those that are always the same."""
COPIED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "vocab_size",
)


def version() -> str:
    return PINNED


packages = base.no_packages
kernels = base.no_kernels


def check(recipe: Recipe) -> tuple[Problem, ...]:
    problems = override_problems(recipe.backend.overrides, vocabulary(NAME, PINNED))
    problems = (*problems, *option_problems(recipe.method, NAME), *soft_problems(recipe, NAME))
    return (*problems, *_not_compiled(recipe), *_base_problems(recipe))


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:  # noqa: ARG001 - the contract's
    return (
        Problem(
            code="B444",
            message="nanotron is not started here: it trains under torchrun, on GPUs, with flash-attn",
            path="backend.name",
            hint="recipe compile RECIPE -o FOLDER writes its YAML; to train here set backend.name: trl",
        ),
    )


def compile(recipe: Recipe, setting: CompileInputs) -> BackendConfig:  # noqa: A001 - the verb of the contract
    lines = _lines(recipe, setting)
    return base.compiled(recipe, lines, f"nanotron {PINNED}", check(recipe), flow=False)


def train(launch: Launch) -> Trained:
    raise StageError.one("B444", f"nanotron is not started here: {launch.folder.name} is untouched")


def _not_compiled(recipe: Recipe) -> Iterator[Problem]:
    method, precision = recipe.method, recipe.backend.precision
    wanted = (
        (method.kind == "full", "trains whole models", "method.kind", "kind: full"),
        (recipe.task.kind == "text", "pre-trains on texts", "task.kind", "kind: text"),
        (method.keep == "last", "keeps the last checkpoint", "method.keep", "keep: last"),
        (not recipe.data.replay, "reads token files of the rows alone", "data.replay", ""),
        (not method.early_stopping, "does not stop early", "method.early_stopping", ""),
        (precision != "fp16", "trains in bf16 or fp32", "backend.precision", "precision: bf16"),
    )
    for holds, what, path, line in wanted:
        if not holds:
            hint = f"write `{line}`, or set backend.name: trl" if line else "delete the line"
            yield Problem(code="B445", message=f"the nanotron backend {what}", path=path, hint=hint)


def _base_problems(recipe: Recipe) -> Iterator[Problem]:
    base = recipe.base_model
    if isinstance(base, Scratch):
        return
    what = "compiles blank models, and Llamas whose folder `path` names"
    if isinstance(base, PathRef) and not base.withheld:
        odd = _odd_of(_config_of(base))
        if not odd:
            return
        what = f"compiles Llamas only, and this base model has {odd}"
    hint = "name a local folder with `path`, write `scratch`, or set backend.name: trl"
    message = f"the nanotron backend {what}"
    yield Problem(code="B445", message=message, path="base_model", hint=hint)


def _config_of(base: PathRef) -> Mapping[str, Any]:
    try:
        found = read_json(base.path / "config.json")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _odd_of(config: Mapping[str, Any]) -> str:
    """Return what of a model Nanotron's Llama does not have; empty where it has everything."""
    if not config:
        return "no config.json that can be read"
    missing = [key for key in COPIED if not isinstance(config.get(key), int)]
    if config.get("model_type") != "llama" or missing:
        return f"model_type {config.get('model_type')}" if not missing else f"no {missing[0]}"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    heads = config["hidden_size"] // config["num_attention_heads"]
    odd = {
        "biases": config.get("attention_bias") or config.get("mlp_bias"),
        "another activation": config.get("hidden_act", "silu") != "silu",
        "scaled positions": rope.get("rope_type", rope.get("type", "default")) != "default",
        "heads of another width": config.get("head_dim") not in (None, heads),
    }
    return next((name for name, holds in odd.items() if holds), "")


def _lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    method = recipe.method
    yield "general.project", recipe.name, "name"
    for key, (value, why) in parse_json(schema_text("nanotron/fixed.json")).items():
        yield key, value, why
    # It draws the first weights; the order of the rows has a seed of its own.
    if isinstance(recipe.base_model, Scratch):
        yield "general.seed", recipe.base_model.seed, "base_model.scratch.seed"
    else:
        yield "general.seed", method.seed, "method.seed"
    yield from _model(recipe, setting)
    yield "tokenizer.tokenizer_name_or_path", TOKENIZER, "base_model"
    yield from _training(method, setting)


def _model(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    base = recipe.base_model
    yield "model.dtype", DTYPES[setting.precision], "backend.precision"
    if isinstance(base, Scratch):
        yield "model.init_method.std", SPREAD, "default: as the engine's own blank models"
        at = "base_model.scratch"
        given = {
            "hidden_size": (base.width, "width"),
            "intermediate_size": (base.feed_forward, "feed_forward"),
            "num_hidden_layers": (base.layers, "layers"),
            "num_attention_heads": (base.heads, "heads"),
            "num_key_value_heads": (base.kv_heads, "kv_heads"),
            "max_position_embeddings": (base.context, "context"),
        }
        for key, (value, name) in given.items():
            yield f"model.model_config.{key}", value, f"{at}.{name}"
        # Nanotron's own word for it: what the metadata of the token files say.
        yield "model.model_config.vocab_size", -1, f"{at}.tokenizer"
        config: Mapping[str, Any] = {"tie_word_embeddings": True, "rms_norm_eps": 1e-6}
    else:
        yield "model.init_method.path", CHECKPOINT, "base_model"
        config = _config_of(base) if isinstance(base, PathRef) else {}
        for key in COPIED:
            yield f"model.model_config.{key}", config[key], "base_model"
    rope = config.get("rope_parameters") or {}
    theta = rope.get("rope_theta", config.get("rope_theta", 10_000.0))
    details: dict[str, Json] = {
        "hidden_act": "silu",
        "rms_norm_eps": float(config.get("rms_norm_eps", 1e-6)),
        "rope_theta": float(theta),
        "rope_interleaved": False,
        "tie_word_embeddings": bool(config.get("tie_word_embeddings", False)),
    }
    for key, detail in details.items():
        yield f"model.model_config.{key}", detail, "base_model"


def _fall(method: Method, plan: Schedule) -> dict[str, Json]:
    one, rate, steps = method.scheduler, method.learning_rate, max(1, plan.steps - plan.warmup)
    start: dict[str, Json] = {}
    if isinstance(one, str):
        # Constant is a fall to the same rate.
        style, floor = ("linear", 1.0) if one == "constant" else (one, 0.0)
    elif one.name == "cosine":
        style, floor = "cosine", one.floor
    else:
        style, floor, steps = "linear", one.floor, base.falling_steps(one, plan)
        start = {"lr_decay_starting_step": plan.steps - steps}
    falls: dict[str, Json] = {"lr_decay_style": style, "lr_decay_steps": steps}
    return {**falls, **start, "min_decay_lr": rate * floor}


def _training(method: Method, setting: CompileInputs) -> Iterator[Line]:
    plan = base.schedule(method, train_rows=setting.train_rows, validation_rows=0)
    steps = base.bounded(method, plan) or "method.epochs"
    yield from base.method_lines(method, OF_METHOD)
    yield "tokens.batch_accumulation_per_replica", base.accumulation(method), "method.batch_size"
    yield "tokens.train_steps", plan.steps, steps
    at = "optimizer.learning_rate_scheduler."
    yield f"{at}lr_warmup_steps", plan.warmup, "method.warmup_ratio"
    for key, number in _fall(method, plan).items():
        yield f"{at}{key}", number, "method.scheduler"
    data: dict[str, Json] = {
        "seed": method.seed,
        "num_loading_workers": 1,
        "dataset": {"dataset_folder": [TOKENS], "dataset_weights": [1.0]},
    }
    stage: dict[str, Json] = {"name": "training", "start_training_step": 1, "data": data}
    yield "data_stages", [stage], "data"
    yield "checkpoints.checkpoint_interval", plan.save_every, "method.evaluations_per_epoch"
