"""The power check in words: what the bounds of a recipe ask of a model, on the rows that will judge.

Estimates, made before training; the last sentence says what they take for granted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.kinds import AnswerForm
from engine.metrics import power
from engine.metrics.power import FEW_ROWS, OFTEN, ROWS, SELDOM, Spread, ThresholdRule
from engine.recipe.metrics import spec_of
from engine.recipe.model import Acceptance, MaxDrop, MinGain, Task, Threshold

BASELINE_DISCORDANCE = 0.2
"""Share of rows on which only one of model and baseline is right, before it is measured."""
PREVIOUS_DISCORDANCE = 0.1
"""The same for two models of one recipe, which are more alike."""
BETTER_BY = 0.05
"""The model that is asked about is so much better than the bound, or half of what is left."""

UNFORESEEN = ("mcc", "ece", "brier", "perplexity", "bits_per_byte")
"""How far they scatter depends on answers that are not there yet."""
MACRO = ("macro_f1", "macro_precision", "macro_recall", "balanced_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """The rows that will decide."""

    rows: int
    classes: Mapping[str, int] = field(default_factory=dict)
    """Rows by label; empty where nothing is counted yet, or rows have no labels."""
    groups: int | None = None
    """Groups that the rows belong to; None where each row stands for itself."""

    def portions(self, labels: tuple[str, ...]) -> list[float]:
        """Return the share of each class; equal shares while they are not counted."""
        if not self.classes:
            return [1 / len(labels)] * len(labels)
        few = 0.5 / self.rows  # a class without rows: nothing can be computed, which is said apart
        return [min(max(self.classes.get(x, 0) / self.rows, few), 1 - few) for x in labels]


def outlook(
    acceptance: Acceptance,
    task: Task,
    judges: Judges,
    *,
    has_baselines: bool = True,
    discordance: float | None = None,
) -> tuple[str, ...]:
    """Return a sentence for each bound, and one that says what they take for granted.

    `discordance` between model and baseline is given once it has been measured.
    """
    lines = [
        line
        for threshold in acceptance.metrics
        for line in _about_threshold(threshold, acceptance, task, judges)
    ]
    gains = acceptance.over_baselines if has_baselines else ()
    differ = BASELINE_DISCORDANCE if discordance is None else discordance
    lines += [_about_gain(gain, acceptance, task, judges, differ) for gain in gains]
    lines += [_about_previous(drop, acceptance, task, judges) for drop in acceptance.over_previous]
    given = list(_taken_for_granted(acceptance, task, judges))
    if gains:
        known = "a guess" if discordance is None else "measured"
        given.append(f"only one of model and baseline is right on {_rate(differ)} rows ({known})")
    if acceptance.over_previous:
        given.append(
            f"only one of new and previous model is right on {_rate(PREVIOUS_DISCORDANCE)} rows"
        )
    return (*lines, *([f"Estimates, where {'; '.join(given)}."] if lines and given else []))


def _about_threshold(
    threshold: Threshold, acceptance: Acceptance, task: Task, judges: Judges
) -> Iterator[str]:
    name, _, label = threshold.metric.partition(".")
    if name in UNFORESEEN:
        yield f"How many rows `{threshold.metric}` takes is known once there are answers."
        return
    missing = [x for x in task.labels if judges.classes and not judges.classes.get(x)]
    if missing and (name in MACRO or label in missing):
        where = f"none of {_count(judges.rows, 'holdout row')} is of `{label or missing[0]}`"
        yield f"{threshold.metric} cannot be computed: {where}, so it cannot pass."
        return
    few = _few_rows(label, task, judges) if label in task.labels else ""
    if few:
        yield f"{few} {threshold.metric} cannot pass, only fail or stay undecided."
        return
    spread = _spread(threshold.metric, task, judges)
    if spread is not None:
        yield _passing(threshold, acceptance, judges, spread)


def _few_rows(label: str, task: Task, judges: Judges) -> str:
    """Say that a class has too few rows to decide, and how many there would have to be of all."""
    counted = bool(judges.classes)
    rows = judges.classes[label] if counted else judges.rows / len(task.labels)
    if rows >= FEW_ROWS:
        return ""
    enough = power.round_up(judges.rows * FEW_ROWS / max(rows, 1))
    has = f"{rows}" if counted else f"about {rows:.0f}"
    return (
        f"`{label}` has {has} of {judges.rows:,} holdout rows; about {enough:,} holdout rows would "
        f"bring it to {FEW_ROWS}, and with fewer"
    )


def _passing(threshold: Threshold, acceptance: Acceptance, judges: Judges, spread: Spread) -> str:
    """Say which true value passes four times in five, and how many rows would do for less."""
    is_max = threshold.direction == "max"
    rule = _rule(1 - threshold.bound if is_max else threshold.bound, acceptance)
    better = rule.bound + min(BETTER_BY, (1 - rule.bound) / 2)
    better = 1.0 if better > 1 - 0.5 / judges.rows else better
    enough = power.rows_to_pass(better, rule, spread=spread)
    would_do = f"{enough:,} rows would do" if enough else "no number of rows would do"
    end = "point" if not rule.on_interval else "upper bound" if is_max else "lower bound"
    asked = f"`{threshold.direction} {_number(threshold.bound)} ({end})`"
    said = _number(1 - better if is_max else better)
    with_rows = f"With {_count(judges.rows, 'holdout row')}"
    needed = power.passing_value(rule, rows=judges.rows, spread=spread)
    if needed is None:
        metric = threshold.metric
        return f"{with_rows} no model passes {metric} {asked} often; {would_do} for {said}."
    shown = _number(_down(1 - needed) if is_max else _up(needed))
    rate = power.pass_rate(better, rule, rows=judges.rows, spread=spread)
    told = f"{with_rows} a true {threshold.metric} of {shown} passes {asked} 4 times in 5"
    lucky = power.passing_value(rule, rows=judges.rows, spread=spread, rate=SELDOM)
    if lucky is not None and lucky < rule.bound:
        worse = _number(_up(1 - lucky) if is_max else _down(lucky))
        return f"{told}, and one of {worse}, which is not good enough, passes once in 5."
    if rate >= OFTEN:
        return f"{told}, one of {said} {_times(rate)}."
    return f"{told}, one of {said} {_times(rate)}; {would_do} for it."


def _about_gain(
    gain: MinGain, acceptance: Acceptance, task: Task, judges: Judges, discordance: float
) -> str:
    rule, per_row = _rule(gain.min_gain, acceptance), _paired_rows(gain.metric, task, judges)
    rows, bigger = judges.rows * per_row, gain.min_gain + BETTER_BY
    with_rows = f"With {_count(judges.rows, 'holdout row')}"
    asked = f"`min_gain {_number(gain.min_gain)}`"
    found = power.found_gain(rule, rows=rows, discordance=discordance)
    missed = power.found_gain(rule, rows=rows, discordance=discordance, rate=SELDOM)
    enough = power.rows_to_find(bigger, rule, discordance=discordance, per_row=per_row)
    would_do = f"{enough:,} rows would do" if enough else "no number of rows would do"
    if found is None or missed is None:
        named = f"no gain in {gain.metric} over a baseline"
        return f"{with_rows} {named} passes {asked} often; {would_do} for {_number(bigger)}."
    passes = f"of {_number(_up(found))} passes {asked} 4 times in 5"
    told = f"{with_rows} a true gain in {gain.metric} over a baseline {passes}"
    if missed > gain.min_gain:
        told = (
            f"{with_rows} a true gain in {gain.metric} under {_number(_down(missed))} over a "
            f"baseline would be missed 4 times in 5, and one {passes}"
        )
    return f"{told}." if found <= bigger else f"{told}; {would_do} for {_number(bigger)}."


def _about_previous(drop: MaxDrop, acceptance: Acceptance, task: Task, judges: Judges) -> str:
    """Say how often a model that is as good as the previous one is let through."""
    rule, per_row = _rule(-drop.max_drop, acceptance), _paired_rows(drop.metric, task, judges)
    differ = PREVIOUS_DISCORDANCE
    rate = power.gain_rate(0.0, rule, rows=judges.rows * per_row, discordance=differ)
    told = (
        f"With {_count(judges.rows, 'holdout row')} a model as good as the previous one passes "
        f"`max_drop {_number(drop.max_drop)}` of {drop.metric} {_times(rate)}"
    )
    if rate >= OFTEN:
        return f"{told}."
    enough = power.rows_to_find(0.0, rule, discordance=differ, per_row=per_row)
    return f"{told}; {f'{enough:,} rows' if enough else 'no number of rows'} would do for 4 in 5."


def _spread(metric: str, task: Task, judges: Judges) -> Spread | None:
    """Return how a metric stands on the rows; None where it cannot be said."""
    name, _, label = metric.partition(".")
    spec = spec_of(metric, task.kind)
    if spec is None or name in UNFORESEEN or spec.of == "field":
        return None
    if spec.of == "label":
        portion = dict(zip(task.labels, judges.portions(task.labels), strict=True)).get(label, 1.0)
        return power.class_f1(portion) if name == "f1" else power.of_class(portion)
    if name not in MACRO:
        return ROWS
    portions = judges.portions(task.labels)
    if name == "macro_f1" and task.spec.answer is AnswerForm.LABEL:
        return power.macro_f1(portions)
    return power.macro_recall(portions)


def _paired_rows(metric: str, task: Task, judges: Judges) -> float:
    """Return the effective rows of a difference for each row, as of classes that are equally good."""
    spread = _spread(metric, task, judges)
    if spread is None:
        return 1.0
    if metric.partition(".")[0] in MACRO:
        return power.macro_recall(judges.portions(task.labels)).per_row(OFTEN)
    return spread.per_row(OFTEN)


def _taken_for_granted(acceptance: Acceptance, task: Task, judges: Judges) -> Iterator[str]:
    bounds: tuple[Threshold | MinGain | MaxDrop, ...] = (
        *acceptance.metrics,
        *acceptance.over_baselines,
        *acceptance.over_previous,
    )
    names = {bound.metric.partition(".")[0] for bound in bounds}
    if names & set(MACRO):
        uncounted = " and equally large" if task.labels and not judges.classes else ""
        yield f"classes are equally good{uncounted}"
    elif not judges.classes and any("." in bound.metric for bound in bounds) and task.labels:
        yield "classes are equally large"
    specs = [spec_of(bound.metric, task.kind) for bound in bounds]
    if any(x and not (x.is_row_share or x.of or x.name in (*MACRO, *UNFORESEEN)) for x in specs):
        yield "scores of rows scatter as far as they can"
    if judges.groups is not None and judges.groups < judges.rows:
        yield (
            f"rows of a group are no more alike than others (at worst {judges.rows} rows count as "
            f"{judges.groups}, the number of groups)"
        )


def _rule(bound: float, acceptance: Acceptance) -> ThresholdRule:
    on_interval = acceptance.decide_on == "lower_bound"
    return ThresholdRule(bound=bound, confidence=acceptance.confidence, on_interval=on_interval)


def _number(value: float) -> str:
    """Write a bound as in the recipe: two decimals at least, three at most."""
    text = f"{abs(value):.3f}"
    return text.removesuffix("0")


def _up(value: float) -> float:
    return math.ceil(round(value * 1000, 3)) / 1000


def _down(value: float) -> float:
    return math.floor(round(value * 1000, 3)) / 1000


def _times(rate: float) -> str:
    """Say how often, rounded down and never as a certainty."""
    hundredths = min(99, math.floor(rate * 100 + 1e-9))
    if hundredths == 0:
        return "less than once in 100" if rate > 0 else "never"
    return "once in 100" if hundredths == 1 else f"{hundredths} times in 100"


def _rate(share: float) -> str:
    return f"{round(share * 100)} of 100"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
