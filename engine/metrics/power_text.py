"""The power of each threshold on the holdout, as sentences: how often a model of a true value passes.

Estimates, made before training; the last sentence says what they assume.
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
class JudgingRows:
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
        few = (
            0.5 / self.rows
        )  # a class without rows: nothing can be computed, which is reported apart
        return [min(max(self.classes.get(x, 0) / self.rows, few), 1 - few) for x in labels]


def power_lines(
    acceptance: Acceptance,
    task: Task,
    judges: JudgingRows,
    *,
    has_baselines: bool = True,
    discordance: float | None = None,
) -> tuple[str, ...]:
    """Return a line for each threshold, and one that says what they assume.

    `discordance` between model and baseline is given once it has been measured.
    """
    lines = [
        line
        for threshold in acceptance.metrics
        for line in _about_threshold(threshold, acceptance, task, judges)
    ]
    gains = acceptance.over_baselines if has_baselines else ()
    differ = BASELINE_DISCORDANCE if discordance is None else discordance
    lines += [_gain_power(gain, acceptance, task, judges, differ) for gain in gains]
    lines += [_previous_power(drop, acceptance, task, judges) for drop in acceptance.over_previous]
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
    threshold: Threshold, acceptance: Acceptance, task: Task, judges: JudgingRows
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
        yield _threshold_power(threshold, acceptance, judges, spread)


def _few_rows(label: str, task: Task, judges: JudgingRows) -> str:
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


def _threshold_power(
    threshold: Threshold, acceptance: Acceptance, judges: JudgingRows, spread: Spread
) -> str:
    """Return the true values that pass with power 0.80 and at less, and how many rows give 0.80."""
    is_max = threshold.direction == "max"
    rule = _rule(1 - threshold.bound if is_max else threshold.bound, acceptance)
    better = rule.bound + min(BETTER_BY, (1 - rule.bound) / 2)
    better = 1.0 if better > 1 - 0.5 / judges.rows else better
    enough = power.rows_to_pass(better, rule, spread=spread)
    end = "point" if not rule.on_interval else "upper bound" if is_max else "lower bound"
    asked = f"`{threshold.direction} {_number(threshold.bound)} ({end})`"
    target = _number(1 - better if is_max else better)
    start = f"{threshold.metric} {asked} on {_count(judges.rows, 'holdout row')}"
    needed = power.passing_value(rule, rows=judges.rows, spread=spread)
    if needed is None:
        rows = _enough_rows(enough, f" at {target}")
        return f"{start}: power below {OFTEN:.2f} at every true value; {rows}."
    # Rounded to the stricter side: a model of the value shown must have the power that is
    # promised.
    shown = _number(_down(1 - needed) if is_max else _up(needed))
    rate = power.pass_rate(better, rule, rows=judges.rows, spread=spread)
    sentence = f"{start}: power {OFTEN:.2f} at a true {threshold.metric} of {shown}"
    lucky = power.passing_value(rule, rows=judges.rows, spread=spread, rate=SELDOM)
    if lucky is not None and lucky < rule.bound:
        worse = _number(_up(1 - lucky) if is_max else _down(lucky))
        return f"{sentence}; {worse}, which is not good enough, still passes with {SELDOM:.2f}."
    if rate >= OFTEN:
        return f"{sentence}, {_power(rate)} at {target}."
    return f"{sentence}, {_power(rate)} at {target}; {_enough_rows(enough)}."


def _gain_power(
    gain: MinGain, acceptance: Acceptance, task: Task, judges: JudgingRows, discordance: float
) -> str:
    rule, per_row = _rule(gain.min_gain, acceptance), _paired_rows(gain.metric, task, judges)
    rows, bigger = judges.rows * per_row, gain.min_gain + BETTER_BY
    start = (
        f"{gain.metric} `min_gain {_number(gain.min_gain)}` over a baseline on"
        f" {_count(judges.rows, 'holdout row')}"
    )
    needed = power.found_gain(rule, rows=rows, discordance=discordance)
    missed = power.found_gain(rule, rows=rows, discordance=discordance, rate=SELDOM)
    enough = power.rows_to_find(bigger, rule, discordance=discordance, per_row=per_row)
    more_rows = _enough_rows(enough, f" at {_number(bigger)}")
    if needed is None or missed is None:
        return f"{start}: power below {OFTEN:.2f} at every true gain; {more_rows}."
    sentence = f"{start}: power {OFTEN:.2f} at a true gain of {_number(_up(needed))}"
    if missed > gain.min_gain:
        sentence += f", {SELDOM:.2f} at {_number(_down(missed))}"
    return f"{sentence}." if needed <= bigger else f"{sentence}; {more_rows}."


def _previous_power(drop: MaxDrop, acceptance: Acceptance, task: Task, judges: JudgingRows) -> str:
    """Return how often a model that is as good as the previous one passes."""
    rule, per_row = _rule(-drop.max_drop, acceptance), _paired_rows(drop.metric, task, judges)
    differ = PREVIOUS_DISCORDANCE
    rate = power.gain_rate(0.0, rule, rows=judges.rows * per_row, discordance=differ)
    sentence = (
        f"{drop.metric} `max_drop {_number(drop.max_drop)}` on {_count(judges.rows, 'holdout row')}:"
        f" power {_power(rate)} for a model as good as the previous one"
    )
    if rate >= OFTEN:
        return f"{sentence}."
    enough = power.rows_to_find(0.0, rule, discordance=differ, per_row=per_row)
    return f"{sentence}; {_enough_rows(enough)}."


def _enough_rows(rows: int | None, at: str = "") -> str:
    number = f"{rows:,} holdout rows give" if rows else "no number of rows gives"
    return f"{number} {OFTEN:.2f}{at}"


def _spread(metric: str, task: Task, judges: JudgingRows) -> Spread | None:
    """Return how a metric stands on the rows; None where it cannot be computed."""
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


def _paired_rows(metric: str, task: Task, judges: JudgingRows) -> float:
    """Return the effective rows of a difference for each row, as of classes that are equally good."""
    spread = _spread(metric, task, judges)
    if spread is None:
        return 1.0
    if metric.partition(".")[0] in MACRO:
        return power.macro_recall(judges.portions(task.labels)).per_row(OFTEN)
    return spread.per_row(OFTEN)


def _taken_for_granted(acceptance: Acceptance, task: Task, judges: JudgingRows) -> Iterator[str]:
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
    # Rounded first: `(1 - 0.059) * 1000` is a little more than 941 in floats.
    return math.ceil(round(value * 1000, 3)) / 1000


def _down(value: float) -> float:
    return math.floor(round(value * 1000, 3)) / 1000


def _power(rate: float) -> str:
    """Return the power with two decimals, rounded down and never as a certainty."""
    return f"{min(99, math.floor(rate * 100 + 1e-9)) / 100:.2f}"


def _rate(share: float) -> str:
    return f"{round(share * 100)} of 100"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
