"""Rules of one condition on a key: a table of code, key, and whether the value of the key breaks the rule.

The pages of the codes have the words, unless a condition returns `Broken` with its own. A condition gets the value;
`get`, which returns that of another key, with defaults, None without one; and the recipe.
"""

from functools import partial
from itertools import pairwise
from math import sqrt
from typing import Any, Final

from engine.kinds import AnswerForm, Decoding, Turns
from engine.recipe.baselines import ASKS_BASE_MODEL, kind_and_spec, written_baselines
from engine.recipe.methods import ADAPTER_KEYS, FEWEST_TO_CALIBRATE, USUAL_BATCH
from engine.recipe.model import ONNX
from engine.recipe.prompt import NO_LABEL
from engine.recipe.rules import CONDITIONS, Broken, Get
from engine.recipe.rules.splits import NAMES, has_written_splits, may_have_folds
from engine.recipe.sweeps import MOST, count_of, value_words, written_settings
from engine.recipe.teacher import OF_SOFT, RATIOS
from engine.recipe.text.source import SourceText

KINDS_OF_TEXT: Final = ("generation", "chat", "text")
"""Kinds whose answers are texts, so that a share of their tokens can be general text."""
KEEPING_APART: Final = ("sdpa", "eager")
"""Kinds of attention that see only their own document of a packed row."""
MIXING: Final = ("nanotron", "unsloth")
"""Backends whose attention sees the other documents."""
MANY: Final = 16
"""Settings, above which the luck of the validation rows is warned of."""
_WORDS: Final = frozenset({"lm_head", "embed_tokens", "embed_in", "embed_out", "wte", "wpe"})
_LOSSES_OF: Final[dict[str, tuple[tuple[str, ...], float]]] = {
    "answer_weight": (("dpo", "ipo", "simpo"), 0),
    "gamma": (("simpo",), 0),
    "desirable_weight": (("kto",), 1),
    "undesirable_weight": (("kto",), 1),
}
"""By key, the losses that have it, and its idle value, which a resolved recipe writes for every loss."""


def validates(get: Get) -> bool:
    """Return whether there are validation rows, those that are drawn from the training rows included."""
    return bool(get("splits.validation") != 0 or get("method.keep") == "best")


def has_probabilities(recipe: SourceText) -> bool:
    return recipe.kind.decoding is Decoding.LABEL_SCORING


def cannot_calibrate(own: object, get: Get, _: SourceText) -> Broken | None:
    size = get("splits.validation")
    why = ""
    if get("splits.folds"):
        why = "with `splits.folds` there is no model whose validation rows and holdout are those of the gate"
    elif not validates(get):
        why = "there are no validation rows to choose temperature and threshold on"
    elif isinstance(size, int) and 0 < size < FEWEST_TO_CALIBRATE:
        why = f"{size} validation rows are too few: {FEWEST_TO_CALIBRATE} are needed"
    return Broken(why) if own and why else None


def is_out_of_reach(least: float, get: Get, _: SourceText, *, answers: str) -> Broken | None:
    is_reached = least < 1 or (least == 1 and get("acceptance.decide_on") == "point")
    message = f"no holdout shows that at least {least:g} of all rows are {answers}"
    return None if is_reached else Broken(message)


def has_odd_heads(heads: int, get: Get, _: SourceText) -> Broken | None:
    width = get("base_model.scratch.width")
    fitting = -(-width // (2 * heads)) * 2 * heads
    message = f"width {width} is no even multiple of {heads} heads"
    hint = f"write `width: {fitting}`, or another number of heads"
    return Broken(message, hint) if width % (2 * heads) else None


def kept_layers_fall(kept: object, _: Get, __: SourceText) -> Broken | None:
    layers = kept if isinstance(kept, list) else []
    for position, (layer, following) in enumerate(pairwise(layers), start=1):
        if following < layer:
            message = f"layer {following} comes after layer {layer}"
            return Broken(message, f"write `keep_layers: {sorted(layers)}`", (position,))
    return None


def has_no_quantized_file(_: object, get: Get, recipe: SourceText, *, key: str) -> bool:
    return recipe.has(("export", key)) and {"gguf", "ollama"}.isdisjoint(get("export.formats"))


def prefers(recipe: SourceText) -> bool:
    return recipe.kind.turns is Turns.PREFERENCE


def loss_of(get: Get) -> str:
    return get("method.preference.loss") or ("kto" if get("data.shape") == "kto" else "dpo")


def learns_single_answers(size: int, get: Get, recipe: SourceText) -> bool:
    """Return whether a pass has one row, and the loss is KTO, which compares the rows of a pass."""
    return size == 1 and prefers(recipe) and loss_of(get) == "kto"


def has_other_rows(loss: str, get: Get, recipe: SourceText) -> Broken | None:
    has_pairs = get("data.shape") == "dpo" or get("data.pair") is not None
    has_rows = has_pairs or get("data.shape") == "kto"
    if not (prefers(recipe) and has_rows and has_pairs == (loss == "kto")):
        return None
    rows, other = ("pairs", "dpo") if has_pairs else ("single answers", "kto")
    return Broken(f"{loss} cannot learn from {rows}", f"write `loss: {other}`")


def is_of_another_loss(
    own: float, get: Get, recipe: SourceText, *, key: str, losses: tuple[str, ...], idle: float
) -> Broken | None:
    loss = loss_of(get)
    is_fitting = not prefers(recipe) or own == idle or loss in losses
    return None if is_fitting else Broken(f"{loss} has no `{key}`; {' and '.join(losses)} have")


def has_adapter_key(own: object, get: Get, recipe: SourceText, *, key: str) -> Broken | None:
    if get("method.kind") != "full" or not recipe.has(("method", key)):
        return None
    hint = f"write `train_only: {{layers: {value_words(own)}}}`" if key == "layers" else None
    return Broken(f"`{key}` describes an adapter; method.kind is `full`", hint)


def varied(sweep: dict[str, Any], get: Get, *keys: str) -> Broken | None:
    """Return the first setting of a sweep that changes one of these keys of the method."""
    return next(
        (
            Broken(below=setting.path(key)[1:])
            for setting in written_settings(sweep)
            for key in keys
            if setting.changes.get(key, get(f"method.{key}")) != get(f"method.{key}")
        ),
        None,
    )


def lacks_price(get: Get) -> bool:
    agreement = get("data.synthesize.keep.agreement")
    judge = agreement.get("judge") if agreement["votes"] else None
    models = [get("data.synthesize.teacher"), *([judge] if judge else [])]
    prices = [any(model["price"].values()) for model in models if "endpoint" in model]
    return not (prices and all(prices))


def teacher(get: Get) -> dict[str, Any]:
    """Return the keys of the teacher's model; none of a baseline."""
    model = get("teacher.model")
    return model if isinstance(model, dict) else {}


def is_loaded(get: Get) -> bool:
    """Return whether the teacher is a model that is loaded here."""
    return not {"hub", "path", "package"}.isdisjoint(teacher(get))


def is_the_base(get: Get) -> bool:
    model, base = teacher(get), get("base_model")
    same = all(model.get(key) == base.get(key) for key in ("hub", "path", "package", "file"))
    return same and is_loaded(get) and "keep_layers" not in base and not model.get("shots")


def is_soft(get: Get) -> bool:
    return bool(get("teacher.targets") == "soft")


CONDITIONS.extend((
    ("R246", "acceptance.metrics", lambda own, _, recipe: recipe.kind.needs_threshold and not own),
    ("R218", "acceptance.over_baselines", lambda own, _, recipe: own and not written_baselines(recipe.filled)),
    ("R218", "stop_if_baseline_passes", lambda own, _, recipe: own and not written_baselines(recipe.filled)
        and "stop_if_baseline_passes" in recipe.value),
    ("R399", "acceptance.stride",
        lambda _, get, recipe: recipe.kind.name != "text" and get("acceptance.forgetting.text") is None),
    ("R400", "acceptance.stride", lambda own, get, _: own >= (length := get("method.max_length"))
        and Broken(hint=f"write {max(1, length // 2)}, or delete it")),
    ("R417", "acceptance.selective", lambda _, __, recipe: not has_probabilities(recipe)),
    ("R417", "export.calibrate", lambda own, _, recipe: own and not has_probabilities(recipe)),
    ("R419", "acceptance.selective", cannot_calibrate),
    ("R419", "export.calibrate", cannot_calibrate),
    ("R418", "acceptance.selective.accuracy.min", partial(is_out_of_reach, answers="answered right")),
    ("R418", "acceptance.selective.coverage.min", partial(is_out_of_reach, answers="answered")),
    ("R453", "export.formats[]", lambda own, _, recipe: own == ONNX and not has_probabilities(recipe)),
    ("R454", "export.graph_precision", lambda _, get, __: ONNX not in get("export.formats")),
    *(("R221", f"export.{key}", partial(has_no_quantized_file, key=key))
        for key in ("quantization", "importance_matrix", "after_quantization")),
    ("R214", "data.label.bins", lambda own, get, _: own and get("data.label.relabel")),
    ("R396", "data.replay", lambda _, __, recipe: recipe.kind.name not in KINDS_OF_TEXT),
    ("R397", "data.replay.from", lambda _, get, __: {"scratch", "keep_layers"} & get("base_model").keys()),
    ("R363", "method.kind", lambda own, get, _: own != "full" and get("base_model.scratch")),
    ("R364", "base_model.scratch.heads", has_odd_heads),
    ("R364", "base_model.scratch.kv_heads", lambda own, get, _: (heads := get("base_model.scratch.heads")) % own
        and Broken(f"must divide heads {heads}, {own} does not")),
    ("R366", "method.max_length", lambda own, get, _: own > (context := get("base_model.scratch.context") or own)
        and Broken(f"rows of {own} tokens do not fit a context of {context}", f"write `max_length: {context}`")),
    ("R368", "base_model.scratch", lambda _, __, recipe: recipe.kind.name != "text"),
    ("R365", "acceptance.metrics.perplexity", lambda _, get, __: get("base_model.scratch")),
    ("R365", "acceptance.over_baselines.perplexity", lambda _, get, __: get("base_model.scratch")),
    ("R367", "acceptance.forgetting", lambda _, get, __: get("base_model.scratch")),
    ("R367", "baselines[]",
        lambda own, get, _: get("base_model.scratch") and kind_and_spec(own)[0] in ASKS_BASE_MODEL),
    ("R369", "base_model.keep_layers", kept_layers_fall),
    ("R335", "method.preference", lambda _, __, recipe: not prefers(recipe)),
    ("R340", "acceptance.drift", lambda _, __, recipe: not prefers(recipe)),
    ("R336", "method.dropout", lambda own, get, recipe: own > 0 and prefers(recipe) and get("method.kind") != "full"),
    ("R337", "method.micro_batch_size", learns_single_answers),
    ("R337", "method.batch_size", lambda own, get, recipe: learns_single_answers(own, get, recipe)
        and get("method.micro_batch_size") != 1),
    ("R338", "method.preference.loss", has_other_rows),
    *(("R339", f"method.preference.{key}", partial(is_of_another_loss, key=key, losses=losses, idle=idle))
        for key, (losses, idle) in _LOSSES_OF.items()),
    *(("R204", f"method.{key}", partial(has_adapter_key, key=key)) for key in ADAPTER_KEYS),
    ("R205", "method.micro_batch_size", lambda own, get, _: (get("method.batch_size") or 0) % own),
    ("R206", "method.alpha", lambda own, get, _: get("method.kind") != "full"
        and own < (sqrt(get("method.rank")) if get("method.rslora") else get("method.rank"))),
    ("R273", "method.seeds[]", lambda own, get, _: own == get("method.seed")),
    ("R352", "method.target_modules[]", lambda own, _, __: own.rpartition(".")[2] in _WORDS),
    ("R345", "method.train_only", lambda _, get, __: get("method.kind") != "full"),
    ("R346", "method.train_only", lambda own, _, __: not own.get("layers") and not own.get("embeddings")),
    ("R349", "method.loss_on", lambda _, __, recipe: prefers(recipe) or not recipe.kind.has_turns),
    ("R350", "backend.overrides.neftune_noise_alpha", lambda _, get, __: get("method.neftune_alpha") is not None),
    ("R350", "backend.overrides.loraplus_lr_ratio", lambda _, get, __: get("method.loraplus_lr_ratio") is not None),
    ("R292", "method.min_steps", lambda own, get, _: own > (get("method.max_steps") or own)),
    *(("R353", f"method.{key}", lambda _, get, __: get("method.tokens") is not None)
        for key in ("epochs", "min_steps", "max_steps")),
    ("R354", "method.tokens", lambda _, get, __: not get("method.packing")),
    ("R465", "method.tokens", lambda own, get, _: get("method.packing")
        and own < (get("method.batch_size") or USUAL_BATCH) * get("method.max_length")),
    ("R355", "backend.overrides.attn_implementation",
        lambda own, get, _: get("method.packing") and own not in KEEPING_APART),
    ("R357", "backend.name", lambda own, get, _: get("method.packing") and own in MIXING),
    ("R356", "method.scheduler.decay", lambda _, get, __: get("method.scheduler.name") != "constant_then_decay"),
    ("R270", "learning_curve", lambda own, get, _: own and not validates(get)),
    ("R271", "splits.folds", lambda own, get, _: own == 2 and validates(get)),
    ("R217", "method.early_stopping", lambda _, get, __: not validates(get)),
    ("R261", "splits.holdout", lambda _, get, __: get("splits.folds")),
    ("R261", "splits.folds", lambda own, _, recipe: own == 1 or (own and not may_have_folds(recipe))),
    ("R282", "sweep", lambda _, get, __: not validates(get)),
    ("R283", "sweep", lambda _, get, __: get("splits.folds")),
    ("R284", "sweep", lambda own, _, __: count_of(own) == 1 and Broken(below=written_settings(own)[0].at[1:])),
    ("R286", "sweep", lambda own, _, __: MANY < count_of(own) <= MOST),
    ("R287", "sweep", lambda own, _, __: count_of(own) > MOST and Broken(below=("grid",))),
    ("R289", "sweep", lambda own, get, recipe: not recipe.kind.has_turns and varied(own, get, "max_length")),
    ("R377", "sweep", lambda own, get, _: is_soft(get) and varied(own, get, "max_length", "loss_on")),
    *((code, f"{section}.sources[].{key}", lambda own, _, __: own != 1)
        for code, section in (("R322", "teacher.inputs"), ("R398", "data.replay")) for key in ("into", "weight")),
    ("R252", "data.sources[].into", lambda _, get, __: get("splits.by") != "files"),
    *(("R263", f"splits.{name}", lambda own, _, recipe: own == "all" and not has_written_splits(recipe))
        for name in ("holdout", "validation")),
    ("R244", "task.labels[]", lambda own, _, recipe: recipe.kind.answer is AnswerForm.LABELS
        and ("," in own or own.casefold() == NO_LABEL)),
    *(("R208", f"splits.{name}", lambda own, _, __: isinstance(own, float) and own >= 1) for name in NAMES),
    ("R464", "splits.train", lambda own, _, __: own == 0),
    ("R464", "splits.holdout", lambda own, get, _: own == 0 and not get("splits.folds")),
    ("R126", "name", lambda _, __, recipe: ("name",) in recipe.inherited),
    ("R380", "data.synthesize", lambda _, __, recipe: not recipe.kind.is_constrained),
    ("R381", "data.synthesize", lambda _, get, __: get("teacher")),
    ("R382", "data.synthesize", lambda _, get, __: get("splits.folds")),
    ("R384", "data.synthesize.keep.agreement.min",
        lambda own, get, _: 0 < get("data.synthesize.keep.agreement.votes") < own),
    ("R385", "data.synthesize.temperature",
        lambda own, get, _: own and get("data.synthesize.teacher.endpoint") is None),
    ("R386", "data.synthesize.max_cost", lambda _, get, __: lacks_price(get)),
    ("R387", "acceptance.synthetic", lambda _, get, __: get("data.synthesize") is None),
    ("R387", "acceptance.over_without_synthetic", lambda own, get, _: own and get("data.synthesize") is None),
    ("R388", "acceptance.synthetic",
        lambda _, get, __: get("data.synthesize") and get("data.synthesize.review") is None),
    ("R320", "teacher", lambda _, __, recipe: not recipe.kind.is_constrained),
    ("R323", "teacher", lambda _, get, __: get("splits.folds")),
    ("R321", "teacher.keep.confidence", lambda _, get, __: not teacher(get) or "endpoint" in teacher(get)),
    ("R324", "teacher.stop_if_teacher_is_no_better",
        lambda own, get, _: own and (get("splits.validation") is None or not validates(get))),
    *(("R375", f"teacher.{key}", lambda _, get, __: not is_soft(get)) for key in OF_SOFT),
    ("R376", "teacher", lambda own, get, _: not is_soft(get) and "inputs" not in own),
    ("R373", "teacher.targets", lambda own, get, _: own == "soft" and not is_loaded(get)),
    ("R374", "teacher.model.shots", lambda own, get, _: own and is_soft(get)),
    ("R326", "acceptance.against_teacher", lambda _, get, __: not get("teacher")),
    *(("R327", f"acceptance.against_teacher.{key}", lambda _, get, __: get("teacher") and not is_loaded(get))
        for key in RATIOS),
    ("R395", "teacher.model", lambda _, get, __: is_the_base(get)),
))  # fmt: skip
