"""Rules about training: the method's keys and the backend's name."""

import re
from collections.abc import Mapping
from itertools import pairwise
from math import ceil, gcd, sqrt
from typing import Final

from engine.kinds import Turns
from engine.recipe.baselines import ASKS_BASE_MODEL, kind_and_spec, written_baselines
from engine.recipe.methods import ADAPTER_KEYS, ATTENTION, USUAL_BATCH, has_validation
from engine.recipe.rules import Problems, rule
from engine.recipe.sweeps import value_words
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
from engine.recipe.text.words import suggestion
from engine.recipe.validation.schema_errors import show

_SCRATCH: Final[KeyPath] = ("base_model", "scratch")


@rule("base_model", "method", "task.kind")
def blank_models_have_sound_sizes(recipe: SourceText) -> Problems:
    blank, method = recipe["base_model"].get("scratch"), recipe["method"]
    if blank is None or blank["heads"] < 1:
        return
    if method["kind"] != "full":
        message = "a blank model is trained in full, not through an adapter"
        yield recipe.problem("R363", message, at=("method", "kind"), hint="write `kind: full`")
    width, heads = blank["width"], blank["heads"]
    if width % (2 * heads):
        fitting = -(-width // (2 * heads)) * 2 * heads
        message = f"width {width} is no even multiple of {heads} heads"
        hint = f"write `width: {fitting}`, or another number of heads"
        yield recipe.problem("R364", message, at=(*_SCRATCH, "heads"), hint=hint)
    groups = blank.get("kv_heads", heads)
    if groups < 1 or heads % groups:
        message = f"must divide heads {heads}, {groups} does not"
        yield recipe.problem("R364", message, at=(*_SCRATCH, "kv_heads"))
    if method["max_length"] > (context := blank["context"]):
        message = f"rows of {method['max_length']} tokens do not fit a context of {context}"
        at, hint = ("method", "max_length"), f"write `max_length: {context}`"
        yield recipe.problem("R366", message, at=at, hint=hint)
    if recipe.kind.name != "text":
        message = f"a blank model is trained on text; task.kind is `{recipe.kind.name}`"
        yield recipe.problem("R368", message, at=_SCRATCH, key=True, hint="write `kind: text`")


@rule("base_model", "acceptance", "task.kind", "baselines")
def blank_models_are_judged_by_bytes(recipe: SourceText) -> Problems:
    if "scratch" not in recipe["base_model"]:
        return
    for section in ("metrics", "over_baselines"):
        if "perplexity" in recipe["acceptance"][section]:
            at = ("acceptance", section, "perplexity")
            message = "perplexity of another tokenizer compares with nothing"
            hint = "bound `bits_per_byte` instead"
            yield recipe.problem("R365", message, at=at, key=True, hint=hint)
    for position, written in enumerate(written_baselines(recipe.filled)):
        if (kind := kind_and_spec(written)[0]) in ASKS_BASE_MODEL:
            message = f"{kind} asks a blank model, which answers by chance"
            hint = "write `baselines: [byte_frequencies, compressor]`"
            yield recipe.problem("R367", message, at=("baselines", position), hint=hint)
    if recipe["acceptance"].get("forgetting") is not None:
        message = "a blank model has nothing to forget"
        place, hint = ("acceptance", "forgetting"), "take the key out"
        yield recipe.problem("R367", message, at=place, key=True, hint=hint)


@rule("base_model")
def kept_layers_ascend(recipe: SourceText) -> Problems:
    keep = recipe["base_model"].get("keep_layers")
    pairs = list(pairwise(keep)) if isinstance(keep, list) else []
    falls = [position for position, (layer, following) in enumerate(pairs) if following < layer]
    if falls:
        layer, following = pairs[falls[0]]
        at = ("base_model", "keep_layers", falls[0] + 1)
        hint = f"write `keep_layers: {sorted(keep)}`"
        yield recipe.problem(
            "R369", f"layer {following} comes after layer {layer}", at=at, hint=hint
        )


_PREFERENCE: Final[KeyPath] = ("method", "preference")
_SINGLE: Final = "kto"
_LOSSES_OF: Final[Mapping[str, tuple[tuple[str, ...], float]]] = {
    "answer_weight": (("dpo", "ipo", "simpo"), 0),
    "gamma": (("simpo",), 0),
    "desirable_weight": (("kto",), 1),
    "undesirable_weight": (("kto",), 1),
}
"""By key, the losses that have it, and its idle value, which a resolved recipe writes for every loss."""


@rule("task.kind", "method", "acceptance")
def preferences_are_of_pairs(recipe: SourceText) -> Problems:
    kind = recipe.kind
    if kind.turns is Turns.PREFERENCE:
        return
    if recipe.has(_PREFERENCE):
        message = f"{kind.name} has no pairs of answers to learn from"
        hint = "delete it, or write `kind: preference` under task"
        yield recipe.problem("R335", message, at=_PREFERENCE, key=True, hint=hint)
    if recipe.has(at := ("acceptance", "drift")):
        message = f"{kind.name} has no chosen answers that could drift"
        yield recipe.problem("R340", message, at=at, key=True, hint="delete it")


@rule("task.kind", "method", "data.shape", "data")
def loss_fits_the_rows(recipe: SourceText) -> Problems:
    data, method = recipe["data"], recipe["method"]
    preference, loss_at = method.get("preference", {}), (*_PREFERENCE, "loss")
    if recipe.kind.turns is not Turns.PREFERENCE:
        return
    loss = preference.get("loss", _SINGLE if data["shape"] == "kto" else "dpo")
    if method["kind"] != "full" and method["dropout"] > 0:
        message = "training on preferences turns dropout off: this would do nothing"
        yield recipe.problem("R336", message, at=("method", "dropout"), hint="delete the line")
    single = [key for key in ("micro_batch_size", "batch_size") if method.get(key) == 1]
    if loss == _SINGLE and single:
        message = "kto learns from the other rows of a pass: it needs 2 or more"
        at, hint = ("method", single[0]), f"write `{single[0]}: 4`"
        yield recipe.problem("R337", message, at=at, hint=hint)
    has_pairs = data["shape"] == "dpo" or data.get("pair") is not None
    is_wrong = (loss == _SINGLE) if has_pairs else (data["shape"] == "kto" and loss != _SINGLE)
    if recipe.has(loss_at) and is_wrong:
        rows, other = ("pairs", "dpo") if has_pairs else ("single answers", _SINGLE)
        message = f"{loss} cannot learn from {rows}"
        yield recipe.problem("R338", message, at=loss_at, hint=f"write `loss: {other}`")
    for key, (losses, idle) in _LOSSES_OF.items():
        if loss not in losses and preference.get(key, idle) != idle:
            message = f"{loss} has no `{key}`; {' and '.join(losses)} have"
            place = (*_PREFERENCE, key)
            yield recipe.problem("R339", message, at=place, key=True, hint="delete it")


BACKENDS: Final = ("axolotl", "nanotron", "trl", "unsloth")
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS: Final = frozenset({"lm_head", "embed_tokens", "embed_in", "embed_out", "wte", "wpe"})
_OVERRIDDEN: Final = {
    "neftune_noise_alpha": "neftune_alpha",
    "loraplus_lr_ratio": "loraplus_lr_ratio",
}
"""Keys of trainers that recipes may override, and the keys of `method` for the same option."""


@rule("method")
def full_has_no_adapter(recipe: SourceText) -> Problems:
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
def ranks_and_targets_fit(recipe: SourceText) -> Problems:
    method, ranks = recipe["method"], recipe["method"].get("ranks", {})
    only, frozen = method.get("train_only"), ("method", "train_only")
    if only is not None and method["kind"] != "full":
        message = f"`train_only` freezes a part of full training; method.kind is `{method['kind']}`"
        hint = "write `layers` for which layers get an adapter, or `kind: full`"
        yield recipe.problem("R345", message, at=frozen, key=True, hint=hint)
    if only is not None and not only.get("layers") and not only.get("embeddings"):
        hint = "write `train_only: {layers: last_2}`"
        yield recipe.problem("R346", "every weight would be frozen", at=frozen, hint=hint)
    targets, rank, alpha = method["target_modules"], method["rank"], method.get("alpha")
    for number, name in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(name, str) and name.rpartition(".")[2] in _WORDS:
            message = f"an adapter of `{name}` cannot be merged"
            target = ("method", "target_modules", number)
            yield recipe.problem("R352", message, at=target, hint="delete it from the list")
    targets = ATTENTION if targets == "attention" else targets
    for name, own in ranks.items():
        at = ("method", "ranks", name)
        if not _MODULE.fullmatch(name):
            message = f"`{name}` is no name of a module"
            yield recipe.problem("R347", message, at=at, key=True, hint="such as `q_proj`")
        # Which linear layers there are is known when the base model is at hand.
        elif not isinstance(targets, str) and name not in targets:
            near = suggestion(name, targets, f"modules with an adapter are {', '.join(targets)}")
            yield recipe.problem("R347", f"`{name}` gets no adapter", at=at, key=True, hint=near)
        # The default is twice the rank, or with rslora the same everywhere.
        if alpha is not None and not method.get("rslora") and alpha * own % rank:
            message = f"at rank {own} alpha / rank {alpha / rank:g} needs an alpha of {alpha * own / rank:g}"
            hint = f"write a rank that {rank // gcd(alpha, rank)} divides, or `alpha: {max(1, alpha // rank) * rank}`"
            yield recipe.problem("R348", message, at=at, hint=hint)


@rule("method", "task.kind")
def loss_has_a_choice(recipe: SourceText) -> Problems:
    message = "" if recipe.kind.has_turns else "every token of a text is learned from anyway"
    if recipe.kind.turns is Turns.PREFERENCE:
        message = "of preferences answers are compared, and nothing else is learned from"
    if message and "loss_on" in recipe["method"]:
        at = ("method", "loss_on")
        yield recipe.problem("R349", message, at=at, key=True, hint="delete the line")


@rule("method", "backend")
def options_are_written_once(recipe: SourceText) -> Problems:
    overrides = recipe["backend"]["overrides"]
    for key, own in _OVERRIDDEN.items():
        if key in overrides and own in recipe["method"]:
            message = f"`method.{own}` says this"
            at = ("backend", "overrides", key)
            yield recipe.problem("R350", message, at=at, key=True, hint="delete the line")


@rule("method")
def numbers_fit_each_other(recipe: SourceText) -> Problems:
    method = recipe["method"]
    # The default of one is a multiple of the other.
    batch, micro = method.get("batch_size") or 0, method.get("micro_batch_size") or 0
    if batch > 0 and micro > 0 and batch % micro:
        fitting = max(size for size in range(1, min(micro, batch) + 1) if batch % size == 0)
        at, hint = ("method", "micro_batch_size"), f"write `micro_batch_size: {fitting}`"
        message = f"must divide batch_size {batch}, {micro} does not"
        yield recipe.problem("R205", message, at=at, hint=hint)
    alpha, rank = method.get("alpha"), method["rank"]
    is_root = method.get("rslora")
    least = sqrt(rank) if is_root else rank
    if method["kind"] != "full" and alpha is not None and alpha < least:
        what = f"sqrt(rank) {least:.3g}" if is_root else f"rank {rank}"
        message = f"{alpha} is below {what}: the adapter's effect is damped"
        hint = f"write `alpha: {ceil(2 * least)}`"
        yield recipe.warning("R206", message, at=("method", "alpha"), hint=hint)
    for number, seed in enumerate(method["seeds"]):
        if seed == method["seed"]:
            message = f"{seed} is `method.seed` itself, whose model is trained and judged anyway"
            hint = "name another seed, or change `method.seed`"
            yield recipe.problem("R273", message, at=("method", "seeds", number), hint=hint)


@rule("method")
def steps_and_tokens_agree(recipe: SourceText) -> Problems:
    method = recipe["method"]
    least, most, tokens = (method.get(key) for key in ("min_steps", "max_steps", "tokens"))
    if least is not None and most is not None and least > most:
        message = f"min_steps {least} is above max_steps {most}"
        yield recipe.problem("R292", message, at=("method", "min_steps"))
    for key in ("epochs", "min_steps", "max_steps") if recipe.has(("method", "tokens")) else ():
        if recipe.has(("method", key)):
            message = "`tokens` already defines how long is trained"
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
"""Backends whose attention sees the other documents."""


@rule("method", "backend")
def packed_rows_can_be_trained(recipe: SourceText) -> Problems:
    method, backend = recipe["method"], recipe["backend"]
    attention = backend["overrides"].get("attn_implementation")
    if method.get("tokens") is not None and not method["packing"]:
        message = "without packing, rows have as many tokens as they happen to have"
        hint = "add `packing: true`, or write `epochs` instead"
        yield recipe.problem("R354", message, at=("method", "tokens"), hint=hint)
    if method["packing"] and attention not in (None, *KEEPING_APART):
        message = f"{show(attention)} does not keep the documents of a packed row apart"
        at = ("backend", "overrides", "attn_implementation")
        yield recipe.problem("R355", message, at=at, hint="delete the line")
    if method["packing"] and backend["name"] in MIXING:
        message, hint = f"{backend['name']} would show documents to each other", "write `name: trl`"
        yield recipe.problem("R357", message, at=("backend", "name"), hint=hint)


@rule("method.scheduler")
def decay_has_a_use(recipe: SourceText) -> Problems:
    scheduler = recipe["method"]["scheduler"]
    if isinstance(scheduler, str) or scheduler["name"] == "constant_then_decay":
        return
    if "decay" in scheduler:
        message = f"{scheduler['name']} falls over all steps after warm-up"
        at = ("method", "scheduler", "decay")
        hint = "delete it, or write `name: constant_then_decay`"
        yield recipe.problem("R356", message, at=at, hint=hint)


@rule("learning_curve", "splits")
def curves_and_folds_have_validation(recipe: SourceText) -> Problems:
    has_rows = has_validation(recipe.filled)
    if recipe["learning_curve"] and not has_rows:
        message = "a learning curve is judged on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield recipe.problem("R270", message, at=("learning_curve",), hint=hint)
    if recipe["splits"]["folds"] == 2 and has_rows:
        message = "with 2 folds the second training has no validation rows"
        hint = "write `folds: 3` or more, or `validation: 0`"
        yield recipe.problem("R271", message, at=("splits", "folds"), hint=hint)
