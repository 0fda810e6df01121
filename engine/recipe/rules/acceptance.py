"""Rules about what must hold: metrics, bounds and their directions, the exported file."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.kinds import KINDS
from engine.recipe.baselines import written_baselines
from engine.recipe.metrics import FREE, OF_FILES, leaves, spec_of
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.splits import may_have_folds
from engine.recipe.rules.task import no_such_label
from engine.recipe.teacher import RATIOS
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import FilledText
from engine.recipe.text.words import nearest, suggestion, with_suggestion
from engine.recipe.validation.schema_errors import percent_hint, show

QUANTIZATIONS: Final = (
    "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S",
    "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "IQ4_NL", "IQ4_XS",
)  # fmt: skip
"""llama.cpp's names that need no importance matrix."""
WITH_MATRIX: Final = (
    "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS",
    "IQ1_M", "IQ1_S",
)  # fmt: skip
"""Those that do: without one llama.cpp refuses them, or makes files not worth their bytes."""
AGREEMENT: Final = "agreement"
_METRICS_AT: Final = ("acceptance", "metrics")
_GAINS_AT: Final = ("acceptance", "over_baselines")
_PREVIOUS_AT: Final = ("acceptance", "over_previous")
_TEACHER_AT: Final = ("acceptance", "against_teacher")
_SYNTHETIC_AT: Final = ("acceptance", "over_without_synthetic")
_AFTER_AT: Final = ("export", "after_quantization")
_KEPT_BY_ALL: Final = {"min": 0, "max": 1, "max_drop": 1}
"""The bounds of a share that it cannot miss."""
_SIGNED: Final = ("mcc",)
_OF_FILES: Final = tuple(spec.name for spec in OF_FILES)


@rule("task.kind", "acceptance.metrics")
def something_must_hold(recipe: FilledText) -> Problems:
    kind = KINDS.get(recipe["task"]["kind"])
    if kind and kind.needs_threshold and not recipe["acceptance"]["metrics"]:
        message = "name at least one metric that must hold"
        hint = "acceptance: {metrics: {macro_f1: {min: 0.8}}}"
        yield recipe.problem("R246", message, at=_METRICS_AT, key=True, hint=hint)


@rule("task.kind", "task.labels", "acceptance", "export.after_quantization")
def metrics_are_known(recipe: FilledText) -> Problems:
    if recipe["task"]["kind"] not in KINDS:
        return
    acceptance = recipe["acceptance"]
    for name in acceptance["metrics"]:
        at = (*_METRICS_AT, name)
        if name in _OF_FILES:
            message = f"`{name}` is measured on the quantized file"
            hint = "it belongs under export.after_quantization"
            yield recipe.problem("R207", message, at=at, key=True, hint=hint)
        else:
            yield from _unknown_metric(recipe, name, at)
    for section in (_GAINS_AT, _PREVIOUS_AT, _TEACHER_AT, _SYNTHETIC_AT):
        for name in acceptance.get(section[1], ()):
            if section != _TEACHER_AT or name not in RATIOS:
                yield from compared_metric(recipe, name, (*section, name))
    for name, bounds in recipe["export"]["after_quantization"].items():
        at = (*_AFTER_AT, name)
        if name not in _OF_FILES:
            yield from _unknown_metric(recipe, name, at, also=_OF_FILES)
        elif "max_drop" in bounds:
            message = f"{name} has no value before that it could drop from"
            if name == AGREEMENT:
                message = "agreement is itself a comparison, it cannot drop"
            hint = "use `min` or `max`"
            yield recipe.problem("R207", message, at=(*at, "max_drop"), key=True, hint=hint)


def compared_metric(recipe: FilledText, name: str, at: KeyPath) -> Problems:
    """R201, R207, R212: models are compared by a metric of their answers that the task has."""
    if name in _OF_FILES or name in FREE:
        message = f"there is no `{name}` to compare with: only answers are compared"
        yield recipe.problem("R207", message, at=at, key=True)
    else:
        yield from _unknown_metric(recipe, name, at)


def _unknown_metric(
    recipe: FilledText, name: str, at: KeyPath, *, also: tuple[str, ...] = ()
) -> Problems:
    task, (bare, dot, of) = recipe["task"], name.partition(".")
    specs = KINDS[task["kind"]].metrics
    known = [spec for spec in specs if spec.name == bare and bool(spec.of)]
    if dot and known:
        yield from _unknown_part(recipe, of, at, kind=known[0].of)
        return
    if spec_of(name, task["kind"]) is not None:
        return
    if known:
        averages = [spec.name for spec in specs if spec.name.endswith(f"_{bare}")]
        labels, message = task.get("labels"), f"`{name}` of which {known[0].of}?"
        hint = f"write `{averages[0]}`, or `{name}.{labels[0]}` for one label" if labels else None
    else:
        names = [f"{spec.name}.{spec.of.upper()}" if spec.of else spec.name for spec in specs]
        names += also
        hint = suggestion(name, names, f"metrics are {', '.join(names)}")
        message = f"no such metric: {show(name)}"
        elsewhere = [kind for kind in KINDS if spec_of(name, kind) is not None]
        if elsewhere and nearest(name, names) is None:
            message = f"{task['kind']} has no metric {show(name)}; {' and '.join(elsewhere)}"
            message += " has" if len(elsewhere) == 1 else " have"
    yield recipe.problem("R201", message, at=at, key=True, hint=hint)


def _unknown_part(recipe: FilledText, of: str, at: KeyPath, *, kind: str) -> Problems:
    if kind == "label":
        if of not in recipe["task"].get("labels", []):
            yield no_such_label(recipe, of, at, key=True)
        return
    fields = leaves(recipe["task"].get("schema"))
    if fields and of not in fields:
        hint = with_suggestion(f"fields are {', '.join(fields)}", of, fields)
        yield recipe.problem("R212", f"no such field: {show(of)}", at=at, key=True, hint=hint)


@rule("task.kind", "acceptance", "export.after_quantization")
def bounds_make_sense(recipe: FilledText) -> Problems:
    for at, bounds in _bounds(recipe):
        spec = spec_of(str(at[-1]), recipe["task"]["kind"])
        if spec is None:
            continue
        wrong, right = ("min", "max") if spec.better == "lower" else ("max", "min")
        if spec.better != "either" and wrong in bounds:
            better = f"`{at[-1]}` is better when {spec.better}"
            message = f"{better}; a `{wrong}` would refuse the better model"
            hint = f"delete `{wrong}`" if right in bounds else f"write `{right}: {bounds[wrong]}`"
            yield recipe.problem("R203", message, at=(*at, wrong), key=True, hint=hint)
        for word, bound in bounds.items() if spec.unit == "share" else ():
            # What a share gains or drops is at most 1 too.
            if isinstance(bound, int | float) and bound > 1:
                message = f"must be at most 1, not {show(bound)}"
                yield recipe.problem("R108", message, at=(*at, word), hint=percent_hint(bound))
            # a correlation may be below 0
            elif word in _KEPT_BY_ALL and bound == _KEPT_BY_ALL[word] and spec.name not in _SIGNED:
                message = f"every model keeps `{word}: {bound}`, so this bound holds nothing"
                hint = "write what the model has to reach, or delete the bound"
                yield recipe.warning("R466", message, at=(*at, word), hint=hint)


@rule("task.kind", "acceptance", "splits")
def bounds_can_be_reached(recipe: FilledText) -> Problems:
    acceptance, rows = recipe["acceptance"], recipe["splits"].get("holdout")
    if acceptance["decide_on"] != "lower_bound" or not isinstance(rows, int) or rows < 1:
        return
    for name, bounds in acceptance["metrics"].items():
        spec, bound = spec_of(name, recipe["task"]["kind"]), bounds.get("min")
        # Wilson's interval is of shares of rows; the intervals of other metrics need the answers.
        if spec is None or spec in OF_FILES or not spec.is_row_share or bound is None or bound > 1:
            continue
        best = rows / (rows + _squared_quantile(acceptance["confidence"]))
        if best < bound:
            lower_bound = f"on {rows:,} holdout rows the lower bound is at most {best:.4f}"
            most = int(best * 1000) / 1000
            hint = f"{_more_judged(bound, recipe)}; else ask for {most} or less"
            at = (*_METRICS_AT, name, "min")
            yield recipe.problem("R202", f"can never pass: {lower_bound}", at=at, hint=hint)


def _more_judged(bound: float, recipe: FilledText) -> str:
    """Say what would let enough rows judge: no lower bound reaches 1."""
    if bound == 1:
        return "no number of rows shows that"
    square = _squared_quantile(recipe["acceptance"]["confidence"])
    rows = math.floor(bound * square / (1 - bound)) + 1
    folds = ", or give splits.folds in its place: then every row judges"
    return (
        f"enlarge splits.holdout to at least {rows:,} rows{folds if may_have_folds(recipe) else ''}"
    )


def _squared_quantile(confidence: float) -> float:
    from statistics import NormalDist  # loads fractions and decimals

    # A confidence out of range is the schema's to report; here it must not raise.
    return NormalDist().inv_cdf(0.5 + min(max(confidence, 0.5), 0.999) / 2) ** 2


def _bounds(recipe: FilledText) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    for section in (_METRICS_AT, _GAINS_AT, _PREVIOUS_AT, _AFTER_AT):
        for name, bounds in recipe[section[0]][section[1]].items():
            yield (*section, name), bounds
    for at in (_TEACHER_AT, _SYNTHETIC_AT):
        for name, bounds in recipe[at[0]].get(at[1], {}).items():
            if name not in RATIOS:
                yield (*at, name), bounds


@rule("task.kind", "acceptance.over_baselines", "baselines")
def gains_have_a_baseline(recipe: FilledText) -> Problems:
    if written_baselines(recipe.filled):
        return
    if recipe["acceptance"]["over_baselines"]:
        message = "there is no baseline to gain over; `baselines` is empty"
        yield recipe.problem("R218", message, at=_GAINS_AT, key=True)
    stop = ("stop_if_baseline_passes",)
    if recipe.value.get(*stop) is True:
        message = "there is no baseline that could pass; `baselines` is empty"
        yield recipe.problem("R218", message, at=stop, key=True)


@rule("export")
def quantization_is_known(recipe: FilledText) -> Problems:
    known = (*QUANTIZATIONS, *WITH_MATRIX)
    has_matrix = recipe["export"]["importance_matrix"] is True
    place: KeyPath = ("export", "quantization")
    written = recipe["export"]["quantization"]
    for number, name in enumerate(written if isinstance(written, list) else [written]):
        at = (*place, number) if isinstance(written, list) else place
        if name in WITH_MATRIX and not has_matrix:
            message = f"`{name}` needs an importance matrix"
            hint = "write `importance_matrix: true` under export"
            yield recipe.problem("R288", message, at=at, hint=hint)
        elif name not in known:
            near = suggestion(name, known, f"names are {', '.join(known)}")
            yield recipe.problem("R219", f"no such quantization: {show(name)}", at=at, hint=near)
    # not `parity`: an adapter is merged, and answers are compared, whatever leaves
    of_file = ("quantization", "importance_matrix", "after_quantization")
    for key in of_file if not set(recipe["export"]["formats"]) & {"gguf", "ollama"} else ():
        at = ("export", key)
        if recipe.has(at):
            message = f"`{key}` speaks of a quantized file; formats name none"
            yield recipe.problem("R221", message, at=at, key=True, hint="add `gguf` to formats")
