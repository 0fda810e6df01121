"""What no backend can do on a device, and options that one does not have, reported before any work is done."""

from __future__ import annotations

from engine.compute.ranks import Ranks
from engine.environment import Device
from engine.errors import Problem, Severity
from engine.recipe.methods import OPTIONS, unset_options
from engine.recipe.model import Method, Recipe
from engine.recipe.teacher import soft_targets_of

TOGETHER = ("axolotl", "trl")
"""Backends that several processes train with."""


def option_problems(method: Method, name: str) -> tuple[Problem, ...]:
    """Return the options of a method, for a backend that has none of them: R351."""
    unset = unset_options(method)
    return tuple(
        Problem(
            code="R351",
            message=f"the {name} backend does not have `{key}`",
            path=f"method.{key}",
            hint="delete the line, or set backend.name: trl",
        )
        for key in OPTIONS
        if key not in unset
    )


def check_ranks(recipe: Recipe, device: Device, ranks: Ranks) -> tuple[Problem, ...]:
    """Return what keeps several processes from training a recipe together: B433, B434."""
    reasons = {
        "backend.name": ""
        if recipe.backend.name in TOGETHER
        else f"the {recipe.backend.name} backend",
        "method.preference": "a preference loss" if recipe.method.preference else "",
        "teacher.targets": "the loss to soft targets" if soft_targets_of(recipe) else "",
    }
    found = [
        Problem(
            code="B433",
            message=f"{what} trains with one process: with several nobody has shown that it learns the same",
            path=path,
            hint="run it without --on, or with a profile of processes: 1",
        )
        for path, what in reasons.items()
        if what
    ]
    if ranks.shard and device.kind != "cuda":
        found.append(
            Problem(
                code="B434",
                message="`shard: true` divides a model among GPUs, and this machine has none",
                path="method",
                hint="take a profile without shard",
            )
        )
    return tuple(found)


def soft_problems(recipe: Recipe, name: str) -> tuple[Problem, ...]:
    """Return that a backend learns no soft targets: B446."""
    if soft_targets_of(recipe) is None:
        return ()
    return (
        Problem(
            code="B446",
            message=f"the {name} backend learns answers, and no soft targets",
            path="teacher.targets",
            hint="set `targets: answers`, or backend.name: trl",
        ),
    )


def device_problems(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    """Return combinations of method, precision and device that fail or crawl."""
    problems = []
    asked = recipe.backend.precision
    if recipe.method.kind == "qlora" and device.kind == "mps":
        problems.append(
            Problem(
                code="B408",
                message="qlora needs bitsandbytes, which has no kernels for Apple GPUs",
                path="method.kind",
                hint="set method.kind: lora",
            )
        )
    if asked == "fp16" and device.kind != "cuda":
        problems.append(
            Problem(
                code="B409",
                message=f"fp16 training needs an NVIDIA GPU, this device is {device.kind}",
                path="backend.precision",
                hint="set backend.precision: auto",
            )
        )
    if asked == "bf16" and not device.bf16:
        problems.append(
            Problem(
                code="B410",
                message=f"{device.name} has no native bf16, it is emulated and slow",
                path="backend.precision",
                hint="set backend.precision: auto",
                severity=Severity.ERROR if device.kind == "mps" else Severity.WARNING,
            )
        )
    return tuple(problems)
