"""Whether a model learned too little, too much or enough, from its scores, its losses and the baselines.

The rules, their thresholds and where these come from stand in docs/explanation/diagnosis.md, in the same order. A rule
speaks only beyond chance: it compares ends of intervals, never two points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from engine.evidence import (
    BaselineResult,
    CheckpointScore,
    DataSummary,
    Diagnosis,
    Fit,
    Interval,
    Metric,
    RecipeEdit,
    Scores,
    TrainingSummary,
)
from engine.metrics.intervals import independent_difference
from engine.metrics.losses import (
    TrainingLosses,
    ValidationLosses,
    training_losses,
    validation_losses,
)
from engine.metrics.recipe_edits import (
    FEW_STEPS,
    Checkpoints,
    edit_of,
    is_slow,
    rate_of,
    to_keep,
    to_learn_less,
    to_learn_more,
    to_train_on,
    written,
    yaml_of,
)
from engine.recipe.metrics import is_lower_better, primary, spec_of
from engine.recipe.model import Recipe
from engine.recipe.sweeps import varied

ENOUGH: Final = 0.9
"""What a model that learned its training rows reaches on them, where each has one right answer."""
GAP: Final = 0.05
"""By which training rows surely have to be answered better before a risen validation loss counts."""
WIDE_GAP: Final = 0.2
"""A gap that surely exceeds this is overfitting whatever the losses say."""
FEWEST_ROWS: Final = 30
"""Of a set, below which its score says too little."""
NOISY: Final = 0.05
"""Share of rows with a doubtful label from which it is taken for a ceiling."""
FAR_BELOW: Final = 0.8
"""A score of training rows that is surely below this is far from right."""
LONG: Final = 5
"""Epochs after which a loss that no longer falls has had its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEvidence:
    """What is known of a trained model."""

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


def diagnose(recipe: Recipe, evidence: TrainedEvidence) -> Diagnosis:
    """Return what is wrong with the training, if anything, and the edit that would help.

    `recipe` has the method that was trained.
    """
    case = _Case(recipe, evidence)
    if reason := case.why_unknown:
        return Diagnosis(fit=Fit.NOT_KNOWN, reasons=(reason,))
    # The last rule always speaks.
    return next(found for rule in _RULES if (found := rule(case)) is not None)


class _Case:
    """One trained model, its numbers named as the rules use them."""

    def __init__(self, recipe: Recipe, evidence: TrainedEvidence) -> None:
        self.recipe, self.method, self.training = recipe, recipe.method, evidence.training
        self.evidence = evidence
        task = recipe.task
        self.name = primary(task.kind, answer_pattern=task.answer_pattern)
        self.is_lower_better = is_lower_better(self.name, task.kind)
        spec = spec_of(self.name, task.kind)
        self.is_share = spec is not None and spec.unit == "share"
        self.swept = frozenset(varied(recipe.sweep)) if recipe.sweep else frozenset[str]()

    @property
    def why_unknown(self) -> str:
        """Why nothing is known; empty where something is."""
        sets = {"training": self.evidence.train, "unseen": self._unseen_scores}
        for what, scores in sets.items():
            if scores is None or scores.rows < FEWEST_ROWS:
                rows = 0 if scores is None else scores.rows
                return f"{rows} {what} rows were judged, fewer than {FEWEST_ROWS}"
            metric = _metric(scores, self.name)
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
        return _metric(self.evidence.train, self.name)

    @cached_property
    def unseen(self) -> Metric:
        """The main metric on validation rows, or on the holdout where they are few."""
        return _metric(self._unseen_scores, self.name)

    @cached_property
    def gap(self) -> Interval | None:
        """How far training rows are answered better than unseen ones."""
        sides = (self.unseen, self.train) if self.is_lower_better else (self.train, self.unseen)
        return independent_difference(*sides)

    def is_gap_above(self, size: float) -> bool:
        """Whether the gap surely exceeds a size; where the metric is no share, zero."""
        return self.gap is not None and self.gap.low > (size if self.is_share else 0.0)

    @cached_property
    def losses(self) -> TrainingLosses | None:
        return training_losses(self.training.history)

    @cached_property
    def validation_losses(self) -> ValidationLosses | None:
        return validation_losses(self.training.history)

    @property
    def has_risen(self) -> bool:
        return self.validation_losses is not None and self.validation_losses.has_risen

    @property
    def goal(self) -> float | None:
        """What the training rows should reach; None where nothing says it."""
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
        """Whether the training rows surely miss the goal."""
        interval, goal = self.train.interval, self.goal
        if goal is None or interval is None:
            return False
        return interval.low > goal if self.is_lower_better else interval.high < goal

    @property
    def is_far_below(self) -> bool:
        """Whether rows with one right answer each are surely not learned by far."""
        interval = self.train.interval
        has_one_answer = self.is_share and self.recipe.task.spec.has_one_answer
        return has_one_answer and interval is not None and interval.high < FAR_BELOW

    @property
    def had_its_time(self) -> bool:
        """Whether nothing says that the training was too short or too slow to learn its rows."""
        return (
            self.training.steps >= FEW_STEPS
            and not is_slow(self.method, self.training)
            and not (self.losses is not None and self.losses.is_falling)
            and self.stronger_baseline is None
        )

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(
            judged=tuple(self.evidence.checkpoints),
            kept_step=self.training.kept_step,
            is_lower_better=self.is_lower_better,
        )

    @cached_property
    def stronger_baseline(self) -> tuple[str, float] | None:
        """The best baseline that answers the holdout surely better than the model its own training rows."""
        found = [
            (one.name, metric.value)
            for one in self.evidence.baselines
            if (metric := _metric(one.scores, self.name)).value is not None
            and (between := self._lead_over_train(metric)) is not None
            and between.low > 0
        ]
        best = min if self.is_lower_better else max
        return best(found, key=lambda one: one[1], default=None)

    def _lead_over_train(self, metric: Metric) -> Interval | None:
        sides = (self.train, metric) if self.is_lower_better else (metric, self.train)
        return independent_difference(*sides)

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

    # Sentences.

    def on_train(self) -> str:
        rows = self.evidence.train.rows if self.evidence.train else 0
        return f"{self.name} is {_value(self.train)} on {rows} training rows"

    def on_both(self) -> str:
        return f"{self.on_train()}, {_value(self.unseen)} on {self.unseen_called} rows"

    def diagnosis(self, fit: Fit, *reasons: str, edits: Sequence[RecipeEdit] = ()) -> Diagnosis:
        """Return a diagnosis; keys that the sweep varies are named, not edited in `method`."""
        swept = [one for one in edits if one.key.removeprefix("method.") in self.swept]
        left = [one for one in edits if one not in swept]
        notes = (
            f"the sweep varies {one.key.removeprefix('method.')}: let it try {one.proposed} too"
            for one in swept
        )
        return Diagnosis(fit=fit, reasons=(*reasons, *notes), edits=tuple(left), yaml=yaml_of(left))


def _at_label_ceiling(case: _Case) -> Diagnosis | None:
    """Unseen rows are answered about as well as their doubtful labels allow."""
    share = case.doubtful_share
    accuracy = _metric(case.evidence.holdout, "accuracy")
    if share < NOISY or accuracy.interval is None or (case.is_low and not case.had_its_time):
        return None
    ceiling = 1 - share
    if not accuracy.interval.low <= ceiling <= accuracy.interval.high:
        return None
    return case.diagnosis(
        Fit.NOISE_CEILING,
        f"{share:.0%} of the rows have a doubtful label, and accuracy on the holdout is {_value(accuracy)}: "
        f"no more than about {ceiling:.2f} can be measured with such labels",
        "correcting the rows that the data checks name comes before any tuning",
    )


def _another_checkpoint_learned_more(case: _Case) -> Diagnosis | None:
    """The training rows are not learned, and a later checkpoint answers validation rows surely better."""
    better, kept = case.checkpoints.better, case.checkpoints.kept
    if not case.is_low or better is None or kept is None or better.step < kept.step:
        return None
    if not _is_beyond(better.metric, kept.metric, lower=case.is_lower_better):
        return None
    return case.diagnosis(
        Fit.UNDERFITTED,
        case.on_train(),
        f"step {better.step} reaches {_value(better.metric)} on validation rows, "
        f"the kept step {kept.step} {_value(kept.metric)}: its validation loss is lower, its answers are worse",
        edits=to_keep(case.method, "last"),
    )


def _learned_by_heart(case: _Case) -> Diagnosis | None:
    """The training rows are not learned, and learning more of them already made validation worse."""
    losses = case.validation_losses
    if not case.is_low or losses is None or not losses.has_risen:
        return None
    is_before = case.training.kept_step <= losses.lowest_step
    if not is_before and not case.is_gap_above(GAP):
        return None
    kept = (
        ["the kept step is from before that: more epochs would not change it"] if is_before else []
    )
    return _too_much(case, case.on_both(), _rise(losses), *kept)


def _flat_at_the_usual_rate(case: _Case) -> Diagnosis | None:
    """The training rows are not learned, though the loss fell, was given time, and falls no more."""
    losses, training = case.losses, case.training
    is_exhausted = (
        case.is_far_below
        and case.had_its_time
        and losses is not None
        and losses.is_flat
        and losses.has_learned
        and training.epochs >= LONG
    )
    if not is_exhausted or losses is None:
        return None
    checks = case.recipe.data.checks
    is_unmeasured = case.recipe.task.spec.has_labels and checks.label_errors == "off"
    edits = [edit_of("data.checks.label_errors", "off", "warn")] if is_unmeasured else []
    return case.diagnosis(
        Fit.NOISE_CEILING,
        case.on_train(),
        f"the training loss is flat after {training.epochs:g} epochs ({losses.middle:.3f} in the middle third of "
        f"the steps, {losses.end:.3f} in the last): the answers contradict each other, or the base model is too small",
        edits=edits,
    )


def _underfitted(case: _Case) -> Diagnosis | None:
    """The training rows are not learned."""
    if not case.is_low:
        return None
    edits = to_learn_more(case.method, case.training, case.losses)
    return case.diagnosis(Fit.UNDERFITTED, *_signs_of_too_little(case), edits=edits)


def _form_not_learned(case: _Case) -> Diagnosis | None:
    """Only the constraint makes answers of the task's form: freely decoded, few are answers at all."""
    valid = _metric(case.evidence.free, "valid_output")
    if valid.interval is None or valid.interval.high >= ENOUGH:
        return None
    edits = to_learn_more(case.method, case.training, case.losses)
    share = f"the share of valid answers is {_value(valid)} on the holdout when decoding is free"
    return case.diagnosis(Fit.UNDERFITTED, share, *_signs_in_training(case), edits=edits)


def _signs_of_too_little(case: _Case) -> Iterator[str]:
    yield case.on_train()
    yield from _signs_in_training(case)
    if case.stronger_baseline is not None:
        name, value = case.stronger_baseline
        yield f"{name} reaches {value:.3f} on rows that it never saw"


def _signs_in_training(case: _Case) -> Iterator[str]:
    training, losses = case.training, case.losses
    steps = f"{training.steps} optimizer steps at a learning rate of {written(case.method.learning_rate)}"
    usual = rate_of(case.method, training)
    if is_slow(case.method, training):
        yield f"{steps}, where {written(usual)} is usual for {case.method.kind}"
    elif training.steps < FEW_STEPS:
        yield f"{steps} are few"
    if losses is not None and losses.has_diverged:
        yield f"the training loss rose from {losses.start:.3f} to {losses.end:.3f}: the rate is too high"
    elif losses is not None and losses.is_falling:
        yield (
            f"the training loss still fell at the end: {losses.middle:.3f} in the middle third of the "
            f"steps, {losses.end:.3f} in the last"
        )


def _overfitted(case: _Case) -> Diagnosis | None:
    """Training rows are answered far better than others, or better while validation got worse."""
    losses = case.validation_losses
    is_wide = case.is_share and case.is_gap_above(WIDE_GAP)
    has_turned = (
        losses is not None and losses.has_risen and case.training.kept_step > losses.lowest_step
    )
    was_better = case.checkpoints.better is not None or not case.checkpoints.are_compared
    if not is_wide and not (has_turned and case.is_gap_above(GAP) and was_better):
        return None
    risen = [_rise(losses)] if losses is not None and losses.has_risen else []
    return _too_much(case, case.on_both(), *risen)


def _too_much(case: _Case, *reasons: str) -> Diagnosis:
    edits = to_learn_less(
        case.method,
        case.training,
        checkpoints=case.checkpoints,
        losses=case.validation_losses,
    )
    no_edit = "no other checkpoint is better, so fewer epochs would not help"
    return case.diagnosis(Fit.OVERFITTED, *reasons, *([] if edits else [no_edit]), edits=edits)


def _fits(case: _Case) -> Diagnosis:
    """Nothing speaks against it; where validation still gained at the end, longer training is named."""
    losses = case.validation_losses
    if losses is not None and losses.is_falling and not case.training.stopped_early:
        return case.diagnosis(
            Fit.FITS,
            case.on_both(),
            f"the validation loss still fell at the end, to {losses.last:.3f}: longer training may gain more",
            edits=to_train_on(case.method, case.training),
        )
    return case.diagnosis(Fit.FITS, case.on_both())


_RULES: Final[tuple[Callable[[_Case], Diagnosis | None], ...]] = (
    _at_label_ceiling,
    _another_checkpoint_learned_more,
    _learned_by_heart,
    _flat_at_the_usual_rate,
    _underfitted,
    _form_not_learned,
    _overfitted,
    _fits,
)


def _rise(losses: ValidationLosses) -> str:
    return (
        f"the validation loss was lowest at step {losses.lowest_step} ({losses.lowest:.3f}) and rose to "
        f"{losses.last:.3f} by step {losses.last_step}"
    )


def _is_beyond(better: Metric, kept: Metric, *, lower: bool) -> bool:
    """Whether a value lies outside the other's interval, on the better side."""
    if better.value is None or kept.interval is None:
        return False
    return better.value < kept.interval.low if lower else better.value > kept.interval.high


def _metric(scores: Scores | None, name: str) -> Metric:
    """The metric of that name; one without a value where it was not computed."""
    found = (metric for metric in (scores.metrics if scores else ()) if metric.name == name)
    return next(found, Metric(name=name, value=None, n=0, undefined="not measured"))


def _value(metric: Metric) -> str:
    interval = metric.interval
    reach = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else ""
    return f"{metric.value or 0.0:.3f}{reach}"
