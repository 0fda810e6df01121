"""Rules about training: the method's keys and the backend's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.text.nearest import nearest
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

BACKENDS: Final = ("axolotl", "trl")


def full_has_no_adapter(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R204: full fine-tuning changes every weight; there is no adapter to describe."""
    if filled["method"]["kind"] != "full":
        return
    for key in ADAPTER_KEYS:
        if source.has(("method", key)):
            message = f"`{key}` describes an adapter; method.kind is `full`"
            hint = "delete the line, or write `kind: lora`"
            yield source.problem("R204", message, at=("method", key), key=True, hint=hint)


def batches_divide(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R205: a step is a whole number of forward passes."""
    method = filled["method"]
    batch, micro = method["batch_size"], method.get("micro_batch_size")
    if micro is None or micro < 1 or batch < 1 or batch % micro == 0:
        return
    fitting = max(size for size in range(1, min(micro, batch) + 1) if batch % size == 0)
    yield source.problem(
        "R205",
        f"must divide batch_size {batch}, {micro} does not",
        at=("method", "micro_batch_size"),
        hint=f"write `micro_batch_size: {fitting}`",
    )


def alpha_is_not_below_rank(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R206, a warning: alpha / rank scales what is learned; below 1 it is damped."""
    method = filled["method"]
    alpha, rank = method.get("alpha"), method["rank"]
    if method["kind"] != "full" and alpha is not None and alpha < rank:
        message = f"{alpha} is below rank {rank}: the adapter's effect is damped"
        hint = f"write `alpha: {2 * rank}`"
        yield source.warning("R206", message, at=("method", "alpha"), hint=hint)


def seeds_are_further_ones(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R273: the first seed's model is there already."""
    method = filled["method"]
    for number, seed in enumerate(method["seeds"]):
        if seed == method["seed"]:
            message = f"{seed} is `method.seed` itself, whose model is trained and judged anyway"
            hint = "name another seed, or change `method.seed`"
            yield source.problem("R273", message, at=("method", "seeds", number), hint=hint)


def backend_is_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R220: the backend is one of ours."""
    name = filled["backend"]["name"]
    if name not in BACKENDS:
        near = nearest(name, BACKENDS)
        hint = f"did you mean `{near}`?" if near else f"backends are {', '.join(BACKENDS)}"
        message = f"no such backend: {show(name)}"
        yield source.problem("R220", message, at=("backend", "name"), hint=hint)


def curves_have_validation(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R270: a learning curve is judged on validation rows, never on the holdout."""
    if filled["learning_curve"] and filled["splits"].get("validation") == 0:
        message = "a learning curve is judged on validation rows; splits.validation is 0"
        hint = "set `splits.validation` to 40 rows or more"
        yield source.problem("R270", message, at=("learning_curve",), hint=hint)


def folds_leave_validation(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R271: the second of two folds would have no validation rows."""
    splits = filled["splits"]
    if splits["folds"] == 2 and splits.get("validation") != 0:  # noqa: PLR2004 - the one number
        message = "with 2 folds the second training has no validation rows"
        hint = "write `folds: 3` or more, or `validation: 0`"
        yield source.problem("R271", message, at=("splits", "folds"), hint=hint)
