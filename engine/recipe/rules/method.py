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
    """R204: adapter keys with full fine-tuning.

    rank, alpha, dropout, target_modules, dora, rslora, ranks, layers and loraplus_lr_ratio describe an adapter; full
    has none. Which layers full training moves stands in train_only.

    Fix: Delete the keys, or choose kind: lora.

    Wrong:
        method:
          kind: full
          ▸rank: 16

    Right:
        method:
          # no rank
    """
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
    """R345: train_only beside an adapter.

    An adapter is trained beside frozen weights: there is nothing to freeze, and layers says which layers get one.

    Fix: Write layers instead, or choose kind: full.

    Wrong:
        method:
          kind: lora
          ▸train_only: {layers: last_2}

    Right:
        method:
          layers: last_2
          # no train_only

    R346: train_only that names nothing.

    With every weight frozen there is nothing to train.

    Fix: Name layers, or write embeddings: true.

    Wrong:
        method:
          kind: full
          train_only: ▸{embeddings: false}

    Right:
        method:
          train_only: {layers: last_2}
    """
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
    """R347: a rank for a module that gets no adapter.

    The libraries pass over names that they do not find, and every module would have `rank`.

    Fix: Name a module of target_modules, or add it there.

    Wrong:
        method:
          target_modules: [q_proj, v_proj]
          ranks: {▸k_proj: 4}

    Right:
        method:
          ranks: {v_proj: 4}

    R352: an adapter beside the embeddings or the output layer.

    Libraries then save these matrices whole beside the adapter, and where input and output share one, the merge would
    change both uses: such an adapter cannot be merged.

    Fix: Leave them out of target_modules; `kind: full` with train_only trains them.

    Wrong:
        method:
          target_modules: [q_proj, ▸lm_head]

    Right:
        method:
          target_modules: [q_proj]

    R348: a module's rank for which alpha / rank is kept by no whole alpha.

    Alpha of a module with a rank of its own is such that alpha / rank is what it is elsewhere. Trainers take whole
    numbers.

    Fix: Choose another rank, or an alpha that is a multiple of rank.

    Wrong:
        method:
          rank: 16
          alpha: 24
          ranks: {q_proj: ▸5}

    Right:
        method:
          alpha: 32
    """
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
    """R349: loss_on where there is no choice.

    Of a text without answers every token is learned from anyway; of preferences, answers are compared.

    Fix: Delete loss_on.

    Wrong:
        task:
          kind: text
        method:
          ▸loss_on: everything

    Right:
        method:
          epochs: 1
          # no loss_on
    """
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
    """R350: an option of the method in backend.overrides too.

    Two places would say the same thing, and only one of them would count.

    Fix: Delete the override.

    Wrong:
        method:
          neftune_alpha: 5
        backend:
          overrides: {▸neftune_noise_alpha: 10}

    Right:
        method:
          neftune_alpha: 10
        # no backend
    """
    overrides = recipe["backend"]["overrides"]
    for key, own in _OVERRIDDEN.items():
        if key in overrides and own in recipe["method"]:
            message = f"`method.{own}` says this"
            at = ("backend", "overrides", key)
            yield recipe.problem("R350", message, at=at, key=True, hint="delete the line")


@rule("method")
def batches_divide(recipe: FilledText) -> Problems:
    """R205: micro_batch_size does not divide batch_size.

    A step is a whole number of forward passes.

    Fix: Use a divisor of batch_size.

    Wrong:
        method:
          batch_size: 16
          micro_batch_size: ▸6

    Right:
        method:
          micro_batch_size: 4
    """
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
    """R292: min_steps above max_steps.

    No number of steps is within both.

    Fix: Raise max_steps, or lower min_steps.

    Wrong:
        method:
          min_steps: ▸500
          max_steps: 100

    Right:
        method:
          min_steps: 100
          max_steps: 500

    R353: two keys that say how long is trained.

    `tokens` is a budget over all epochs: the number of steps is worked out from it.

    Fix: Keep the one that is meant.

    Wrong:
        task:
          kind: text
        method:
          packing: true
          tokens: 600000
          epochs: ▸2

    Right:
        method:
          # no epochs

    R465: fewer tokens than one step reads.

    A step reads batch_size rows of max_length tokens.

    Fix: Raise tokens, or lower batch_size or max_length.

    Wrong:
        task:
          kind: text
        method:
          packing: true
          batch_size: 8
          max_length: 512
          tokens: ▸4000

    Right:
        method:
          tokens: 400000
    """
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
    """R354: tokens without packing.

    A step takes batch_size rows. Only packed rows have max_length tokens each; others have as many as their
    documents happen to have, so that a number of tokens says nothing about steps.

    Fix: Write packing: true, or epochs instead of tokens.

    Wrong:
        task:
          kind: text
        method:
          tokens: ▸600000

    Right:
        method:
          packing: true

    R355: an attention that does not keep packed documents apart.

    Documents of a packed row are kept apart by their positions. sdpa and eager build a mask of that; flash attention
    does so in batches of one row only, and in others documents would see each other.

    Fix: Delete the override.

    Wrong:
        task:
          kind: text
        method:
          packing: true
        backend:
          overrides: {attn_implementation: ▸flash_attention_2}

    Right:
        backend:
          overrides: {attn_implementation: eager}

    R357: packed documents with a backend that does not keep them apart.

    Unsloth's kernels choose the attention and the masks of a batch themselves, and Nanotron reads one stream of
    tokens: documents of a row would see each other.

    Fix: Write backend: {name: trl}.

    Wrong:
        task:
          kind: text
        method:
          packing: true
        backend: {name: ▸unsloth}

    Right:
        backend: {name: trl}
    """
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
    """R356: a decay beside a learning rate that falls from the start.

    cosine and linear fall over all steps after warm-up; only constant_then_decay has a part that is constant.

    Fix: Delete decay, or write name: constant_then_decay.

    Wrong:
        method:
          scheduler: {name: cosine, decay: ▸0.2}

    Right:
        method:
          scheduler: {name: constant_then_decay, decay: 0.2}
    """
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
    """R206: alpha below rank.

    The adapter's effect is scaled by alpha / rank; below 1 it is damped, which is rarely meant. With rslora it is
    alpha / sqrt(rank).

    Fix: Usual is alpha = 2 * rank; 8 with rslora.

    Wrong:
        method:
          rank: 32
          alpha: ▸16

    Right:
        method:
          alpha: 64
    """
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
    """R273: the first seed among the further ones.

    The model of `method.seed` is trained and judged anyway; trained twice it would only make the noise look
    smaller than it is.

    Fix: name another seed in `method.seeds`, or change `method.seed`

    Wrong:
        method:
          seed: 9
          seeds: [8, ▸9]

    Right:
        method:
          seeds: [8, 10]
    """
    method = recipe["method"]
    for number, seed in enumerate(method["seeds"]):
        if seed == method["seed"]:
            message = f"{seed} is `method.seed` itself, whose model is trained and judged anyway"
            hint = "name another seed, or change `method.seed`"
            yield recipe.problem("R273", message, at=("method", "seeds", number), hint=hint)


@rule("learning_curve", "splits")
def curves_and_folds_have_validation(recipe: FilledText) -> Problems:
    """R270: a learning curve without validation rows.

    The models of a learning curve are compared on the validation rows. The holdout is kept for the one decision
    it is there for: a curve drawn on it would wear it out.

    Fix: set splits.validation to 40 rows or more, or set learning_curve: false

    Wrong:
        splits:
          validation: 0
        learning_curve: ▸true

    Right:
        splits:
          validation: 100

    R271: two folds leave the second training no validation rows.

    Validation rows are taken from the folds that are not judged. With two folds the second model's would all
    stand in the fold that it is judged on, so that it could neither stop early nor keep its best checkpoint as
    the first does.

    Fix: set splits.folds to 3 or more (5 is usual), or set splits.validation: 0

    Wrong:
        splits:
          folds: ▸2
          validation: 0.1
          # no train
          # no holdout

    Right:
        splits:
          folds: 3
    """
    has_rows = has_validation(recipe.filled)
    if recipe["learning_curve"] and not has_rows:
        message = "a learning curve is judged on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield recipe.problem("R270", message, at=("learning_curve",), hint=hint)
    if recipe["splits"]["folds"] == 2 and has_rows:  # the one number
        message = "with 2 folds the second training has no validation rows"
        hint = "write `folds: 3` or more, or `validation: 0`"
        yield recipe.problem("R271", message, at=("splits", "folds"), hint=hint)
