"""Rules about training: the method's keys and the backend's name."""

from __future__ import annotations

import re
from math import ceil, gcd, sqrt
from typing import Final

from engine.kinds import KINDS, Turns
from engine.recipe.methods import ADAPTER_KEYS, ATTENTION, USUAL_BATCH, has_validation
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.sweeps import value_words
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

BACKENDS: Final = ("axolotl", "nanotron", "trl", "unsloth")
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS: Final = frozenset({"lm_head", "embed_tokens", "embed_in", "embed_out", "wte", "wpe"})
"""Embeddings and output layers, as transformers names them."""
_OVERRIDDEN: Final = {
    "neftune_noise_alpha": "neftune_alpha",
    "loraplus_lr_ratio": "loraplus_lr_ratio",
}
"""Keys of trainers that recipes may override, and those of `method` that say the same."""


@rule("method")
def full_has_no_adapter(recipe: FilledText) -> Problems:
    if recipe["method"]["kind"] != "full":
        return
    for key in ADAPTER_KEYS:
        if recipe.has(("method", key)):
            message = f"`{key}` describes an adapter; method.kind is `full`"
            hint = "delete the line, or write `kind: lora`"
            if key == "layers":
                hint = f"write `train_only: {{layers: {value_words(recipe['method'][key])}}}`"
            yield recipe.problem("R204", message, at=("method", key), key=True, hint=hint)


@rule("method")
def freezing_is_of_full_training(recipe: FilledText) -> Problems:
    method, at = recipe["method"], ("method", "train_only")
    only = method.get("train_only")
    if only is None:
        return
    if method["kind"] != "full":
        message = f"`train_only` freezes a part of full training; method.kind is `{method['kind']}`"
        hint = "write `layers` for which layers get an adapter, or `kind: full`"
        yield recipe.problem("R345", message, at=at, key=True, hint=hint)
    if not only.get("layers") and not only.get("embeddings"):
        hint = "write `train_only: {layers: last_2}`"
        yield recipe.problem("R346", "every weight would be frozen", at=at, hint=hint)


@rule("method")
def ranks_and_targets_fit(recipe: FilledText) -> Problems:
    method, ranks = recipe["method"], recipe["method"].get("ranks", {})
    targets, rank, alpha = method["target_modules"], method["rank"], method.get("alpha")
    for number, name in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(name, str) and name.rpartition(".")[2] in _WORDS:
            message, at = (
                f"an adapter beside `{name}` cannot be merged",
                ("method", "target_modules", number),
            )
            yield recipe.problem("R352", message, at=at, hint="delete it from the list")
    targets = ATTENTION if targets == "attention" else targets
    for name, own in ranks.items():
        at = ("method", "ranks", name)
        if not _MODULE.fullmatch(name):
            message = f"`{name}` is no name of a module"
            yield recipe.problem("R347", message, at=at, key=True, hint="such as `q_proj`")
        # of all linear layers: which there are is known when the base model is at hand
        elif not isinstance(targets, str) and name not in targets:
            hint = suggestion(name, targets, f"modules with an adapter are {', '.join(targets)}")
            yield recipe.problem("R347", f"`{name}` gets no adapter", at=at, key=True, hint=hint)
        # else twice the rank, or the same everywhere
        if alpha is not None and not method.get("rslora") and alpha * own % rank:
            message = f"at rank {own} alpha / rank {alpha / rank:g} needs an alpha of {alpha * own / rank:g}"
            hint = f"write a rank that {rank // gcd(alpha, rank)} divides, or `alpha: {max(1, alpha // rank) * rank}`"
            yield recipe.problem("R348", message, at=at, hint=hint)


@rule("method", "task.kind")
def loss_has_a_choice(recipe: FilledText) -> Problems:
    kind = KINDS.get(recipe["task"]["kind"])
    if "loss_on" not in recipe["method"] or kind is None:
        return
    message = "" if kind.has_turns else "every token of a text is learned from anyway"
    if kind.turns is Turns.PREFERENCE:
        message = "of preferences answers are compared, and nothing else is learned from"
    if message:
        at = ("method", "loss_on")
        yield recipe.problem("R349", message, at=at, key=True, hint="delete the line")


@rule("method", "backend")
def options_stand_once(recipe: FilledText) -> Problems:
    overrides = recipe["backend"]["overrides"]
    for key, own in _OVERRIDDEN.items():
        if key in overrides and own in recipe["method"]:
            message = f"`method.{own}` says this"
            at = ("backend", "overrides", key)
            yield recipe.problem("R350", message, at=at, key=True, hint="delete the line")


@rule("method")
def batches_divide(recipe: FilledText) -> Problems:
    method = recipe["method"]
    batch, micro = method.get("batch_size"), method.get("micro_batch_size")
    # A batch that is not written is a multiple of the other one.
    if batch is None or micro is None or micro < 1 or batch < 1 or batch % micro == 0:
        return
    fitting = max(size for size in range(1, min(micro, batch) + 1) if batch % size == 0)
    at, hint = ("method", "micro_batch_size"), f"write `micro_batch_size: {fitting}`"
    message = f"must divide batch_size {batch}, {micro} does not"
    yield recipe.problem("R205", message, at=at, hint=hint)


@rule("method")
def steps_and_tokens_agree(recipe: FilledText) -> Problems:
    method = recipe["method"]
    least, most, tokens = (method.get(key) for key in ("min_steps", "max_steps", "tokens"))
    if least is not None and most is not None and least > most:
        message = f"min_steps {least} is above max_steps {most}"
        yield recipe.problem("R292", message, at=("method", "min_steps"))
    for key in ("epochs", "min_steps", "max_steps") if recipe.has(("method", "tokens")) else ():
        if recipe.has(("method", key)):
            message = "beside `tokens`, which says how long is trained"
            hint = f"keep one of `tokens` and `{key}`"
            yield recipe.problem("R353", message, at=("method", key), hint=hint)
    a_step = method.get("batch_size", USUAL_BATCH) * method["max_length"]
    if tokens is not None and method["packing"] and tokens < a_step:
        message = f"{tokens:,} tokens are fewer than one step reads, {a_step:,}"
        hint = f"write {a_step} or more"
        yield recipe.problem("R465", message, at=("method", "tokens"), hint=hint)


KEEPING_APART: Final = ("sdpa", "eager")
"""Kinds of attention that see only their own document of a packed row."""
MIXING: Final = ("nanotron", "unsloth")
"""Backends that do not."""


@rule("method", "backend")
def packed_rows_can_be_trained(recipe: FilledText) -> Problems:
    method, backend = recipe["method"], recipe["backend"]
    asked = backend["overrides"].get("attn_implementation")
    if method.get("tokens") is not None and not method["packing"]:
        message = "without packing, rows have as many tokens as they happen to have"
        hint = "add `packing: true`, or write `epochs` instead"
        yield recipe.problem("R354", message, at=("method", "tokens"), hint=hint)
    if method["packing"] and asked not in (None, *KEEPING_APART):
        message = f"{show(asked)} does not keep the documents of a packed row apart"
        at = ("backend", "overrides", "attn_implementation")
        yield recipe.problem("R355", message, at=at, hint="delete the line")
    if method["packing"] and backend["name"] in MIXING:
        message, hint = f"{backend['name']} would show documents to each other", "write `name: trl`"
        yield recipe.problem("R357", message, at=("backend", "name"), hint=hint)


@rule("method.scheduler")
def decay_has_a_use(recipe: FilledText) -> Problems:
    one = recipe["method"]["scheduler"]
    if not isinstance(one, str) and one["name"] != "constant_then_decay" and "decay" in one:
        message = f"{one['name']} falls over all steps after warm-up"
        at, hint = (
            ("method", "scheduler", "decay"),
            "delete it, or write `name: constant_then_decay`",
        )
        yield recipe.problem("R356", message, at=at, hint=hint)


@rule("method")
def alpha_is_not_below_rank(recipe: FilledText) -> Problems:
    method = recipe["method"]
    alpha, rank = method.get("alpha"), method["rank"]
    if method["kind"] == "full" or alpha is None:
        return
    if method.get("rslora"):
        if alpha * alpha < rank:
            message = (
                f"{alpha} is below sqrt(rank) {sqrt(rank):.3g}: the adapter's effect is damped"
            )
            hint = f"write `alpha: {ceil(2 * sqrt(rank))}`"
            yield recipe.warning("R206", message, at=("method", "alpha"), hint=hint)
    elif alpha < rank:
        message = f"{alpha} is below rank {rank}: the adapter's effect is damped"
        hint = f"write `alpha: {2 * rank}`"
        yield recipe.warning("R206", message, at=("method", "alpha"), hint=hint)


@rule("method")
def seeds_are_further_ones(recipe: FilledText) -> Problems:
    method = recipe["method"]
    for number, seed in enumerate(method["seeds"]):
        if seed == method["seed"]:
            message = f"{seed} is `method.seed` itself, whose model is trained and judged anyway"
            hint = "name another seed, or change `method.seed`"
            yield recipe.problem("R273", message, at=("method", "seeds", number), hint=hint)


@rule("learning_curve", "splits")
def curves_and_folds_have_validation(recipe: FilledText) -> Problems:
    has_rows = has_validation(recipe.filled)
    if recipe["learning_curve"] and not has_rows:
        message = "a learning curve is judged on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield recipe.problem("R270", message, at=("learning_curve",), hint=hint)
    if recipe["splits"]["folds"] == 2 and has_rows:  # the one number
        message = "with 2 folds the second training has no validation rows"
        hint = "write `folds: 3` or more, or `validation: 0`"
        yield recipe.problem("R271", message, at=("splits", "folds"), hint=hint)
