"""Unsloth: the recipe becomes arguments of its `FastLanguageModel` and of TRL's SFTConfig. Never imports Unsloth.

It wants other versions of libraries than Axolotl does, so it lives in an environment of its own, whose Python
`UNSLOTH_PYTHON` names. Whatever it would choose by itself is written down.
"""

from collections.abc import Iterator, Mapping

from engine.backends import base, trl
from engine.backends.base import BackendConfig, CompileInputs, Launch, Line, Trained
from engine.backends.checks import (
    device_problems,
    idle_of_adam,
    option_problems,
    override_problems,
    soft_problems,
    vocabulary,
)
from engine.environment import UNSLOTH, Device, packages_of, unsloth_python, version_of
from engine.errors import Problem, Severity, install_hint
from engine.recipe.model import Json, Method, Recipe
from engine.values import replace

NAME = "unsloth"
IN_ORDER = trl.IN_ORDER
PINNED = "2026.10.9"
"""The version whose arguments are compiled; others may take them otherwise."""
LEAST_PYTHON = (3, 12)
"""Of its environment: this package's own modules run there too."""
MAKE_IT = (
    "uv venv --python 3.13 ~/unsloth && "
    f"uv pip install --python ~/unsloth/bin/python unsloth=={PINNED}"
)
REQUIRED = ("torch", "transformers", "peft")
"""In this environment: for the rows before training and the model after it."""
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
EIGHT_BIT = "adamw_8bit"


def version() -> str | None:
    return packages().get(UNSLOTH)


def packages() -> Mapping[str, str]:
    python = unsloth_python()
    try:
        return packages_of(python) if python else {}
    except OSError:
        return {}


def environment_words() -> str:
    found = packages()
    if missing := _missing(found):
        return f"{missing[0].message}; {missing[0].hint}"
    return f"unsloth {found[UNSLOTH]} on Python {found['python']}, in {unsloth_python()}"


kernels = base.no_kernels


def check(recipe: Recipe) -> tuple[Problem, ...]:
    overrides = recipe.backend.overrides
    found = (
        *override_problems(overrides, vocabulary(NAME, PINNED)),
        *idle_of_adam(overrides, "optim"),
    )
    return (*found, *_not_trained(recipe.method), *soft_problems(recipe, NAME))


def _not_trained(method: Method) -> Iterator[Problem]:
    other = "set backend.name: trl"
    if method.kind != "full" and method.dropout:
        message = f"the unsloth backend trains without dropout, not with {method.dropout:g}"
        yield _problem("B441", message, f"write `dropout: 0`, or {other}", "method.dropout")
    yield from option_problems(method, NAME)
    if method.preference is not None:
        message = "the unsloth backend trains on answers, not on preferences"
        yield _problem("B443", message, other, "method.preference")


def check_environment(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    return tuple(_of_environment(recipe, device))


def _of_environment(recipe: Recipe, device: Device) -> Iterator[Problem]:
    if absent := [name for name in REQUIRED if version_of(name) is None]:
        yield _problem("B402", f"not installed: {', '.join(absent)}", install_hint("train"))
    yield from _missing(packages())
    other = "set backend.name: trl"
    if device.kind == "mps":
        yield _problem("B442", "the unsloth backend trains on NVIDIA GPUs and CPUs", other)
    for problem in device_problems(recipe, device):
        # Elsewhere it is slow; Unsloth would train in 32 bits without saying so.
        is_emulated = problem.code == "B410"
        yield replace(problem, severity=Severity.ERROR) if is_emulated else problem
    for key, value in recipe.backend.overrides:
        if device.kind == "cuda":
            is_replaced = key == "attn_implementation" and value is not None
        else:
            is_replaced = device.kind == "cpu" and (key, value) == ("optim", EIGHT_BIT)
        if is_replaced:
            message = f"Unsloth chooses `{key}` itself on this device, and would not take `{value}`"
            at = f"backend.overrides.{key}"
            yield _problem("B442", message, f"delete the line, or {other}", at)


def _missing(found: Mapping[str, str]) -> tuple[Problem, ...]:
    python, here = unsloth_python(), found.get(UNSLOTH)
    if here is None:
        what = f"`{python}` has no Unsloth" if found else f"`{python}` is no Python"
        why = f"UNSLOTH_PYTHON: {what}" if python else "UNSLOTH_PYTHON names no Python"
        hint = f"{MAKE_IT}; then set UNSLOTH_PYTHON=~/unsloth/bin/python"
        return (_problem("B440", f"Unsloth has no environment here: {why}", hint),)
    if here != PINNED:
        message = f"unsloth {here} is installed, configs are compiled for {PINNED}"
        hint = f"uv pip install --python {python} unsloth=={PINNED}"
        return (_problem("B403", message, hint),)
    if tuple(map(int, found["python"].split(".")[:2])) < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        message = f"Unsloth's environment has Python {found['python']}, at least {least} is needed"
        return (_problem("B440", message, MAKE_IT),)
    return ()


def _problem(code: str, message: str, hint: str, path: str = "backend.name") -> Problem:
    return Problem(code=code, message=message, path=path, hint=hint)


def compile(recipe: Recipe, setting: CompileInputs) -> BackendConfig:  # noqa: A001 - the verb of the contract
    return base.compiled(recipe, _lines(recipe, setting), f"unsloth {PINNED}", check(recipe))


def train(launch: Launch) -> Trained:
    from engine.backends.launches import train_unsloth  # which no plan needs

    return train_unsloth(launch)


def _lines(recipe: Recipe, setting: CompileInputs) -> Iterator[Line]:
    method = recipe.method
    full, on_gpu = method.kind == "full", setting.device.kind == "cuda"
    yield "base_model", "base_model", "base_model"
    yield "local_files_only", True, "default: nothing is fetched"
    yield "use_exact_model_name", True, "default: no other repository takes the model's place"
    yield "trust_remote_code", False, "default: a recipe is data, never code"
    yield "max_seq_length", method.max_length, "method.max_length"
    if full and not on_gpu:
        yield "dtype", DTYPES["fp32"], "default: small steps round to nothing in 16 bits"
    else:
        yield "dtype", DTYPES[setting.precision], "backend.precision"
    yield "load_in_4bit", method.kind == "qlora", "method.kind"
    yield "full_finetuning", full, "method.kind"
    if full and on_gpu:
        reason = "default: small steps round to nothing in weights of 16 bits"
        yield "float32_mixed_precision", True, reason
    if not on_gpu:
        yield "attn_implementation", "sdpa", "default: on every CPU, nothing fetched"
    # `unsloth` keeps activations in the machine's memory, where a CPU has them anyway.
    kept: Json = "unsloth" if on_gpu and method.gradient_checkpointing else None
    asked = method.gradient_checkpointing
    yield "use_gradient_checkpointing", kept or asked, "method.gradient_checkpointing"
    if method.kind != "full":
        yield from base.method_lines(method, base.ADAPTER)
        yield "lora_target_modules", trl.targets(method), "method.target_modules"
        yield "lora_bias", "none", "default: merging takes weights only"
        yield from trl.adapter_precision(method)
        yield "random_state", method.seed, "method.seed"
    if setting.device.kind == "cpu" and base.shares_prefix(recipe):
        yield "shared_prefix", True, base.SHARED
    yield "max_length", method.max_length, "method.max_length"
    yield "packing", False, "default: rows do not see each other"
    # Left open, Unsloth lays the rows of a batch behind each other on a GPU.
    yield "padding_free", False, "default: rows do not see each other"
    yield "precision", setting.precision, "backend.precision"
    yield from trl.optimization(method, setting)
    yield from trl.schedule_lines(method, setting)
    yield "seed", method.seed, "method.seed"
