"""Rules about training: the method's keys and the backend's name."""

from __future__ import annotations

from typing import Final

from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.text.nearest import suggestion
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show
from engine.recipe.validation_rows import has_validation

BACKENDS: Final = ("axolotl", "nanotron", "trl", "unsloth")


@rule("method")
def full_has_no_adapter(recipe: FilledText) -> Problems:
    """R204: adapter keys with full fine-tuning.

    rank, alpha, dropout and target_modules describe an adapter; full has none.

    Fix: Delete the keys, or choose kind: lora.

    Wrong:
        method:
          kind: full
          ▸rank: 16

    Right:
        method:
          kind: full
    """
    if recipe["method"]["kind"] != "full":
        return
    for key in ADAPTER_KEYS:
        if recipe.has(("method", key)):
            message = f"`{key}` describes an adapter; method.kind is `full`"
            hint = "delete the line, or write `kind: lora`"
            yield recipe.problem("R204", message, at=("method", key), key=True, hint=hint)


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
          batch_size: 16
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
def steps_are_in_order(recipe: FilledText) -> Problems:
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
    """
    method = recipe["method"]
    least, most = method.get("min_steps"), method.get("max_steps")
    if least is not None and most is not None and least > most:
        message = f"min_steps {least} is above max_steps {most}"
        yield recipe.problem("R292", message, at=("method", "min_steps"))


@rule("method")
def alpha_is_not_below_rank(recipe: FilledText) -> Problems:
    """R206: alpha below rank.

    The adapter's effect is scaled by alpha / rank; below 1 it is damped, which is rarely meant.

    Fix: Usual is alpha = 2 * rank.

    Wrong:
        method:
          rank: 32
          alpha: ▸16

    Right:
        method:
          rank: 32
          alpha: 64
    """
    method = recipe["method"]
    alpha, rank = method.get("alpha"), method["rank"]
    if method["kind"] != "full" and alpha is not None and alpha < rank:
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
          seed: 9
          seeds: [8, 10]
    """
    method = recipe["method"]
    for number, seed in enumerate(method["seeds"]):
        if seed == method["seed"]:
            message = f"{seed} is `method.seed` itself, whose model is trained and judged anyway"
            hint = "name another seed, or change `method.seed`"
            yield recipe.problem("R273", message, at=("method", "seeds", number), hint=hint)


@rule("backend")
def backend_is_known(recipe: FilledText) -> Problems:
    """R220: no such backend.

    Backends are axolotl and trl.

    Fix: Write backend: {name: axolotl}.

    Wrong:
        backend:
          name: ▸axolotle

    Right:
        backend:
          name: axolotl
    """
    name = recipe["backend"]["name"]
    if name not in BACKENDS:
        hint = suggestion(name, BACKENDS, f"backends are {', '.join(BACKENDS)}")
        message = f"no such backend: {show(name)}"
        yield recipe.problem("R220", message, at=("backend", "name"), hint=hint)


@rule("learning_curve", "splits")
def curves_have_validation(recipe: FilledText) -> Problems:
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
        learning_curve: true
    """
    if recipe["learning_curve"] and not has_validation(recipe.filled):
        message = "a learning curve is judged on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield recipe.problem("R270", message, at=("learning_curve",), hint=hint)


@rule("splits")
def folds_leave_validation(recipe: FilledText) -> Problems:
    """R271: two folds leave the second training no validation rows.

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
          validation: 0.1
          # no train
          # no holdout
    """
    splits = recipe["splits"]
    if splits["folds"] == 2 and has_validation(recipe.filled):  # the one number
        message = "with 2 folds the second training has no validation rows"
        hint = "write `folds: 3` or more, or `validation: 0`"
        yield recipe.problem("R271", message, at=("splits", "folds"), hint=hint)
