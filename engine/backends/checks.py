"""What no backend can do on a device, and options that one does not have, reported before any work is done."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import inf
from typing import Final

from engine.compute.profile import Ranks
from engine.environment import Device
from engine.errors import Problem, Severity
from engine.files.reading import parse_json
from engine.recipe.methods import OPTIONS, unset_options
from engine.recipe.model import Json, Method, Recipe
from engine.recipe.teacher import soft_targets_of
from engine.recipe.text.words import nearest
from engine.recipe.validation.schema import schema_text
from engine.values import Value, field


class Vocabulary(Value):
    name: str
    kinds: Mapping[str, frozenset[str]]
    """Every key, with the kinds of value it takes: bool, int, float, str, list, dict."""
    overridable: frozenset[str]
    """Scalars that tune training and can neither run code, reach the network, name a path, nor
    break checks."""
    from_recipe: Mapping[str, str]
    """Keys that a key of the recipe decides: one way to say each thing."""
    values: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Keys that take more than recipes may say: the values they may."""
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Least and most of a number: beyond it no training goes on, or the machine does not."""


@cache
def vocabulary(backend: str, version: str = "") -> Vocabulary:
    """Return the closed list of keys of a backend: `schemas/backend-keys.json`, and that of its version."""
    table = parse_json(schema_text("backend-keys.json"))
    own = table[backend]
    like = table.get(own.get("like"), {})
    listing = {}
    if "overridable" in own:
        listing = parse_json(schema_text(f"{backend}/{version}.keys.json"))
    listed = listing.get("keys", {}) | listing.get("plugin_keys", {})
    kinds = {key: entry["kinds"] for key, entry in listed.items()} | own.get("kinds", {})
    kinds |= {key: one for key, one in like.get("kinds", {}).items() if key not in own["without"]}
    return Vocabulary(
        name=f"{backend} {version}" if version else f"the {backend} backend",
        kinds={key: frozenset(names) for key, names in kinds.items()},
        overridable=frozenset(own.get("overridable", kinds)),
        from_recipe=like.get("from_recipe", {}) | own["from_recipe"],
        values=own.get("values", {}),
        ranges=own.get("ranges", table["ranges"]),
    )


OF_ADAM: Final = ("adam_beta1", "adam_beta2", "adam_epsilon")
NOT_ADAM: Final = ("adafactor", "sgd")
"""Optimizers to which transformers passes none of these."""


def override_problems(
    overrides: Iterable[tuple[str, Json]], vocabulary: Vocabulary
) -> tuple[Problem, ...]:
    """Unknown keys (B404), keys the recipe decides (B405) or may not set (B406), wrong values (B407), in order."""
    return tuple(
        Problem(code=wrong[0], message=wrong[1], path=f"backend.overrides.{key}", hint=wrong[2])
        for key, value in overrides
        if (wrong := _wrong(key, value, vocabulary))
    )


def idle(key: str, message: str, hint: str) -> Problem:
    return Problem(code="B447", message=message, path=f"backend.overrides.{key}", hint=hint)


def idle_of_adam(overrides: Iterable[tuple[str, Json]], optimizer_key: str) -> tuple[Problem, ...]:
    given = dict(overrides)
    name = given.get(optimizer_key)
    if name not in NOT_ADAM:
        return ()
    message, hint = f"`{name}` has no such number: it would do nothing", "delete it"
    return tuple(idle(key, message, hint) for key in given if key in OF_ADAM)


def _wrong(key: str, value: Json, vocabulary: Vocabulary) -> tuple[str, str, str | None] | None:
    names = sorted(vocabulary.overridable)
    one_of = f"one of: {', '.join(names)}"
    # Asked first: such keys need not be among a backend's own, and the hint names the one to set.
    if (path := vocabulary.from_recipe.get(key)) is not None:
        return "B405", "a key of the recipe decides this", f"set {path} instead"
    if key not in vocabulary.kinds:
        return "B404", f"not a key of {vocabulary.name}", _did_you_mean(key, names) or one_of
    if key not in vocabulary.overridable:
        message = "a recipe may not set this: it could run code, reach the network or change what is checked"
        return "B406", message, one_of
    values = vocabulary.values.get(key)
    wanted = vocabulary.kinds[key] - {"null"}
    # The exact type: to `isinstance` a bool is an int, and `true` would be a number of workers.
    kind = type(value).__name__
    least, most = vocabulary.ranges.get(key, (-inf, inf))
    message, hint = "", None
    if values is not None:
        listed = [str(allowed) for allowed in values]
        if value not in values:
            message = f"`{value}` is not one of {', '.join(listed)}"
            hint = _did_you_mean(str(value), listed)
    elif kind not in wanted and not (kind == "int" and "float" in wanted):
        message = f"`{value}` must be {' or '.join(sorted(wanted))}"
    elif isinstance(value, int | float) and not (kind == "bool" or least <= value <= most):
        message = f"must be from {least:g} to {most:g}, not `{value:g}`"
    return ("B407", message, hint) if message else None


def _did_you_mean(word: str, words: Sequence[str]) -> str | None:
    near = nearest(word, words)
    return f"did you mean `{near}`?" if near else None


TOGETHER = ("axolotl", "trl")


def option_problems(method: Method, name: str) -> tuple[Problem, ...]:
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
    name = recipe.backend.name
    reasons = {
        "backend.name": "" if name in TOGETHER else f"the {name} backend",
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
        message = "`shard: true` divides a model among GPUs, and this machine has none"
        hint = "take a profile without shard"
        found.append(Problem(code="B434", message=message, path="method", hint=hint))
    return tuple(found)


def soft_problems(recipe: Recipe, name: str) -> tuple[Problem, ...]:
    if soft_targets_of(recipe) is None:
        return ()
    message = f"the {name} backend learns answers, and no soft targets"
    hint = "set `targets: answers`, or backend.name: trl"
    return (Problem(code="B446", message=message, path="teacher.targets", hint=hint),)


def device_problems(recipe: Recipe, device: Device) -> tuple[Problem, ...]:
    """Return combinations of method, precision and device that fail or crawl."""
    asked, auto = recipe.backend.precision, "set backend.precision: auto"
    at, found = "backend.precision", list[Problem]()
    if recipe.method.kind == "qlora" and device.kind == "mps":
        message = "qlora needs bitsandbytes, which has no kernels for Apple GPUs"
        hint = "set method.kind: lora"
        found.append(Problem(code="B408", message=message, path="method.kind", hint=hint))
    if asked == "fp16" and device.kind != "cuda":
        message = f"fp16 training needs an NVIDIA GPU, this device is {device.kind}"
        found.append(Problem(code="B409", message=message, path=at, hint=auto))
    if asked == "bf16" and not device.bf16:
        message = f"{device.name} has no native bf16, it is emulated and slow"
        how = Severity.ERROR if device.kind == "mps" else Severity.WARNING
        found.append(Problem(code="B410", message=message, path=at, hint=auto, severity=how))
    return tuple(found)
