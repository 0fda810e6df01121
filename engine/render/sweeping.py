"""The settings of a sweep: words and rows for every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.evidence import Report, SweepResult, SweepSetting
from engine.recipe.methods import ADAPTER_KEYS
from engine.recipe.sweeps import setting_words, value_words
from engine.render.measures import column, interval_of, spoken, told, value_of
from engine.render.quantities import DASH, count, duration, millions, number

LEAD = (
    "Each setting was trained on the same training rows and asked the same validation rows, and the best one became "
    "the model. The best of several looks better on the rows that chose it than it is; only that one is asked the "
    "holdout. The intervals of how far the others are behind hold for all of them together."
)
CHOSEN = "chosen"


def keys(found: SweepResult) -> list[str]:
    """The keys of `method` in which the settings differ: the first columns."""
    return list(dict.fromkeys(key for one in found.settings for key in one.values))


def columns(found: SweepResult) -> list[str]:
    """Heads of the columns behind those of the keys."""
    return [
        f"{column(found.metric)} on validation",
        "behind the best",
        "validation loss",
        "trainable",
        "steps",
        "time",
        "",
    ]


def rows(found: SweepResult) -> list[list[str]]:
    """One row a setting, in the order of the recipe."""
    named = keys(found)
    return [
        [*_values(one.values, named), *_cells(one, found, number)]
        for number, one in enumerate(found.settings)
    ]


def _values(values: Mapping[str, Any], named: list[str]) -> list[str]:
    return [value_words(values[key]) if key in values else DASH for key in named]


def _cells(one: SweepSetting, found: SweepResult, number_: int) -> list[str]:
    return [
        told(one.metric),
        _behind(one),
        number(one.validation_loss) if one.validation_loss is not None else DASH,
        millions(one.trainable_parameters) if one.trainable_parameters is not None else DASH,
        count(one.steps) if one.steps is not None else DASH,
        duration(one.seconds) if one.seconds is not None else DASH,
        _remark(one, is_chosen=number_ == found.chosen),
    ]


def _behind(one: SweepSetting) -> str:
    if one.behind is None or one.behind.value is None:
        return DASH
    shown = value_of(one.behind.name, one.behind.value)
    return f"{shown} {interval_of(one.behind.name, one.behind.interval, signed=True)}".rstrip()


def _remark(one: SweepSetting, *, is_chosen: bool) -> str:
    if is_chosen:
        return CHOSEN
    if one.metric.value is None:
        return one.metric.undefined
    return "may be as good" if one.may_be_as_good else ""


def sentences(report: Report, found: SweepResult) -> list[str]:
    """Which setting was chosen, how sure that is, what else that choice touches, and how to keep it."""
    return [f"{_chosen(found)}; {_sure(found)}.", *_touched(report), _kept(found)]


def _touched(report: Report) -> list[str]:
    """What else is measured on the rows that chose."""
    gated = report.gate is not None and any(
        check.name == "overfitting" for check in report.gate.checks
    )
    told = []
    if gated:
        told.append(
            "The overfitting gap is measured to the rows that chose the setting, so it is a little too small."
        )
    if any(curve.model == "tuned" for curve in report.learning_curves):
        told.append(
            "The last point of the tuned model's learning curve is a little too good: that model was chosen on these "
            "rows, those of the points before it were not."
        )
    return told


def _kept(found: SweepResult) -> str:
    kept = ", ".join(f"{key}: {value_words(value)}" for key, value in found.winner.values.items())
    is_full = found.winner.values.get("kind") == "full"
    adapter = (
        f", and what the method says of an adapter: {', '.join(ADAPTER_KEYS)}" if is_full else ""
    )
    return f"To keep it, write {kept} into the method and delete the sweep{adapter}."


def _chosen(found: SweepResult) -> str:
    best = value_of(found.metric, found.winner.metric.value)
    return (
        f"chosen of {len(found.settings)} settings by {spoken(found.metric)} {best} on {count(found.rows)} "
        f"validation rows: {setting_words(found.winner.values)}"
    )


def _sure(found: SweepResult) -> str:
    """How many of the others the rows do not tell from it."""
    equal = sum(one.may_be_as_good for one in found.settings)
    lost = sum(one.metric.value is None for one in found.settings)
    failed = f"; {lost} left no model that could be judged" if lost else ""
    if lost == len(found.settings) - 1:
        return "no other one left a model that could be judged"
    if not equal:
        return f"these rows tell it from every other one{failed}"
    others = len(found.settings) - 1 - lost
    if equal == others:
        return f"these rows tell no other one from it{failed}"
    return f"these rows do not tell {equal} of the {others} others from it{failed}"


def sweep_lines(found: SweepResult) -> list[str]:
    """What the terminal says when the sweep is done: the choice, then a line for each setting."""
    lines = [f"{_chosen(found)}; {_sure(found)}"]
    for number_, one in enumerate(found.settings):
        mark = "*" if number_ == found.chosen else " "
        remark = "" if number_ == found.chosen else _remark(one, is_chosen=False)
        lines.append(f"{mark} {setting_words(one.values)}: {told(one.metric)} {remark}".rstrip())
    return lines


def card_line(found: SweepResult) -> str:
    """The sweep in a sentence of the model card."""
    return f"{_chosen(found)}; {_sure(found)}"
