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
    """R363: an adapter on a blank model.

    A blank model knows nothing yet, and an adapter leaves nearly all of its weights as they were drawn.

    Fix: Write kind: full.

    Wrong:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: 4, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: ▸lora

    Right:
        method:
          kind: full

    R364: sizes of a blank model that do not divide.

    Each head reads an equal, even share of the width, and each head of keys and values serves as many attention heads.

    Fix: Choose a width that is an even multiple of heads, and kv_heads that divide heads.

    Wrong:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: ▸6, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: full

    Right:
        base_model:
          scratch: {layers: 4, width: 192, heads: 6, context: 2048, tokenizer: {train: byte_pairs, size: 512}}

    R366: rows longer than a blank model's context.

    The model would never see what stands behind.

    Fix: Lower method.max_length, or raise the context.

    Wrong:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: 4, context: 128, tokenizer: {path: ../data}}}
        method:
          kind: full
          max_length: ▸256

    Right:
        method:
          max_length: 128

    R368: a blank model for a task that asks questions.

    A blank model has no chat template, and the rows of a task are far too few to learn a language from.

    Fix: Train it on text first (task.kind: text), then name the folder that the run leaves as base_model.path.

    Wrong:
        task:
          kind: generation
        base_model: {▸scratch: {layers: 4, width: 128, heads: 4, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: full
        baselines: [majority]

    Right:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: 4, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: full
    """
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
    """R365: perplexity of a blank model.

    Perplexity counts by token, and a blank model's tokens are its own: with a smaller tokenizer it falls without any
    learning, and no other model's can be set beside it. Bits per byte compares any two models, and a compressor.

    Fix: Bound bits_per_byte.

    Wrong:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: 4, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: full
        acceptance:
          metrics: {▸perplexity: {max: 20}}

    Right:
        acceptance:
          metrics: {bits_per_byte: {max: 2.5}}

    R367: a blank model is asked what it knows.

    As it was drawn it answers by chance, so to be better than it proves nothing, and it has nothing to forget.

    Fix: Compare with byte_frequencies and compressor, and take acceptance.forgetting out.

    Wrong:
        task:
          kind: text
        base_model: {scratch: {layers: 4, width: 128, heads: 4, context: 2048, tokenizer: {path: ../data}}}
        method:
          kind: full
        baselines: [byte_frequencies, ▸zero_shot]

    Right:
        baselines: [byte_frequencies, compressor]
    """
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
    """R369: layers that are kept in another order.

    Layers build on each other, so a model with its layers in another order has lost what they had learned.

    Fix: List the layers from the first to the last.

    Wrong:
        base_model:
          keep_layers: [0, 4, ▸2]

    Right:
        base_model:
          keep_layers: [0, 2, 4]
    """
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
