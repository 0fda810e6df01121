"""The numbers of one trained model under the names that the rules in `advice.toml` use."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from engine.errors import listed
from engine.evidence import (
    BaselineResult,
    CheckpointScore,
    DataSummary,
    Metric,
    Scores,
    TrainingSummary,
    find_metric,
)
from engine.metrics.intervals import independent_difference
from engine.metrics.recipe_edits import (
    FEW_STEPS,
    Checkpoints,
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
"""Score on its training rows of a model that learned them, where each has one right answer."""
FAR_BELOW: Final = 0.8
GAP: Final = 0.05
"""Least gap between training and unseen rows for which a risen validation loss counts."""
WIDE_GAP: Final = 0.1
"""A gap that surely exceeds this is overfitting whatever the losses are."""
NOISY: Final = 0.05
"""Least share of rows with a doubtful label that is taken for a ceiling."""
WRONG_A_DOUBT: Final = 1.8
"""Most wrong labels for each doubted one: precision over recall of planted errors, measured in `label_errors`."""
LONG: Final = 5
"""Epochs after which a loss that no longer falls will not fall further."""
APART: Final = 0.05
FOLDS_WITHOUT_VALIDATION: Final = 2
"""Number of folds with which the second training has no rows for validation."""
FEW_OF_LABEL: Final = 10
MOST_NAMED: Final = 3
FEWEST_ROWS: Final = 30
"""Least rows of a set whose score is used."""


class TrainedEvidence(Value):
    training: TrainingSummary
    train: Scores | None
    validation: Scores | None
    holdout: Scores | None
    free: Scores | None = None
    """Scores of free decoding on the holdout; None where the task is decoded freely."""
    checkpoints: Sequence[CheckpointScore] = ()
    baselines: Sequence[BaselineResult] = ()
    data: DataSummary | None = None
    passes: bool | None = None
    unspoken: str = ""
    """Sentence that the rows are in a language the base model was not trained on; empty if not known."""


class TrainedCase:
    """One trained model, with the attributes that the rules in `advice.toml` name; texts may be empty."""

    def __init__(self, recipe: Recipe, evidence: TrainedEvidence) -> None:
        training, method, validation = evidence.training, recipe.method, evidence.validation
        self.recipe, self.method, self.training, self.evidence = recipe, method, training, evidence
        is_many = validation is not None and validation.rows >= FEWEST_ROWS
        # The loss of few validation rows moves by chance.
        is_few = validation is not None and 0 < validation.rows < FEWEST_ROWS
        self.unseen_called = "validation" if is_many else "holdout"
        self.unseen_scores = validation if is_many else evidence.holdout
        # The main metric; for free text, where only a threshold defines what is low, the first measured one with one.
        kind, spec = recipe.task.kind, recipe.task.spec
        self.name = primary(kind, answer_pattern=recipe.task.answer_pattern)
        bounded = [bound.metric for bound in recipe.acceptance.metrics]
        if not spec.has_one_answer and self.name not in bounded:
            sides = (evidence.train, self.unseen_scores)
            measured = (
                name for name in bounded if all(metric_of(side, name).interval for side in sides)
            )
            self.name = next(measured, self.name)
        self.is_lower_better = is_lower_better(self.name, kind)
        metric_spec = spec_of(self.name, kind)
        self.is_share = metric_spec is not None and metric_spec.unit == "share"
        self.train, self.unseen = (
            metric_of(side, self.name) for side in (evidence.train, self.unseen_scores)
        )
        self.accuracy = metric_of(evidence.holdout, "accuracy")
        self.free_form = metric_of(evidence.free, "valid_output")
        # Few freely decoded texts are answers of the task's form.
        self.lacks_form = (
            self.free_form.interval is not None and self.free_form.interval.high < ENOUGH
        )
        gap = independent_difference(*self._better_first(self.train, self.unseen))
        self.has_gap, self.has_wide_gap = (
            gap is not None and gap.low > (size if self.is_share else 0.0)
            for size in (GAP, WIDE_GAP)
        )
        self.epochs = round(training.epochs, 1)
        self.usual_rate = usual_rates(recipe, training)[0]
        self.has_unusual_rate = is_slow(recipe, training) or is_fast(recipe, training)
        self.has_few_steps = training.steps < FEW_STEPS
        self.was_long = training.epochs >= LONG
        self.was_refused = evidence.passes is False
        self.has_unchecked_labels = spec.has_labels and recipe.data.checks.label_errors == "off"
        self.losses = training_losses(training.history)
        self.validation_losses = None if is_few else validation_losses(training.history)
        self.is_before_rise = (
            self.validation_losses is not None
            and training.kept_step <= self.validation_losses.lowest_step
        )
        # By the validation rows of the splits, or those that `keep: best` would take.
        splits = recipe.splits
        has_rows = (
            splits.folds != FOLDS_WITHOUT_VALIDATION if splits.validation == 0 else not is_few
        )
        self.can_choose_checkpoint = has_rows
        self.checkpoints = Checkpoints(
            # each has only its main metric, which may be another one
            judged=tuple(one for one in evidence.checkpoints if one.metric.name == self.name),
            kept_step=training.kept_step,
            is_lower_better=self.is_lower_better,
        )
        # No judged checkpoint shows that the model was never better.
        self.may_have_been_better = (
            not self.checkpoints.are_compared or self.checkpoints.better is not None
        )
        self.stronger_baseline = self._stronger_baseline()
        self.had_its_time = not (
            self.has_few_steps
            or self.has_unusual_rate
            or (self.losses is not None and self.losses.is_falling)
            or self.stronger_baseline is not None
        )
        self._set_learned()
        self._set_ceiling()

    def _better_first(self, one: Metric, other: Metric) -> tuple[Metric, Metric]:
        """Order two metrics so that their difference is positive where the first is better."""
        return (other, one) if self.is_lower_better else (one, other)

    def _stronger_baseline(self) -> tuple[str, float] | None:
        """Return the best baseline that is surely better on the holdout than the model on its own training rows."""
        stronger = list[tuple[str, float]]()
        for baseline in self.evidence.baselines:
            metric = metric_of(baseline.scores, self.name)
            gain = independent_difference(*self._better_first(metric, self.train))
            if metric.value is not None and gain is not None and gain.low > 0:
                stronger.append((baseline.name, metric.value))
        best = min if self.is_lower_better else max
        return best(stronger, key=itemgetter(1), default=None)

    def _set_learned(self) -> None:
        """Compare the score on training rows with the one that it should reach, if any."""
        value, interval = self.train.value, self.train.interval
        goals = [
            bound.bound
            for bound in self.recipe.acceptance.metrics
            if bound.metric == self.name and (bound.direction == "max") == self.is_lower_better
        ]
        has_one_answer = self.is_share and self.recipe.task.spec.has_one_answer
        goals = [max([ENOUGH, *goals])] if has_one_answer else goals[:1]
        self.is_low = self.is_learned = False
        if goals and interval is not None and value is not None:
            (goal,) = goals
            self.is_low = interval.low > goal if self.is_lower_better else interval.high < goal
            self.is_learned = self.is_share and not self.is_lower_better and value >= goal
        self.is_far_below = has_one_answer and interval is not None and interval.high < FAR_BELOW

    def _set_ceiling(self) -> None:
        """Compare the score on unseen rows with the highest that doubtful labels allow."""
        data, interval = self.evidence.data, self.accuracy.interval
        self.doubtful_share, self.ceiling_words, self.is_at_label_ceiling = 0.0, "", False
        if data is None or not data.rows_used or interval is None:
            return
        # Of rows that contradict each other about half are wrong. Rows that a check drops are not trained on.
        counts = {one.check: one.count for one in data.findings if one.action == "warn"}
        doubted = max(counts.get("label_errors", 0), counts.get("conflicting_labels", 0) / 2)
        share = self.doubtful_share = doubted / (
            data.rows_used + data.dropped.get("in no split", 0)
        )
        # An overfitted model is at the ceiling only if the doubted labels alone explain its score.
        high = 1 - share
        low = high if self.has_wide_gap else 1 - WRONG_A_DOUBT * share
        self.ceiling_words = f"{high:.2f}"
        if interval.high < high:
            self.ceiling_words = f"{low:.2f} to {high:.2f}, as not every wrong label is doubted,"
        is_early = self.is_low and not self.had_its_time
        is_within = interval.low <= high and interval.high >= low
        self.is_at_label_ceiling = share >= NOISY and not is_early and is_within

    @property
    def why_unknown(self) -> str:
        sides = {
            "training": (self.evidence.train, self.train),
            "unseen": (self.unseen_scores, self.unseen),
        }
        for what, (scores, metric) in sides.items():
            if scores is None or scores.rows < FEWEST_ROWS:
                rows = 0 if scores is None else scores.rows
                return f"{rows} {what} rows were judged, fewer than {FEWEST_ROWS}"
            if metric.value is None or metric.interval is None:
                why = metric.undefined or "it has no interval"
                return f"{self.name} on {what} rows is not known: {why}"
        return ""

    @property
    def holdout_apart(self) -> str:
        """Return a sentence where the scores on validation and holdout surely differ by `APART`."""
        sides = (self.evidence.validation, self.evidence.holdout)
        one, two = (metric_of(scores, self.name) for scores in sides)
        between = independent_difference(one, two)
        if not self.is_share or min(one.n, two.n) < FEWEST_ROWS or between is None:
            return ""
        if max(between.low, -between.high) < APART:
            return ""
        return f"{self.name} is {value_words(one)} on validation rows and {value_words(two)} on the holdout"

    @property
    def cause(self) -> tuple[str, str]:
        """Return a cause besides steps and rate, and its remedy: the base model's language, or few rows of a label."""
        if unspoken := self.evidence.unspoken:
            return unspoken, "a base model of the rows' language, before rows and epochs"
        splits = self.evidence.data.splits if self.evidence.data else ()
        counts = next((one.labels for one in splits if one.name == "train"), {})
        few = {label: rows for label, rows in counts.items() if rows < FEW_OF_LABEL}
        if not few:
            return "", ""
        shown = [*few.items()][:MOST_NAMED]
        held = listed([f"{rows} of `{label}`" for label, rows in shown])
        named = listed([f"`{label}`" for label, _ in shown])
        return (
            f"the training rows hold only {held}",
            f"more rows of {named}, before epochs and rate",
        )

    @property
    def has_better_later_checkpoint(self) -> bool:
        """Tell whether a later checkpoint is surely better on validation rows than the kept one."""
        better, kept = self.checkpoints.better, self.checkpoints.kept
        if better is None or kept is None or better.step < kept.step:
            return False
        value, interval = better.metric.value, kept.metric.interval
        if value is None or interval is None:
            return False
        return value < interval.low if self.is_lower_better else value > interval.high


def metric_of(scores: Scores | None, name: str) -> Metric:
    return find_metric(scores, name) or Metric.missing(name)


def value_words(metric: Metric) -> str:
    interval = metric.interval
    reach = f" [{decimal(interval.low)}, {decimal(interval.high)}]" if interval else ""
    return f"{decimal(metric.value or 0.0)}{reach}"
