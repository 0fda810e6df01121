"""The power of each threshold on the holdout, as values and as sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from engine.evidence import DataSummary
from engine.kinds import AnswerForm
from engine.metrics import power
from engine.metrics.intervals import GroupSizes, effective_groups
from engine.metrics.power import FEW_ROWS, OFTEN, ROWS, SELDOM, Spread, ThresholdRule
from engine.recipe.metrics import spec_of
from engine.recipe.model import Acceptance, MaxDrop, MinGain, Selective, Task, Threshold
from engine.values import Value, field, replace

BASELINE_DISCORDANCE = 0.2
"""Share of rows on which only one of model and baseline is right, before it is measured."""
PREVIOUS_DISCORDANCE = 0.1
"""The same for two models of one recipe, which are more alike."""
BETTER_BY = 0.05
"""Distance from the bound of the model whose power is shown, at most half of the distance to 1."""

NOT_PREDICTED = ("mcc", "ece")
"""Metrics whose variance depends on the answers, as does that of all metrics that are no share, such as bits."""
MACRO = ("macro_f1", "macro_precision", "macro_recall", "balanced_accuracy")


class Discordance(Value):
    share: float = BASELINE_DISCORDANCE
    source: str = "a guess"


class JudgingRows(Value):
    rows: int
    classes: Mapping[str, int] = field(default_factory=dict)
    """Rows by label; empty before they are counted, or where rows have no labels."""
    group_sizes: GroupSizes = ()
    """Sizes of the groups of rows; empty where each row is independent."""

    @classmethod
    def of(cls, summary: DataSummary) -> JudgingRows | None:
        """Return the holdout rows, with folds all rows; None where there are none."""
        labels, sizes, rows = Counter[str](), Counter[int](), 0
        for split in summary.splits:
            if summary.folds or split.name == "holdout":
                labels.update(split.labels)
                sizes.update(dict(split.group_sizes))
                rows += split.rows
        groups = tuple(sorted(sizes.items())) if sizes.keys() - {1} else ()
        return cls(rows=rows, classes=dict(labels), group_sizes=groups) if rows else None

    @property
    def groups(self) -> int:
        return sum(count for _, count in self.group_sizes)

    def independent(self, confidence: float) -> float:
        """Return how many independent rows they count for."""
        return effective_groups(self.group_sizes, confidence) if self.groups else self.rows

    def portions(self, labels: tuple[str, ...]) -> tuple[float, ...]:
        """Return the share of each class; equal shares while they are not counted."""
        if not self.classes:
            return (1 / len(labels),) * len(labels)
        few = 0.5 / self.rows  # for a class without rows, which is reported
        return tuple(min(max(self.classes.get(x, 0) / self.rows, few), 1 - few) for x in labels)


class PowerEstimate(Value):
    """The power of one threshold on the holdout; true values are unrounded, and on the metric's own scale."""

    metric: str
    kind: Literal["threshold", "min_gain", "max_drop"] = "threshold"
    threshold: str
    """Text as in the recipe: `min 0.80`, `min_gain 0.05`."""
    decided_on: str
    """`lower bound`, `upper bound` or `point`."""
    rows: int
    groups: int = 0
    """Groups of these rows; 0 where each is independent."""
    is_out_of_reach: bool = False
    """Whether even a model without an error misses the bound on these groups."""
    is_max: bool = False
    passes_at: float | None = None
    """The true value, or gain, that passes with power 0.80; None where none does."""
    seldom_at: float | None = None
    """The true value that passes with power 0.20, if it is not good enough, or a gain; else None."""
    asked_at: float | None = None
    """The better true value, gain or change for `power` and `rows_needed`; None with a `note`."""
    power: float | None = None
    rows_needed: int | None = None
    """Holdout rows (groups, where rows have these) that give 0.80 at `asked_at`; None where no number does."""
    is_judged: bool = False
    """Whether the check of the threshold names the rows that would decide, instead of the sentence."""
    note: str = ""
    """A sentence instead of numbers: the threshold cannot pass, nothing is known, or it is of some rows."""

    @property
    def sentence(self) -> str:
        if self.note:
            return self.note
        unit, own = "group" if self.groups else "row", self.power or 0.0
        # Rounded to the stricter side: a model of the shown value must have the stated power.
        passes = _rounded(self.passes_at, up=not self.is_max)
        seldom, asked = _rounded(self.seldom_at, up=self.is_max), _number(self.asked_at or 0.0)
        has_power = f"{min(99, math.floor(own * 100 + 1e-9)) / 100:.2f}"
        needed = f"no number of {unit}s gives"
        if self.rows_needed:
            needed = f"{self.rows_needed:,} holdout {unit}s give"
        more = "" if self.is_judged else f"; {needed} power {OFTEN:.2f}"
        more_at = more and f"{more} at {asked}"
        enough = "" if own >= OFTEN else more
        is_gain = self.kind == "min_gain"
        what = "gain" if is_gain else self.metric
        text = f"power {OFTEN:.2f} at a true {what} of {passes}"
        if self.kind == "max_drop":
            text = f"power {has_power} for a model as good as the previous one{enough}"
        elif self.passes_at is None:
            what = "gain" if is_gain else "value"
            text = f"power below {OFTEN:.2f} at every true {what}{more_at}"
        elif is_gain:
            text += f", {SELDOM:.2f} at {seldom}" if seldom else ""
            text += more_at if self.asked_at is None or self.passes_at > self.asked_at else ""
        elif seldom:
            text += f"; {seldom}, which is not good enough, still passes with {SELDOM:.2f}"
        else:
            text += f", {has_power} at {asked}{enough}"
        end = f" ({self.decided_on})" if self.kind == "threshold" else ""
        over = " over a baseline" if is_gain else ""
        rows = judging_rows(self.rows, self.groups)
        return f"{self.metric} `{self.threshold}{end}`{over} on {rows}: {text}."


class PowerEstimates(Value):
    estimates: tuple[PowerEstimate, ...] = ()
    note: str = ""
    """A sentence: the assumptions of the estimates, or why there are none yet."""

    @property
    def lines(self) -> tuple[str, ...]:
        return (*(one.sentence for one in self.estimates), *([self.note] if self.note else []))


def estimate_power(
    acceptance: Acceptance,
    task: Task,
    judges: JudgingRows,
    *,
    has_baselines: bool = True,
    discordance: Discordance | None = None,
) -> PowerEstimates:
    """Return an estimate for each threshold, and their assumptions; without answers the discordance is a guess."""
    of = _Estimator(acceptance, task, judges)
    gains, drops = acceptance.over_baselines if has_baselines else (), acceptance.over_previous
    differ = discordance or Discordance()
    estimates = [one for threshold in acceptance.metrics if (one := of.threshold(threshold))]
    estimates += [of.gain(gain, differ.share) for gain in gains]
    estimates += [of.drop(drop) for drop in drops]
    estimates += [of.selective(acceptance.selective)] if acceptance.selective else []
    assumed = list(of.assumptions())
    if any(of.is_predicted(gain.metric) for gain in gains):
        # each of several equally good baselines would be one more chance to fail
        share = round(differ.share * 100)
        assumed.append(
            f"only one of model and best baseline is right on {share} of 100 rows ({differ.source}) and the"
            " other baselines are clearly worse"
        )
    if any(of.is_predicted(drop.metric) for drop in drops):
        share = round(PREVIOUS_DISCORDANCE * 100)
        assumed.append(f"only one of new and previous model is right on {share} of 100 rows")
    note = f"Estimates, where {'; '.join(assumed)}." if estimates and assumed else ""
    # Several thresholds of a metric may have the same note, which is shown once.
    once = {one.note or number: one for number, one in reversed([*enumerate(estimates)])}
    return PowerEstimates(estimates=tuple(reversed(once.values())), note=note)


class _Estimator(Value, kw_only=False):
    acceptance: Acceptance
    task: Task
    judges: JudgingRows

    def threshold(self, threshold: Threshold) -> PowerEstimate | None:
        """Return the power of a threshold, or why it cannot pass; None where nothing is known."""
        metric, is_max = threshold.metric, threshold.direction == "max"
        text = f"{threshold.direction} {_number(threshold.bound)}"
        estimate = self._estimate(metric, text, is_max=is_max)
        if note := self._special_case(metric):
            return replace(estimate, note=note)
        if (spread := self._spread(metric)) is None:
            return None
        # power is computed for values of which the larger is better
        rule = self._rule(1 - threshold.bound if is_max else threshold.bound)
        better = rule.bound + min(BETTER_BY, (1 - rule.bound) / 2)
        better = 1.0 if better > 1 - 0.5 / self.trials else better

        def rate(value: float, rows: float) -> float:
            return power.pass_rate(value, rule, rows=rows, spread=spread)

        found = self._measured(estimate, rate, better)
        if found.seldom_at is not None and found.seldom_at >= rule.bound:
            found = replace(found, seldom_at=None)
        if is_max:
            values = (found.passes_at, found.seldom_at, found.asked_at)
            passes, seldom, asked = (None if one is None else 1 - one for one in values)
            found = replace(found, passes_at=passes, seldom_at=seldom, asked_at=asked)
        # for other metrics it depends on the classes in the groups
        spec = spec_of(metric, self.task.kind)
        is_of_all = spec is not None and (spec.is_row_share or spec.name == "macro_f1")
        can_miss = is_of_all and self.judges.groups > 0
        is_out_of_reach = can_miss and not power.pass_rate(1.0, rule, rows=self.trials)
        return replace(found, is_out_of_reach=is_out_of_reach)

    def gain(self, gain: MinGain, discordance: float) -> PowerEstimate:
        least = gain.min_gain
        found = self._difference(gain.metric, "min_gain", least, least + BETTER_BY, discordance)
        if found.seldom_at is None:
            return replace(found, passes_at=None)
        return found if found.seldom_at > gain.min_gain else replace(found, seldom_at=None)

    def drop(self, drop: MaxDrop) -> PowerEstimate:
        found = self._difference(drop.metric, "max_drop", -drop.max_drop, 0.0, PREVIOUS_DISCORDANCE)
        return replace(found, passes_at=None, seldom_at=None)

    def selective(self, selective: Selective) -> PowerEstimate:
        """Return the true accuracy that passes if the model answers only as many rows as it must."""
        least, groups, coverage = selective.accuracy.min, self.judges.groups, selective.coverage.min
        rule = replace(self._rule(least), is_exact=not groups)
        answered = max(1, math.floor(self.trials * coverage))
        better = least + min(BETTER_BY, (1 - least) / 2)
        passes = power.passing_value(rule, rows=answered)
        text = f"power below {OFTEN:.2f} at every true accuracy there"
        if passes is not None:
            text = f"power {OFTEN:.2f} at a true accuracy of {_rounded(passes, up=True)} there"
        needed = power.rows_to_pass(better, rule)
        estimate = self._estimate("selective.accuracy", f"min {_number(least)}")
        if needed and needed > answered:
            rows, unit = (
                self._needed(power.round_up(needed / coverage)),
                "group" if groups else "row",
            )
            text += f"; {rows:,} holdout {unit}s give power {OFTEN:.2f} at {_number(better)}"
        which = f"if it answers {coverage:.0%} of {judging_rows(self.judges.rows, groups)}"
        bound = f"`{estimate.threshold} ({estimate.decided_on})`"
        return replace(estimate, note=f"selective.accuracy {bound} {which}: {text}.")

    def _difference(
        self,
        metric: str,
        kind: Literal["min_gain", "max_drop"],
        bound: float,
        asked: float,
        discordance: float,
    ) -> PowerEstimate:
        estimate = replace(self._estimate(metric, f"{kind} {_number(bound)}"), kind=kind)
        if not self.is_predicted(metric):
            return replace(estimate, note=_known_later(metric))
        rule, per_row = self._rule(bound), self._paired_rows(metric)

        def rate(gain: float, rows: float) -> float:
            return power.gain_rate(gain, rule, rows=rows * per_row, discordance=discordance)

        return self._measured(estimate, rate, asked, lowest=-1.0)

    def _measured(
        self,
        estimate: PowerEstimate,
        rate: Callable[[float, float], float],
        asked: float,
        *,
        lowest: float = 0.0,
    ) -> PowerEstimate:
        """Return the estimate with its numbers, from the rate at which a true value passes on so many rows."""
        often, seldom = (
            power.true_value(lambda one: rate(one, self.trials), often=share, lowest=lowest)
            for share in (OFTEN, SELDOM)
        )
        return replace(
            estimate,
            passes_at=often,
            seldom_at=seldom,
            asked_at=asked,
            power=rate(asked, self.trials),
            rows_needed=self._needed(power.enough_rows(lambda rows: rate(asked, rows))),
        )

    def _estimate(self, metric: str, text: str, *, is_max: bool = False) -> PowerEstimate:
        end = "upper bound" if is_max else "lower bound"
        return PowerEstimate(
            metric=metric,
            threshold=text,
            decided_on=end if self.acceptance.decide_on == "lower_bound" else "point",
            rows=self.judges.rows,
            groups=self.judges.groups,
            is_max=is_max,
        )

    @property
    def trials(self) -> float:
        """Return how many independent rows those of the holdout count for."""
        return self.judges.independent(self.acceptance.confidence)

    def _needed(self, rows: int | None) -> int | None:
        """Return how many groups like those of the holdout count for so many rows; the rows without groups."""
        groups = self.judges.groups
        return power.round_up(rows * groups / self.trials) if rows and groups else rows

    def _rule(self, bound: float) -> ThresholdRule:
        on_interval = self.acceptance.decide_on == "lower_bound"
        confidence = self.acceptance.confidence
        return ThresholdRule(bound=bound, confidence=confidence, on_interval=on_interval)

    def is_predicted(self, metric: str) -> bool:
        """Tell whether a metric's variance follows from its value and the rows."""
        spec = spec_of(metric, self.task.kind)
        return metric not in NOT_PREDICTED and (spec is None or spec.unit == "share")

    def _special_case(self, metric: str) -> str:
        name, _, label = metric.partition(".")
        if not self.is_predicted(metric):
            return _known_later(metric)
        labels, judges = self.task.labels, self.judges
        missing = [x for x in labels if judges.classes and not judges.classes.get(x)]
        # `balanced_accuracy` is a mean over the classes with rows, as in scikit-learn
        is_of_all = name in MACRO and name != "balanced_accuracy"
        if missing and (is_of_all or label in missing):
            where = f"none of {_count(judges.rows, 'holdout row')} is of `{label or missing[0]}`"
            return f"{metric} cannot be computed: {where}, so it cannot pass."
        if label not in labels:
            return ""
        counted = bool(judges.classes)
        rows = judges.classes[label] if counted else judges.rows / len(labels)
        if rows >= FEW_ROWS:
            return ""
        enough = power.round_up(judges.rows * FEW_ROWS / max(rows, 1))
        has = f"{rows}" if counted else f"about {rows:.0f}"
        return (
            f"`{label}` has {has} of {judges.rows:,} holdout rows; about {enough:,} holdout rows would "
            f"bring it to {FEW_ROWS}, and with fewer {metric} cannot pass, only fail or stay undecided."
        )

    def _spread(self, metric: str) -> Spread | None:
        name, _, label = metric.partition(".")
        task, spec = self.task, spec_of(metric, self.task.kind)
        if spec is None or not self.is_predicted(metric) or spec.of == "field":
            return None
        if spec.of != "label" and name not in MACRO:
            return ROWS
        portions = self._portions(name)
        if spec.of == "label":
            portion = dict(zip(task.labels, portions, strict=True)).get(label, 1.0)
            return power.class_f1(portion) if name == "f1" else power.of_class(portion)
        is_f1 = name == "macro_f1" and task.spec.answer is AnswerForm.LABEL
        return power.macro_f1(portions) if is_f1 else power.macro_recall(portions)

    def _paired_rows(self, metric: str) -> float:
        """Return the effective rows of a difference for each row, with equally good classes."""
        spread = self._spread(metric)
        if spread is not None and metric.partition(".")[0] in MACRO:
            spread = power.macro_recall(self._portions(metric))
        return 1.0 if spread is None else spread.per_row(OFTEN)

    def _portions(self, metric: str) -> tuple[float, ...]:
        labels, classes = self.task.labels, self.judges.classes
        if metric == "balanced_accuracy" and any(classes.values()):
            labels = tuple(label for label in labels if classes.get(label))
        return self.judges.portions(labels)

    def assumptions(self) -> Iterator[str]:
        """Yield the assumptions about rows and classes."""
        task, judges, acceptance = self.task, self.judges, self.acceptance
        bounded = (acceptance.metrics, acceptance.over_baselines, acceptance.over_previous)
        bounds = [bound.metric for each in bounded for bound in each]
        if {metric.partition(".")[0] for metric in bounds} & set(MACRO):
            uncounted = " and equally large" if task.labels and not judges.classes else ""
            yield f"classes are equally good{uncounted}"
        elif not judges.classes and any("." in metric for metric in bounds) and task.labels:
            yield "classes are equally large"
        specs = [spec_of(metric, task.kind) for metric in filter(self.is_predicted, bounds)]
        if any(x and not (x.is_row_share or x.of or x.name in MACRO) for x in specs):
            yield "scores of rows scatter as far as they can"
        if judges.groups:
            yield (
                f"rows of a group are right or wrong together ({judging_rows(judges.rows, judges.groups)} count as "
                f"{self.trials:.0f} independent ones)"
            )


def _known_later(metric: str) -> str:
    return f"How many rows `{metric}` takes is known once there are answers."


def _number(value: float) -> str:
    """Return a bound as in the recipe: two decimals at least, three at most."""
    text = f"{abs(value):.3f}"
    return text.removesuffix("0")


def _rounded(value: float | None, *, up: bool) -> str:
    if value is None:
        return ""
    # Rounded first: `(1 - 0.059) * 1000` is a little more than 941 in floats.
    thousandths = round(value * 1000, 3)
    return _number((math.ceil(thousandths) if up else math.floor(thousandths)) / 1000)


def judging_rows(rows: int, groups: int) -> str:
    return f"{_count(rows, 'holdout row')}{f' in {_count(groups, "group")}' if groups else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
