"""The settings of a sweep: words and rows for every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.evidence import SweepResult, SweepSetting
from engine.recipe.sweeps import setting_words, value_words
from engine.render.measures import column, interval_of, spoken, told, value_of
from engine.render.quantities import DASH, count, duration, millions, number

LEAD = (
    "Each setting was trained on the same training rows and asked the same validation rows, and the best one became "
    "the model. The best of several looks better on the rows that chose it than it is; the holdout was asked by "
    "that one alone."
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


def sentences(found: SweepResult) -> list[str]:
    """Which setting was chosen, how sure that is, and how to keep it."""
    kept = ", ".join(f"{key}: {value_words(value)}" for key, value in found.winner.values.items())
    return [
        f"{_chosen(found)}. {_sure(found)}.",
        f"To keep it, write {kept} into the method and delete the sweep.",
    ]


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
    if not equal:
        return f"these rows tell it from every other one{failed}"
    return f"{equal} of the others cannot be told from it on these rows{failed}"


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
