"""Rules about what must hold: metrics, bounds and their directions, the exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import Problem
from engine.recipe.complaint import show
from engine.recipe.compose import KeyPath
from engine.recipe.nearest import nearest
from engine.recipe.rules.data import no_such_label
from engine.recipe.source import SourceText

METRICS: Final = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "valid_output")
CLASS_METRICS: Final = ("precision", "recall", "f1")
AGREEMENT: Final = "agreement"
PROPORTIONS: Final = ("accuracy", "valid_output")
"""Shares of the holdout's rows, judged by their Wilson interval."""
QUANTIZATIONS: Final = (
    "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S",
    "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "IQ4_NL", "IQ4_XS",
)  # fmt: skip
"""llama.cpp's names that need no importance matrix."""
_METRICS_AT: Final = ("acceptance", "metrics")
_GAINS_AT: Final = ("acceptance", "over_baselines")
_AFTER_AT: Final = ("export", "after_quantization")


MEASURED: Final = ("classification",)
"""Kinds of tasks that have metrics."""


def something_must_hold(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R246: a task that is measured has at least one bound."""
    if filled["task"]["kind"] in MEASURED and not filled["acceptance"]["metrics"]:
        message = "name at least one metric that must hold"
        hint = "acceptance: {metrics: {macro_f1: {min: 0.8}}}"
        yield source.problem("R246", message, at=_METRICS_AT, key=True, hint=hint)


def kind_is_measured(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R247: bounds stand where something is measured."""
    kind = filled["task"]["kind"]
    if kind in MEASURED:
        return
    named: list[KeyPath] = [
        *((*_METRICS_AT, name) for name in filled["acceptance"]["metrics"]),
        *((*_GAINS_AT, name) for name in filled["acceptance"]["over_baselines"]),
        *((*_AFTER_AT, name) for name in filled["export"]["after_quantization"]),
    ]
    if "overfitting" in filled["acceptance"]:
        named.append(("acceptance", "overfitting"))
    for at in named:
        message = f"there are no metrics for {kind} yet, so this bound would hold nothing"
        yield source.problem("R247", message, at=at, key=True, hint="delete it")


def metrics_are_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R201, R207, R212: each bound is on a metric of the task, per class on one of its labels."""
    if filled["task"]["kind"] not in MEASURED:
        return
    labels = filled["task"].get("labels", [])
    for name in filled["acceptance"]["metrics"]:
        at = (*_METRICS_AT, name)
        if name == AGREEMENT:
            message = "agreement compares with the quantized file"
            hint = "it belongs under export.after_quantization"
            yield source.problem("R207", message, at=at, key=True, hint=hint)
        else:
            yield from _unknown_metric(source, name, labels=labels, at=at)


def gains_are_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R201, R207, R212, for gains over the baselines."""
    if filled["task"]["kind"] not in MEASURED:
        return
    labels = filled["task"].get("labels", [])
    for name in filled["acceptance"]["over_baselines"]:
        at = (*_GAINS_AT, name)
        if name in (AGREEMENT, "valid_output"):
            message = f"baselines have no `{name}` to gain over: they answer in labels only"
            yield source.problem("R207", message, at=at, key=True)
        else:
            yield from _unknown_metric(source, name, labels=labels, at=at)


def drops_are_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R201, R207, R212, for the quantized file; `agreement` has no value before to drop from."""
    if filled["task"]["kind"] not in MEASURED:
        return
    labels = filled["task"].get("labels", [])
    for name, bounds in filled["export"]["after_quantization"].items():
        at = (*_AFTER_AT, name)
        if name != AGREEMENT:
            yield from _unknown_metric(source, name, labels=labels, at=at, also=AGREEMENT)
        elif "max_drop" in bounds:
            message = "agreement is itself a comparison, it cannot drop"
            yield source.problem("R207", message, at=(*at, "max_drop"), key=True, hint="use `min`")


def _unknown_metric(
    source: SourceText, name: str, *, labels: list[str], at: KeyPath, also: str = ""
) -> Iterator[Problem]:
    kind, dot, label = name.partition(".")
    if name in METRICS or (dot and kind in CLASS_METRICS and label in labels):
        return
    if dot and kind in CLASS_METRICS:
        yield no_such_label(source, label, labels=labels, at=at, key=True)
        return
    if name in CLASS_METRICS:
        hint = f"write `macro_{name}`, or `{name}.{labels[0]}` for one label" if labels else None
        yield source.problem("R201", f"`{name}` of which label?", at=at, key=True, hint=hint)
        return
    known = [*METRICS, *(f"{kind}.LABEL" for kind in CLASS_METRICS), *([also] if also else [])]
    near = nearest(name, known)
    hint = f"did you mean `{near}`?" if near else f"metrics are {', '.join(known)}"
    yield source.problem("R201", f"no such metric: {show(name)}", at=at, key=True, hint=hint)


def directions_make_sense(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R203: every metric here is better when higher, so `max` would refuse the better model."""
    for section, bounds in (
        (_METRICS_AT, filled["acceptance"]["metrics"]),
        (_AFTER_AT, filled["export"]["after_quantization"]),
    ):
        for name, bound in bounds.items():
            if "max" in bound:
                yield source.problem(
                    "R203",
                    f"`{name}` is better when higher; a `max` would refuse the better model",
                    at=(*section, name, "max"),
                    key=True,
                    hint=f"write `min: {bound['max']}`" if "min" not in bound else "delete `max`",
                )


def bounds_can_be_reached(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R202: on n rows even a faultless model's lower bound is n / (n + z²), by Wilson (1927)."""
    acceptance, rows = filled["acceptance"], filled["splits"].get("holdout")
    if acceptance["decide_on"] != "lower_bound" or not isinstance(rows, int) or rows < 1:
        return
    for name in PROPORTIONS:
        bound = acceptance["metrics"].get(name, {}).get("min")
        best = _best_lower_bound(rows, confidence=acceptance["confidence"]) if bound else 1.0
        if bound is not None and best < bound:
            yield source.problem(
                "R202",
                f"can never pass: on {rows:,} holdout rows the lower bound is at most {best:.4f}",
                at=(*_METRICS_AT, name, "min"),
                hint=f"ask for {int(best * 1000) / 1000} or less, or enlarge splits.holdout",
            )


def _best_lower_bound(rows: int, *, confidence: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415 - loads fractions and decimals

    quantile = NormalDist().inv_cdf(0.5 + min(max(confidence, 0.5), 0.999) / 2)
    return rows / (rows + quantile**2)


def gains_have_a_baseline(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R218: a gain over nothing, or stopping on nothing, cannot be judged."""
    if filled["baselines"]:
        return
    if filled["acceptance"]["over_baselines"]:
        message = "there is no baseline to gain over; `baselines` is empty"
        yield source.problem("R218", message, at=_GAINS_AT, key=True)
    stop = ("stop_if_baseline_passes",)
    if source.has(stop) and source.value["stop_if_baseline_passes"] is True:
        message = "there is no baseline that could pass; `baselines` is empty"
        yield source.problem("R218", message, at=stop, key=True)


def quantization_is_known(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R219: llama.cpp has a quantization of that name which needs no importance matrix."""
    name = filled["export"]["quantization"]
    if name in QUANTIZATIONS:
        return
    near = nearest(name, QUANTIZATIONS)
    hint = f"did you mean `{near}`?" if near else f"names are {', '.join(QUANTIZATIONS)}"
    message = f"no such quantization: {show(name)}"
    yield source.problem("R219", message, at=("export", "quantization"), hint=hint)


def quantization_has_a_file(source: SourceText, filled: Mapping[str, Any]) -> Iterator[Problem]:
    """R221: only the gguf and ollama formats are quantized."""
    if set(filled["export"]["formats"]) & {"gguf", "ollama"}:
        return
    for key in ("quantization", "after_quantization"):
        at = ("export", key)
        if source.has(at):
            message = f"`{key}` speaks of a quantized file; formats name none"
            yield source.problem("R221", message, at=at, key=True, hint="add `gguf` to formats")
