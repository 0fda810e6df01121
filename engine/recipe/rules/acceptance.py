"""Rules about acceptance: metrics, thresholds and their directions, quantizations, probes of forgetting."""

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any, Final

from engine.kinds import KINDS
from engine.recipe.metrics import FREE, OF_FILES, leaves, spec_of
from engine.recipe.references import PROBE_KINDS, PROBES, parts_of
from engine.recipe.rules import Problems, rule
from engine.recipe.rules.splits import may_have_folds
from engine.recipe.rules.task import no_such_label
from engine.recipe.teacher import RATIOS
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.source import SourceText
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
"""Names that need one: without it llama.cpp refuses them, or the files are useless."""
_METRICS: Final = ("acceptance", "metrics")
_TEACHER: Final = ("acceptance", "against_teacher")
_QUANTIZED: Final = ("export", "after_quantization")
_SECTIONS: Final = (
    *(_METRICS, ("acceptance", "over_baselines"), ("acceptance", "over_previous"), _TEACHER),
    *(("acceptance", "over_without_synthetic"), _QUANTIZED),
)
"""Sections that hold bounds by metric."""
_KEPT_BY_ALL: Final = {"min": 0, "max": 1, "max_drop": 1}
"""Bounds that no share can miss."""
_OF_FILES: Final = tuple(spec.name for spec in OF_FILES)


@rule("task.kind", "task.labels", "acceptance", "export.after_quantization")
def metrics_are_known(recipe: SourceText) -> Problems:
    for at, name, bounds in _bounds(recipe):
        section = at[:-1]
        if section not in (_METRICS, _QUANTIZED):
            yield from compared_metric(recipe, name, at)
        elif name not in _OF_FILES:
            also = _OF_FILES if section == _QUANTIZED else ()
            yield from _unknown_metric(recipe, name, at, also=also)
        elif section == _METRICS:
            message = f"`{name}` is measured on the quantized file"
            yield recipe.problem("R207", message, at=at, key=True)
        elif "max_drop" in bounds:
            message = f"{name} has no value before that it could drop from"
            if name == "agreement":
                message = "agreement is itself a comparison, it cannot drop"
            yield recipe.problem("R207", message, at=(*at, "max_drop"), key=True)


def _bounds(recipe: SourceText) -> Iterator[tuple[KeyPath, str, Mapping[str, Any]]]:
    """Yield every bound of a metric: key path, name of the metric, the bound."""
    for section in _SECTIONS:
        for name, bounds in recipe[section[0]].get(section[1], {}).items():
            if section != _TEACHER or name not in RATIOS:
                yield (*section, name), name, bounds


def compared_metric(recipe: SourceText, name: str, at: KeyPath) -> Problems:
    """R201, R207, R212: models are compared by a metric of their answers that the task has."""
    if name in _OF_FILES or name in FREE:
        message = f"there is no `{name}` to compare with: only answers are compared"
        yield recipe.problem("R207", message, at=at, key=True)
    else:
        yield from _unknown_metric(recipe, name, at)


def _unknown_metric(
    recipe: SourceText, name: str, at: KeyPath, *, also: tuple[str, ...] = ()
) -> Problems:
    task, kind, (bare, dot, part) = recipe["task"], recipe.kind, name.partition(".")
    by_part = [spec for spec in kind.metrics if spec.name == bare and bool(spec.of)]
    if dot and by_part:
        yield from _unknown_part(recipe, part, at, what=by_part[0].of)
        return
    if spec_of(name, kind.name) is not None:
        return
    if by_part:
        averages = [spec.name for spec in kind.metrics if spec.name.endswith(f"_{bare}")]
        labels, message = task.get("labels"), f"`{name}` of which {by_part[0].of}?"
        hint = f"write `{averages[0]}`, or `{name}.{labels[0]}` for one label" if labels else None
    else:
        names = [
            f"{spec.name}.{spec.of.upper()}" if spec.of else spec.name for spec in kind.metrics
        ]
        names += also
        hint = suggestion(name, names, f"metrics are {', '.join(names)}")
        message = f"no such metric: {show(name)}"
        elsewhere = [other for other in KINDS if spec_of(name, other) is not None]
        if elsewhere and nearest(name, names) is None:
            have = "has" if len(elsewhere) == 1 else "have"
            message = f"{kind.name} has no metric {show(name)}; {' and '.join(elsewhere)} {have}"
    yield recipe.problem("R201", message, at=at, key=True, hint=hint)


def _unknown_part(recipe: SourceText, part: str, at: KeyPath, *, what: str) -> Problems:
    if what == "label":
        if part not in recipe["task"].get("labels", []):
            yield no_such_label(recipe, part, at, key=True)
        return
    fields = leaves(recipe["task"].get("schema"))
    if fields and part not in fields:
        hint = with_suggestion(f"fields are {', '.join(fields)}", part, fields)
        yield recipe.problem("R212", f"no such field: {show(part)}", at=at, key=True, hint=hint)


@rule("task.kind", "acceptance", "export.after_quantization")
def bounds_make_sense(recipe: SourceText) -> Problems:
    for at, name, bounds in _bounds(recipe):
        spec = spec_of(name, recipe["task"]["kind"])
        if spec is None:
            continue
        wrong, right = ("min", "max") if spec.better == "lower" else ("max", "min")
        if spec.better != "either" and wrong in bounds:
            better = f"`{name}` is better when {spec.better}"
            message = f"{better}; a `{wrong}` would refuse the better model"
            hint = f"delete `{wrong}`" if right in bounds else f"write `{right}: {bounds[wrong]}`"
            yield recipe.problem("R203", message, at=(*at, wrong), key=True, hint=hint)
        # What a share gains or drops is at most 1, too.
        for word, bound in bounds.items() if spec.unit == "share" else ():
            if bound > 1:
                message = f"must be at most 1, not {show(bound)}"
                yield recipe.problem("R108", message, at=(*at, word), hint=percent_hint(bound))
            # A correlation may be below 0.
            elif bound == _KEPT_BY_ALL.get(word) and spec.name != "mcc":
                message = f"every model keeps `{word}: {bound}`, so this bound holds nothing"
                yield recipe.warning("R466", message, at=(*at, word))


@rule("task.kind", "acceptance", "splits")
def bounds_can_be_reached(recipe: SourceText) -> Problems:
    acceptance, rows = recipe["acceptance"], recipe["splits"].get("holdout")
    if acceptance["decide_on"] != "lower_bound" or not isinstance(rows, int) or rows < 1:
        return
    # The schema reports a confidence out of range; here it must not raise.
    confidence = min(max(acceptance["confidence"], 0.5), 0.999)
    square = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    best = rows / (rows + square)
    for name, bounds in acceptance["metrics"].items():
        spec, bound = spec_of(name, recipe["task"]["kind"]), bounds.get("min")
        # Wilson's interval is of shares of rows; the intervals of other metrics need the answers.
        if spec is None or spec in OF_FILES or not spec.is_row_share or bound is None:
            continue
        if best < bound <= 1:
            # No lower bound reaches 1.
            more = "no number of rows shows that"
            if bound < 1:
                needed = math.floor(bound * square / (1 - bound)) + 1
                more = f"enlarge splits.holdout to at least {needed:,} rows"
                if may_have_folds(recipe):
                    more += ", or give splits.folds instead: then every row is in a holdout"
            message = (
                f"can never pass: on {rows:,} holdout rows the lower bound is at most {best:.4f}"
            )
            hint = f"{more}; else ask for {int(best * 1000) / 1000} or less"
            yield recipe.problem("R202", message, at=(*_METRICS, name, "min"), hint=hint)


@rule("export")
def quantization_is_known(recipe: SourceText) -> Problems:
    known = (*QUANTIZATIONS, *WITH_MATRIX)
    export, place = recipe["export"], ("export", "quantization")
    written = export["quantization"]
    for number, name in enumerate(written if isinstance(written, list) else [written]):
        at = (*place, number) if isinstance(written, list) else place
        if name in WITH_MATRIX and not export["importance_matrix"]:
            yield recipe.problem("R288", f"`{name}` needs an importance matrix", at=at)
        elif name not in known:
            near = suggestion(name, known, f"names are {', '.join(known)}")
            yield recipe.problem("R219", f"no such quantization: {show(name)}", at=at, hint=near)


@rule("acceptance.forgetting")
def probes_are_named_and_have_parts(recipe: SourceText) -> Problems:
    forgetting = recipe["acceptance"].get("forgetting") or {}
    seen: set[str] = set()
    for position, probe in enumerate(forgetting.get("probes", ())):
        at: KeyPath = (*PROBES, position)
        is_named = isinstance(probe, Mapping)
        name = probe["name"] if is_named else probe
        if name in seen or (is_named and name == "builtin"):
            message = f"two probes are called {show(name)}"
            if name == "builtin" and name not in seen:
                message = "`builtin` is the name of the project's own questions"
            place = (*at, "name") if is_named else at
            yield recipe.problem("R280", message, at=place)
        seen.add(name)
        parts = parts_of(probe["kind"]) if is_named and probe["kind"] in PROBE_KINDS else ()
        for part in probe["columns"] if parts else ():
            if part not in parts:
                hint = suggestion(part, parts, f"parts are {', '.join(parts)}")
                message = f"{probe['kind']} has no part {show(part)}"
                yield recipe.problem(
                    "R281", message, at=(*at, "columns", part), key=True, hint=hint
                )
