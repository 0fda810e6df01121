"""The numbers of one trained model, named as the rules in `advice.toml` use them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from engine.errors import listed
from engine.evidence import (
    BaselineResult,
    CheckpointScore,
    DataSummary,
    Interval,
    Metric,
    Scores,
    TrainingSummary,
)
from engine.metrics.intervals import independent_difference
from engine.metrics.recipe_edits import (
    FEW_STEPS,
    Checkpoints,
    TrainingLosses,
    ValidationLosses,
    is_fast,
    is_slow,
    training_losses,
    usual_rates,
    validation_losses,
)
from engine.recipe.metrics import is_lower_better, primary, spec_of
from engine.recipe.model import Recipe
from engine.values import Value, decimal

ENOUGH: Final = 0.9
"""What a model that learned its training rows reaches on them, where each has one right answer."""
FAR_BELOW: Final = 0.8
"""A score of training rows that is surely below this is far from right."""
GAP: Final = 0.05
"""By which training rows surely have to be answered better before a risen validation loss counts."""
WIDE_GAP: Final = 0.1
"""A gap that surely exceeds this is overfitting whatever the losses say."""
NOISY: Final = 0.05
"""Share of rows with a doubtful label from which it is taken for a ceiling."""
WRONG_A_DOUBT: Final = 1.8
"""Wrong labels for each doubted one, at most: precision over recall of planted errors, measured in `label_errors`."""
LONG: Final = 5
"""Epochs after which a loss that no longer falls has had its time."""
APART: Final = 0.05
"""By which validation and holdout surely differ where they are not drawn alike."""
FOLDS_THAT_LEAVE_NONE: Final = 2
"""With them the second training has no rows to draw validation rows from."""
FEW_OF_LABEL: Final = 10
"""Training rows below which a label is hardly learned, however often they are seen."""
MOST_NAMED: Final = 3
FEWEST_ROWS: Final = 30
"""Of a set, below which its score says too little."""


class TrainedEvidence(Value):
    training: TrainingSummary
    train: Scores | None
    """On a sample of the rows that it was trained on."""
    validation: Scores | None
    holdout: Scores | None
    free: Scores | None = None
    """On the holdout, decoded freely; None where it is anyway."""
    checkpoints: Sequence[CheckpointScore] = ()
    baselines: Sequence[BaselineResult] = ()
    data: DataSummary | None = None
    passes: bool | None = None
    """Whether the gate passed; None before it."""
    unspoken: str = ""
    """That the rows are in a language that the base model was not trained on; empty where nothing says it."""


class TrainedCase:
    def __init__(self, recipe: Recipe, evidence: TrainedEvidence) -> None:
        self.recipe, self.method, self.training = recipe, recipe.method, evidence.training
        self.evidence = evidence
        kind = recipe.task.kind
        # The main metric; of free text, where only a threshold says what is low, the first measured one of those.
        main = primary(kind, answer_pattern=recipe.task.answer_pattern)
        bounded = [bound.metric for bound in recipe.acceptance.metrics]
        sides = (evidence.train, self._unseen_scores)
        known = (
            name
            for name in bounded
            if all(metric_of(side, name).interval is not None for side in sides)
        )
        is_main = recipe.task.spec.has_one_answer or main in bounded
        self.name = main if is_main else next(known, main)
        self.is_lower_better = is_lower_better(self.name, kind)
        spec = spec_of(self.name, kind)
        self.is_share = spec is not None and spec.unit == "share"

    @property
    def why_unknown(self) -> str:
        """Why nothing is known; empty where something is."""
        sets = {"training": self.evidence.train, "unseen": self._unseen_scores}
        for what, scores in sets.items():
            if scores is None or scores.rows < FEWEST_ROWS:
                rows = 0 if scores is None else scores.rows
                return f"{rows} {what} rows were judged, fewer than {FEWEST_ROWS}"
            metric = metric_of(scores, self.name)
            if metric.value is None or metric.interval is None:
                why = metric.undefined or "it has no interval"
                return f"{self.name} on {what} rows is not known: {why}"
        return ""

    @property
    def _unseen_scores(self) -> Scores | None:
        validation = self.evidence.validation
        if validation is not None and validation.rows >= FEWEST_ROWS:
            return validation
        return self.evidence.holdout

    @property
    def unseen_called(self) -> str:
        is_holdout = self._unseen_scores is self.evidence.holdout
        return "holdout" if is_holdout else "validation"

    @cached_property
    def train(self) -> Metric:
        return metric_of(self.evidence.train, self.name)

    @cached_property
    def unseen(self) -> Metric:
        return metric_of(self._unseen_scores, self.name)

    @cached_property
    def gap(self) -> Interval | None:
        """How far training rows are answered better than unseen ones."""
        return independent_difference(*self._better_first(self.train, self.unseen))

    def _better_first(self, one: Metric, other: Metric) -> tuple[Metric, Metric]:
        """Order two metrics so that their difference is positive where the first is better."""
        return (other, one) if self.is_lower_better else (one, other)

    def is_gap_above(self, size: float) -> bool:
        """Whether the gap surely exceeds a size; where the metric is no share, zero."""
        return self.gap is not None and self.gap.low > (size if self.is_share else 0.0)

    @cached_property
    def losses(self) -> TrainingLosses | None:
        return training_losses(self.training.history)

    @cached_property
    def validation_losses(self) -> ValidationLosses | None:
        """The course of the validation loss; None where it was measured too seldom, or on few rows."""
        if self.has_few_validation_rows:
            return None
        return validation_losses(self.training.history)

    @property
    def has_few_validation_rows(self) -> bool:
        """Whether there are validation rows, but too few for what their loss does to be more than chance."""
        validation = self.evidence.validation
        return validation is not None and 0 < validation.rows < FEWEST_ROWS

    @property
    def can_choose_checkpoint(self) -> bool:
        """Whether there are validation rows to choose one by, or `keep: best` would draw them."""
        splits = self.recipe.splits
        if splits.validation == 0:
            return splits.folds != FOLDS_THAT_LEAVE_NONE
        return not self.has_few_validation_rows

    @property
    def goal(self) -> float | None:
        bounds = [
            bound.bound
            for bound in self.recipe.acceptance.metrics
            if bound.metric == self.name and (bound.direction == "max") == self.is_lower_better
        ]
        if self.is_share and self.recipe.task.spec.has_one_answer:
            return max([ENOUGH, *bounds])
        return bounds[0] if bounds else None

    @property
    def is_low(self) -> bool:
        interval, goal = self.train.interval, self.goal
        if goal is None or interval is None:
            return False
        return interval.low > goal if self.is_lower_better else interval.high < goal

    @property
    def is_learned(self) -> bool:
        value, goal = self.train.value, self.goal
        has_share = self.is_share and not self.is_lower_better
        return has_share and goal is not None and value is not None and value >= goal

    @property
    def holdout_apart(self) -> str:
        """In words, that validation and holdout are answered surely otherwise by `APART`; "" where they are not."""
        one, two = (
            metric_of(scores, self.name)
            for scores in (self.evidence.validation, self.evidence.holdout)
        )
        if not self.is_share or min(one.n, two.n) < FEWEST_ROWS:
            return ""
        between = independent_difference(one, two)
        if between is None or max(between.low, -between.high) < APART:
            return ""
        return f"{self.name} is {value_words(one)} on validation rows and {value_words(two)} on the holdout"

    @property
    def is_far_below(self) -> bool:
        """Whether rows with one right answer each are surely not learned by far."""
        interval = self.train.interval
        has_one_answer = self.is_share and self.recipe.task.spec.has_one_answer
        return has_one_answer and interval is not None and interval.high < FAR_BELOW

    @property
    def had_its_time(self) -> bool:
        """Whether nothing says that the training was too short, or its rate far off, to learn its rows."""
        return (
            self.training.steps >= FEW_STEPS
            and not self.has_unusual_rate
            and not (self.losses is not None and self.losses.is_falling)
            and self.stronger_baseline is None
        )

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(
            # each has its main metric alone, which need not be the judged one
            judged=tuple(one for one in self.evidence.checkpoints if one.metric.name == self.name),
            kept_step=self.training.kept_step,
            is_lower_better=self.is_lower_better,
        )

    @cached_property
    def stronger_baseline(self) -> tuple[str, float] | None:
        """The best baseline that answers the holdout surely better than the model its own training rows."""
        found = [
            (one.name, metric.value)
            for one in self.evidence.baselines
            if (metric := metric_of(one.scores, self.name)).value is not None
            and (between := independent_difference(*self._better_first(metric, self.train)))
            is not None
            and between.low > 0
        ]
        best = min if self.is_lower_better else max
        return best(found, key=lambda one: one[1], default=None)

    @property
    def doubtful_share(self) -> float:
        """Rows whose label is doubted, by the checks that leave them where they are; 0 where it was not measured."""
        data = self.evidence.data
        if data is None or not data.rows_used:
            return 0.0
        counts = {one.check: one.count for one in data.findings if one.action == "warn"}
        # Of rows that contradict each other about half are wrong.
        doubted = max(counts.get("label_errors", 0), counts.get("conflicting_labels", 0) / 2)
        return float(doubted / (data.rows_used + data.dropped.get("in no split", 0)))

    @property
    def cause(self) -> tuple[str, str]:
        """What comes before steps and rate, and what to do: the base model's language, then the rows of a label."""
        if self.evidence.unspoken:
            return (
                self.evidence.unspoken,
                "a base model of the rows' language, before rows and epochs",
            )
        splits = self.evidence.data.splits if self.evidence.data else ()
        counts = next((one.labels for one in splits if one.name == "train"), {})
        few = [
            (f"{rows} of `{label}`", f"`{label}`")
            for label, rows in counts.items()
            if rows < FEW_OF_LABEL
        ]
        if not few:
            return "", ""
        held, named = (listed(one) for one in zip(*few[:MOST_NAMED], strict=True))
        return (
            f"the training rows hold only {held}",
            f"more rows of {named}, before epochs and rate",
        )

    # What the rules in `advice.toml` name.

    @property
    def is_at_label_ceiling(self) -> bool:
        """Whether unseen rows are answered about as well as their doubtful labels allow."""
        interval, (low, high) = self.accuracy.interval, self._ceiling
        is_early = self.is_low and not self.had_its_time
        if self.doubtful_share < NOISY or interval is None or is_early:
            return False
        return interval.low <= high and interval.high >= low

    @property
    def _ceiling(self) -> tuple[float, float]:
        high = 1 - self.doubtful_share
        # What was learned by heart is no ceiling, unless it is just what the doubted labels allow.
        return high if self.has_wide_gap else 1 - WRONG_A_DOUBT * self.doubtful_share, high

    @property
    def ceiling_words(self) -> str:
        interval, (low, high) = self.accuracy.interval, self._ceiling
        if interval is None or interval.high >= high:
            return f"{high:.2f}"
        return f"{low:.2f} to {high:.2f}, as not every wrong label is doubted,"

    @property
    def has_better_later_checkpoint(self) -> bool:
        """Whether a later checkpoint answers validation rows surely better than the kept one."""
        better, kept = self.checkpoints.better, self.checkpoints.kept
        if better is None or kept is None or better.step < kept.step:
            return False
        value, interval = better.metric.value, kept.metric.interval
        if value is None or interval is None:
            return False
        return value < interval.low if self.is_lower_better else value > interval.high

    @property
    def may_have_been_better(self) -> bool:
        """Whether no judged checkpoint denies that the model was better before."""
        return not self.checkpoints.are_compared or self.checkpoints.better is not None

    @property
    def is_before_rise(self) -> bool:
        losses = self.validation_losses
        return losses is not None and self.training.kept_step <= losses.lowest_step

    @property
    def has_gap(self) -> bool:
        return self.is_gap_above(GAP)

    @property
    def has_wide_gap(self) -> bool:
        return self.is_gap_above(WIDE_GAP)

    @property
    def lacks_form(self) -> bool:
        """Whether only the constraint makes answers of the task's form: freely decoded, few are answers at all."""
        return self.free_form.interval is not None and self.free_form.interval.high < ENOUGH

    @property
    def has_unusual_rate(self) -> bool:
        return is_slow(self.recipe, self.training) or is_fast(self.recipe, self.training)

    @property
    def usual_rate(self) -> float:
        return usual_rates(self.recipe, self.training)[0]

    @property
    def has_few_steps(self) -> bool:
        return self.training.steps < FEW_STEPS

    @property
    def was_long(self) -> bool:
        """Whether a loss that no longer falls has had its time."""
        return self.training.epochs >= LONG

    @property
    def was_refused(self) -> bool:
        return self.evidence.passes is False

    @property
    def has_unchecked_labels(self) -> bool:
        checks = self.recipe.data.checks
        return self.recipe.task.spec.has_labels and checks.label_errors == "off"

    @property
    def epochs(self) -> float:
        return round(self.training.epochs, 1)

    @cached_property
    def accuracy(self) -> Metric:
        return metric_of(self.evidence.holdout, "accuracy")

    @cached_property
    def free_form(self) -> Metric:
        """The share of answers of the task's form on the holdout, decoded freely."""
        return metric_of(self.evidence.free, "valid_output")


def metric_of(scores: Scores | None, name: str) -> Metric:
    found = (metric for metric in (scores.metrics if scores else ()) if metric.name == name)
    return next(found, Metric(name=name, value=None, n=0, undefined="not measured"))


def value_words(metric: Metric) -> str:
    interval = metric.interval
    reach = f" [{decimal(interval.low)}, {decimal(interval.high)}]" if interval else ""
    return f"{decimal(metric.value or 0.0)}{reach}"
