"""Rules about what training starts from: blank models, and models with fewer layers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from engine.recipe.baselines import ASKS_BASE_MODEL, kind_and_spec, written_baselines
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText

SCRATCH: Final[KeyPath] = ("base_model", "scratch")
_INCOMPARABLE: Final = "perplexity"
_COMPARABLE: Final = "bits_per_byte"


def blank_of(recipe: FilledText) -> Mapping[str, Any] | None:
    """Return what a recipe says of its blank model; None for a base model that is trained already."""
    found = recipe["base_model"].get("scratch")
    return found if isinstance(found, Mapping) else None


@rule("base_model", "method", "task.kind")
def blank_models_have_sound_sizes(recipe: FilledText) -> Problems:
    blank, method, kind = blank_of(recipe), recipe["method"], recipe["task"]["kind"]
    if blank is None or blank["heads"] < 1:
        return
    if method["kind"] != "full":
        message = "a blank model has to be trained whole, not through an adapter"
        at, hint = ("method", "kind"), "write `kind: full`"
        yield recipe.problem("R363", message, at=at, hint=hint)
    width, heads = blank["width"], blank["heads"]
    if width % (2 * heads):
        fitting = -(-width // (2 * heads)) * 2 * heads
        message = f"width {width} is no even multiple of {heads} heads"
        hint = f"write `width: {fitting}`, or another number of heads"
        yield recipe.problem("R364", message, at=(*SCRATCH, "heads"), hint=hint)
    groups = blank.get("kv_heads", heads)
    if groups < 1 or heads % groups:
        message = f"must divide heads {heads}, {groups} does not"
        yield recipe.problem("R364", message, at=(*SCRATCH, "kv_heads"))
    if method["max_length"] > (context := blank["context"]):
        message = f"rows of {method['max_length']} tokens do not fit a context of {context}"
        at, hint = ("method", "max_length"), f"write `max_length: {context}`"
        yield recipe.problem("R366", message, at=at, hint=hint)
    if kind != "text":
        message = f"a blank model is trained on text; task.kind is `{kind}`"
        yield recipe.problem("R368", message, at=SCRATCH, key=True, hint="write `kind: text`")


@rule("base_model", "acceptance", "task.kind", "baselines")
def blank_models_are_judged_by_bytes(recipe: FilledText) -> Problems:
    if blank_of(recipe) is None:
        return
    for section in ("metrics", "over_baselines"):
        if _INCOMPARABLE in recipe["acceptance"][section]:
            at = ("acceptance", section, _INCOMPARABLE)
            message = "perplexity of another tokenizer compares with nothing"
            hint = f"bound `{_COMPARABLE}` in its place"
            yield recipe.problem("R365", message, at=at, key=True, hint=hint)
    for position, written in enumerate(written_baselines(recipe.filled)):
        kind, _ = kind_and_spec(written)
        if kind in ASKS_BASE_MODEL:
            message = f"{kind} asks a blank model, which answers by chance"
            hint = "write `baselines: [byte_frequencies, compressor]`"
            yield recipe.problem("R367", message, at=("baselines", position), hint=hint)
    if recipe["acceptance"].get("forgetting") is not None:
        message = "a blank model has nothing to forget"
        place, hint = ("acceptance", "forgetting"), "take the key out"
        yield recipe.problem("R367", message, at=place, key=True, hint=hint)


@rule("base_model")
def kept_layers_ascend(recipe: FilledText) -> Problems:
    keep = recipe["base_model"].get("keep_layers")
    if not isinstance(keep, list):
        return
    for position, (one, following) in enumerate(pairwise(keep), 1):
        if following < one:
            at = ("base_model", "keep_layers", position)
            hint = f"write `keep_layers: {sorted(keep)}`"
            message = f"layer {following} stands after layer {one}"
            yield recipe.problem("R369", message, at=at, hint=hint)
            return
