"""`method` as a recipe writes it, and as a `Method`.

Defaults follow from the task and the size of the base model, as its name gives it; the numbers are from a grid,
docs/explanation/defaults.md. Rows count where steps are planned (`engine.backends.base.schedule`). A setting of a sweep
is a written method, too, so that what follows from a rank follows from the rank that is tried.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from engine.kinds import Kind, Turns, written_kind
from engine.recipe.mapping import from_mapping, to_mapping
from engine.recipe.model import (
    FROM_TRAIN,
    Method,
    MethodDefault,
    Preference,
    Scheduler,
    Size,
    SplitName,
    Splits,
    ValidationSize,
)
from engine.recipe.references import feed_forward_of
from engine.recipe.validation.schema import definition
from engine.values import fields, to_json

SHARE: Final = 0.15
FEWEST: Final = 30
"""A validation loss of fewer rows chooses by luck."""
FEWEST_TO_CALIBRATE: Final = 50
"""A temperature of fewer rows is mostly chance."""
MOST: Final = 100
"""More rows would be lost for training and choose no better checkpoint."""


def are_drawn_from_train(recipe: Mapping[str, Any]) -> bool:
    """Return whether validation rows are drawn from the training rows, for a written recipe with defaults."""
    return bool(recipe["splits"].get("validation") == 0 and recipe["method"].get("keep") == "best")


def sizes_in_rows(train: Size, validation: ValidationSize) -> tuple[Size, ValidationSize]:
    """Return the sizes of train and validation after rows were drawn, if the recipe has train in rows."""
    if validation != FROM_TRAIN or not isinstance(train, int):
        return train, validation
    return train - drawn_rows(train), drawn_rows(train)


def asked_sizes(splits: Splits) -> dict[SplitName, ValidationSize]:
    """Return the requested size of each split, after rows of train were drawn for validation."""
    train, validation = sizes_in_rows(splits.train, splits.validation)
    return {"train": train, "validation": validation, "holdout": splits.holdout}


def drawn_note(train: Size) -> str:
    """Return the source of drawn validation rows, in words, with their number if the recipe gives it."""
    if isinstance(train, int):
        return f"{drawn_rows(train)} of the {train} training rows, for `keep: best`"
    return f"{SHARE:.0%} of the training rows, {FEWEST} to {MOST}, for `keep: best`"


def drawn_rows(train: int) -> int:
    """Return how many of so many training rows become validation rows; never more than half of them."""
    return min(max(FEWEST, min(MOST, round(SHARE * train))), train // 2)


_SIZE: Final = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)[ _]?([mb])(?![a-z\d])", re.IGNORECASE)
_MEASURED: Final = 135e6
_MEASURED_RATE: Final = 1e-3
_FALL: Final = 0.35
"""Exponent of the fall of the rate with the weights: 2e-4 at 8 B, as is usual there (Dettmers et al. 2023)."""
_USUAL: Final = 1.5e9
_OF_FULL: Final = 0.1
"""Rate of full training as a share of an adapter's (Schulman et al., LoRA Without Regret, 2025)."""
_OF_TEXTS: Final = 0.5
"""Rate where each answer teaches many tokens, as a share of that for labels."""
_OF_LORAPLUS: Final = 0.25
"""Rate of A with LoRA+ as a share of the usual one (Hayou et al. 2024 lower it too)."""
USUAL_ALPHA_OF_RSLORA: Final = 8
_BLANK: Final = 3e6
"""Weights of the blank model whose rate was measured (docs/how-to/train-from-scratch.md)."""
_BLANK_RATE: Final = 2e-3
_BLANK_FALL: Final = 0.32
"""Exponent of its fall: 6e-4 at 125 M and 3e-4 at 1.3 B, where GPT-3 took 6e-4 and 2e-4 (Brown et al. 2020)."""
_OF_PREFERENCES: Final = 0.1
"""Rate where two answers are compared, as a share of that for labels: higher ones make both less likely."""
_SIMPO: Final = {"beta": 2.0, "gamma": 0.5}
"""Gamma is a quarter of beta, within what the paper recommends (Meng et al. 2024)."""
USUAL_BATCH: Final = 8


class Learns(Enum):
    """Content of the answers of a kind of task."""

    LABELS = "labels"
    TEXTS = "texts"
    PREFERENCES = "preferences"


_LEAST, _MOST = 200, 2000
"""Least steps for few rows, and most for many."""


def method_defaults(
    written: Mapping[str, Any], recipe: Mapping[str, Any]
) -> tuple[MethodDefault, ...]:
    """Return the keys that `written`, a method of `recipe`, does not have."""
    return tuple(default for default in _every(written, recipe) if default.key not in written)


def _every(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[MethodDefault]:
    is_full = written.get("kind") == "full"
    if not is_full and written.get("rslora") is True:
        why = "with rslora the same at every rank; at rank 16 the usual effect, 2"
        yield MethodDefault(key="alpha", value=USUAL_ALPHA_OF_RSLORA, reason=why)
    elif not is_full:
        alpha = 2 * int(written.get("rank", 0))
        yield MethodDefault(key="alpha", value=alpha, reason="twice the rank")
    yield from _steps(written, recipe)
    yield _rate(recipe, is_full=is_full, has_loraplus=written.get("loraplus_lr_ratio", 1) != 1)
    yield _keep(written, recipe)
    if _learns(recipe) is Learns.PREFERENCES:
        defaults = preference_defaults({}, recipe)
        why = "single answers" if defaults["loss"] == "kto" else "pairs, against the base model"
        yield MethodDefault(key="preference", value=defaults, reason=why)


def preference_defaults(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of `method.preference` that are no constants of the schema: by the shape and the loss."""
    data = recipe.get("data")
    is_single = isinstance(data, Mapping) and data.get("shape") == "kto"
    loss = written.get("loss", "kto" if is_single else "dpo")
    return {"loss": loss, **(_SIMPO if loss == "simpo" else {"beta": 0.1})}


def _learns(recipe: Mapping[str, Any]) -> Learns:
    kind = written_kind(recipe)
    return Learns.TEXTS if kind is None else learned_of(kind)


def learned_of(kind: Kind) -> Learns:
    if kind.turns is Turns.PREFERENCE:
        return Learns.PREFERENCES
    return Learns.LABELS if kind.has_labels else Learns.TEXTS


def _steps(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[MethodDefault]:
    micro = written.get("micro_batch_size")
    batch = USUAL_BATCH if not micro else micro * max(1, -(-USUAL_BATCH // micro))
    why = "small batches give more steps from few rows"
    if batch != USUAL_BATCH:
        why = f"{USUAL_BATCH} rows, rounded up to whole passes of {micro}"
    yield MethodDefault(key="batch_size", value=batch, reason=why)
    batch = written.get("batch_size", batch)
    yield MethodDefault(key="micro_batch_size", value=batch, reason="all rows of a step at once")
    if "epochs" in written or "tokens" in written:  # These decide the number of steps.
        return
    learns = _learns(recipe)
    epochs, why = {
        Learns.LABELS: (8.0, "an answer is one label, which teaches little each time"),
        Learns.TEXTS: (3.0, "each answer teaches many tokens"),
        Learns.PREFERENCES: (1.0, "seen again and again, both answers get less likely"),
    }[learns]
    yield MethodDefault(key="epochs", value=epochs, reason=why)
    least = _LEAST if learns is Learns.LABELS else _LEAST // 2
    most = written.get("max_steps", _MOST)
    if not isinstance(most, int) or most > least:
        why = "few rows are seen more often: fewer steps underfit"
        yield MethodDefault(key="min_steps", value=least, reason=why)
    if "min_steps" not in written or written["min_steps"] <= _MOST:
        yield MethodDefault(key="max_steps", value=_MOST, reason="many rows are seen less often")


def _keep(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> MethodDefault:
    splits = recipe.get("splits")
    has_none = isinstance(splits, Mapping) and splits.get("validation") == 0
    if has_none and not are_drawn_from_train(recipe):
        return MethodDefault(key="keep", value="last", reason="no validation rows to choose by")
    if _learns(recipe) is Learns.LABELS and "early_stopping" not in written:
        why = "labels get better for longer than the validation loss falls"
        return MethodDefault(key="keep", value="last", reason=why)
    return MethodDefault(key="keep", value="best", reason="the lowest validation loss")


def _rate(recipe: Mapping[str, Any], *, is_full: bool, has_loraplus: bool) -> MethodDefault:
    weights = size_of(recipe.get("base_model"))
    learns = _learns(recipe)
    if is_blank(recipe.get("base_model")):
        why = "a blank model has everything to learn, the larger in the smaller steps"
        return MethodDefault(key="learning_rate", value=blank_rate(weights), reason=why)
    rate = usual_rate(weights, is_full=is_full, learns=learns, has_loraplus=has_loraplus)
    why = "a base model of unnamed size"
    if weights:
        size = f"{weights / 1e9:g} B" if weights >= 1e9 else f"{weights / 1e6:g} M"
        why = f"an adapter on {size} weights"
    if is_full:
        why = f"a tenth of an adapter's: {why.replace('an adapter on', 'all of')}"
    if learns is Learns.PREFERENCES:
        why += ", a tenth of it as two answers are compared"
    elif learns is Learns.TEXTS:
        why += ", half of it as each answer teaches many tokens"
    if has_loraplus:
        why += "; a quarter of it, as B learns faster"
    return MethodDefault(key="learning_rate", value=rate, reason=why)


def usual_rate(
    weights: float | None,
    *,
    is_full: bool,
    learns: Learns = Learns.LABELS,
    has_loraplus: bool = False,
) -> float:
    """Return the learning rate of a base model with so many weights, None where unknown; with LoRA+ that of A."""
    rate = _MEASURED_RATE * min(1.0, (_MEASURED / (weights or _USUAL)) ** _FALL)
    rate = _one_digit(rate * _OF_FULL if is_full else rate)
    if learns is not Learns.LABELS:
        rate = _one_digit(rate * (_OF_TEXTS if learns is Learns.TEXTS else _OF_PREFERENCES))
    return _one_digit(rate * _OF_LORAPLUS) if has_loraplus else rate


def blank_rate(weights: float | None) -> float:
    return _one_digit(_BLANK_RATE * min(1.0, (_BLANK / (weights or _USUAL)) ** _BLANK_FALL))


def _one_digit(rate: float) -> float:
    return float(f"{rate:.0e}")


def size_of(base_model: Any) -> float | None:
    """Return the number of weights in the name of a base model, such as `135M`; None without one."""
    if not isinstance(base_model, Mapping):
        return None
    if is_blank(base_model):
        blank = base_model["scratch"]
        sizes = (blank.get("layers"), blank.get("width"), blank.get("heads"))
        layers, width, heads = (size if isinstance(size, int) else 0 for size in sizes)
        if min(layers, width, heads) < 1:
            return None
        inner = blank.get("feed_forward", feed_forward_of(width))
        keys = width * blank.get("kv_heads", heads) / heads
        tokenizer = blank.get("tokenizer")
        words = tokenizer.get("size", 0) if isinstance(tokenizer, Mapping) else 0
        return float(layers * width * (2 * width + 2 * keys + 3 * inner) + words * width)
    # The file of a package, or of a folder, names the model; its archive may hold several.
    for key in ("file", "hub", "path", "package"):
        name = base_model.get(key)
        if isinstance(name, str) and (matches := _SIZE.findall(name.rpartition("/")[2])):
            number, unit = matches[-1]
            return float(number) * (1e6 if unit in "mM" else 1e9)
    return None


def is_blank(base_model: Any) -> bool:
    return isinstance(base_model, Mapping) and isinstance(base_model.get("scratch"), Mapping)


ADAPTER_KEYS: Final = (
    *("rank", "alpha", "dropout", "target_modules"),
    *("dora", "rslora", "ranks", "layers", "loraplus_lr_ratio"),
)
OPTIONS: Final = (
    *("dora", "rslora", "ranks", "layers", "train_only"),
    *("loraplus_lr_ratio", "neftune_alpha", "loss_on", "packing", "tokens"),
)
"""Keys that do nothing by default."""
ATTENTION: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
DECAY: Final = 0.2
"""Share of all steps at the end in which a constant learning rate falls (Hägele et al., Scaling Laws and
Compute-Optimal Training Beyond Fixed Training Durations, 2024)."""


def method_of(written: Mapping[str, Any], recipe: Mapping[str, Any]) -> Method:
    """Return the method of a section of a checked recipe with the schema's defaults."""
    defaults = {default.key: default.value for default in method_defaults(written, recipe)}
    given: dict[str, Any] = {}
    if written["kind"] == "full":
        given |= {"rank": 0, "alpha": 0, "dropout": 0.0}
    whole = {**defaults, **written}
    if "tokens" in whole:
        given["epochs"] = 0.0
    if isinstance(named := whole["scheduler"], Mapping):
        decay = {"decay": DECAY} if named["name"] == "constant_then_decay" else {}
        given["scheduler"] = from_mapping(Scheduler, {**decay, **named})
    if "preference" in whole:
        own = whole["preference"]
        given["preference"] = from_mapping(Preference, {**preference_defaults(own, recipe), **own})
    # Sorted: the order of names means nothing, and methods are compared.
    given["ranks"] = tuple(sorted(written.get("ranks", {}).items()))
    return from_mapping(Method, whole, **given)


def unset_options(method: Method, names: Sequence[str] = OPTIONS) -> tuple[str, ...]:
    defaults = {field.name: field.default for field in fields(Method)}
    return tuple(name for name in names if getattr(method, name) == defaults[name])


def method_slice(method: Method) -> dict[str, Any]:
    # Earlier versions had none of these keys, and stage keys stay the same.
    unset = unset_options(method, ("min_steps", "max_steps", "preference", *OPTIONS))
    return {name: value for name, value in to_json(method).items() if name not in unset}


def method_mapping(method: Method, *, has_unset: bool = False) -> dict[str, Any]:
    """Return a method as its section would hold it, defaults explicit; idle options with `has_unset` only."""
    absent = [] if has_unset else [*unset_options(method)]
    absent += ["epochs"] if method.tokens is not None else []
    absent += ADAPTER_KEYS if method.kind == "full" else ()
    given: dict[str, Any] = dict.fromkeys(absent)
    if isinstance(method.scheduler, Scheduler):
        written = to_json(method.scheduler)
        given["scheduler"] = {key: part for key, part in written.items() if part is not None}
    return to_mapping(method, definition("method"), **given)
