"""Whether a model learned too little, too much or enough, from its scores, its losses and the baselines.

The rules, their thresholds and where these come from stand in docs/explanation/diagnosis.md, in the same order. A rule
speaks only beyond chance: it compares ends of intervals, never two points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from engine.evidence import Diagnosis, Fit, Metric, RecipeEdit
from engine.metrics.losses import ValidationLosses
from engine.metrics.recipe_edits import (
    FEW_STEPS,
    edit_of,
    is_fast,
    is_slow,
    rate_of,
    to_keep,
    to_keep_validation_rows,
    to_learn_less,
    to_learn_more,
    to_train_on,
    written,
    yaml_of,
)
from engine.metrics.trained_case import (
    ENOUGH,
    TrainedCase,
    TrainedEvidence,
    metric_of,
    value_words,
)
from engine.recipe.model import Recipe
from engine.recipe.sweeps import varied

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
_NO_EDIT: Final = "rate, length and rank leave nothing to raise: a larger base model may learn more"
_FOLLOWS: Final = {
    "batch_size": ("micro_batch_size",),
    "epochs": ("min_steps", "max_steps"),
    "rank": ("alpha",),
}
"""Keys of `method` that follow another one where the recipe leaves them open."""
_BESIDE: Final = {"batch_size": ("micro_batch_size",), "rank": ("alpha",)}
"""Keys that suit one value of another one, and not the others that a sweep tries."""


def diagnose(recipe: Recipe, evidence: TrainedEvidence) -> Diagnosis:
    """Return what is wrong with the training, if anything, and the edit that would help.

    `recipe` has the method that was trained.
    """
    case = TrainedCase(recipe, evidence)
    if reason := case.why_unknown:
        return Diagnosis(fit=Fit.NOT_KNOWN, reasons=(reason,))
    # The last rule always speaks.
    found = next(found for rule in _RULES if (found := rule(case)) is not None)
    if found.fit is Fit.FITS and evidence.passes is not False:
        return found
    # One cause first: what another setting would not help is not given one.
    why, cause = case.cause
    return (
        replace(found, reasons=(why, *found.reasons), edits=(), yaml="", cause=cause)
        if cause
        else found
    )


def _at_label_ceiling(case: TrainedCase) -> Diagnosis | None:
    """Unseen rows are answered about as well as their doubtful labels allow."""
    share = case.doubtful_share
    accuracy = metric_of(case.evidence.holdout, "accuracy")
    if share < NOISY or accuracy.interval is None or (case.is_low and not case.had_its_time):
        return None
    highest = 1 - share
    # What was learned by heart is no ceiling, unless it is just what the doubted labels leave.
    lowest = highest if case.is_gap_above(WIDE_GAP) else 1 - WRONG_A_DOUBT * share
    if accuracy.interval.low > highest or accuracy.interval.high < lowest:
        return None
    at_most = f"{highest:.2f}"
    if accuracy.interval.high < highest:
        at_most = f"{lowest:.2f} to {highest:.2f}, as not every wrong label is doubted,"
    return _found(
        case,
        Fit.NOISE_CEILING,
        f"{share:.0%} of the rows have a doubtful label, and accuracy on the holdout is {value_words(accuracy)}: "
        f"no more than about {at_most} can be measured with such labels",
        "correcting the rows that the data checks name comes before any tuning",
    )


def _another_checkpoint_learned_more(case: TrainedCase) -> Diagnosis | None:
    """The training rows are not learned, and a later checkpoint answers validation rows surely better."""
    better, kept = case.checkpoints.better, case.checkpoints.kept
    if not case.is_low or better is None or kept is None or better.step < kept.step:
        return None
    if not _is_beyond(better.metric, kept.metric, lower=case.is_lower_better):
        return None
    return _found(
        case,
        Fit.UNDERFITTED,
        case.on_train(),
        f"step {better.step} reaches {value_words(better.metric)} on validation rows, "
        f"the kept step {kept.step} {value_words(kept.metric)}: its validation loss is lower, its answers are worse",
        edits=to_keep(case.method, "last"),
    )


def _learned_by_heart(case: TrainedCase) -> Diagnosis | None:
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


def _flat_at_the_usual_rate(case: TrainedCase) -> Diagnosis | None:
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
    return _found(
        case,
        Fit.NOISE_CEILING,
        case.on_train(),
        f"the training loss is flat after {round(training.epochs, 1):g} epochs ({losses.middle:.3f} in the middle"
        f" third of the steps, {losses.end:.3f} in the last): the answers contradict each other, or the base model"
        " is too small",
        edits=edits,
    )


def _underfitted(case: TrainedCase) -> Diagnosis | None:
    """The training rows are not learned."""
    if not case.is_low:
        return None
    edits = to_learn_more(case.recipe, case.training, case.losses)
    no_edit = [] if edits else [_NO_EDIT]
    return _found(case, Fit.UNDERFITTED, *_signs_of_too_little(case), *no_edit, edits=edits)


def _form_not_learned(case: TrainedCase) -> Diagnosis | None:
    """Only the constraint makes answers of the task's form: freely decoded, few are answers at all."""
    valid = metric_of(case.evidence.free, "valid_output")
    if valid.interval is None or valid.interval.high >= ENOUGH:
        return None
    share = (
        f"the share of valid answers is {value_words(valid)} on the holdout when decoding is free"
    )
    if case.is_learned and case.had_its_time:
        cause = (
            f"{case.on_train()}: what to answer is learned, and how an answer ends is not; look at how the chat "
            "template of the base model ends a turn, or take another base model, not at rows and epochs"
        )
        return _found(case, Fit.UNDERFITTED, share, cause)
    edits = to_learn_more(case.recipe, case.training, case.losses)
    no_edit = [] if edits else [_NO_EDIT]
    return _found(case, Fit.UNDERFITTED, share, *_signs_in_training(case), *no_edit, edits=edits)


def _signs_of_too_little(case: TrainedCase) -> Iterator[str]:
    yield case.on_train()
    yield from _signs_in_training(case)
    if case.stronger_baseline is not None:
        name, value = case.stronger_baseline
        yield f"{name} reaches {value:.3f} on rows that it never saw"


def _signs_in_training(case: TrainedCase) -> Iterator[str]:
    training, losses = case.training, case.losses
    steps = f"{training.steps} optimizer steps at a learning rate of {written(case.method.learning_rate)}"
    usual = rate_of(case.recipe, training)
    if is_slow(case.recipe, training) or is_fast(case.recipe, training):
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


def _overfitted(case: TrainedCase) -> Diagnosis | None:
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


def _too_much(case: TrainedCase, *reasons: str) -> Diagnosis:
    edits = to_learn_less(
        case.method,
        case.training,
        checkpoints=case.checkpoints,
        losses=case.validation_losses,
        has_labels=case.recipe.task.spec.has_labels,
        can_choose=case.can_choose_checkpoint,
    )
    no_edit = (
        "no other checkpoint is better, so fewer epochs would not help"
        if case.checkpoints.are_compared
        else "no other step is known to be better: further rows would help, not fewer epochs"
    )
    return _found(case, Fit.OVERFITTED, *reasons, *([] if edits else [no_edit]), edits=edits)


def _still_gaining(case: TrainedCase) -> Diagnosis | None:
    """The gate did not pass, and validation still gained at the end."""
    losses = case.validation_losses
    if (
        case.evidence.passes is not False
        or losses is None
        or not losses.is_falling
        or case.training.stopped_early
    ):
        return None
    return _found(
        case,
        Fit.UNDERFITTED,
        case.on_both(),
        f"the validation loss still fell at the end, to {losses.last:.3f}: longer training may gain more",
        edits=to_train_on(case.method, case.training),
    )


def _fits(case: TrainedCase) -> Diagnosis:
    """Nothing speaks against it."""
    return _found(case, Fit.FITS, case.on_both())


_RULES: Final[tuple[Callable[[TrainedCase], Diagnosis | None], ...]] = (
    _at_label_ceiling,
    _another_checkpoint_learned_more,
    _learned_by_heart,
    _flat_at_the_usual_rate,
    _underfitted,
    _form_not_learned,
    _overfitted,
    _still_gaining,
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


def _found(
    case: TrainedCase, fit: Fit, *reasons: str, edits: Sequence[RecipeEdit] = ()
) -> Diagnosis:
    """Return a diagnosis; keys that the sweep varies are named, not edited in `method`.

    What the recipe leaves open and what follows by itself is not edited: `micro_batch_size` follows `batch_size`,
    `alpha` the rank, and where `epochs` are stated there are no bounds of the number of steps.
    """
    edits = [*_not_following(case, edits)]
    varied_keys = varied(case.recipe.sweep) if case.recipe.sweep else ()
    led = {f"method.{one}" for key in varied_keys for one in (key, *_BESIDE.get(key, ()))}
    left = [one for one in edits if one.key not in led]
    notes = [
        f"the sweep varies {key}: let it try {' with '.join(tried)} too"
        for key in varied_keys
        if (tried := _tried(edits, key))
    ]
    if any((one.key, one.proposed) == ("method.keep", "last") for one in left):
        rows = case.evidence.validation.rows if case.evidence.validation else 0
        left += to_keep_validation_rows(case.recipe.splits, rows)
    if apart := case.holdout_apart:
        notes.append(
            f"{apart}: the two hold other rows, so look at how they are divided, not at rows and epochs"
        )
    return Diagnosis(fit=fit, reasons=(*reasons, *notes), edits=tuple(left), yaml=yaml_of(left))


def _not_following(case: TrainedCase, edits: Sequence[RecipeEdit]) -> Iterator[RecipeEdit]:
    """Yield the edits without those of keys that follow another edited one by themselves."""
    open_keys = {one.key: one.value for one in case.recipe.method_defaults}
    edited = {one.key.removeprefix("method.") for one in edits}
    following = {
        f"method.{key}"
        for stated in edited
        for key in _FOLLOWS.get(stated, ())
        if key in open_keys and open_keys[key] == getattr(case.method, key)
    }
    yield from (one for one in edits if one.key not in following)


def _tried(edits: Sequence[RecipeEdit], key: str) -> list[str]:
    """Return what a sweep of a key should try, and what has to go with it; nothing where the key is not edited."""
    proposed = {one.key.removeprefix("method."): one.proposed for one in edits}
    if key not in proposed:
        return []
    beside = [f"{one} {proposed[one]}" for one in _BESIDE.get(key, ()) if one in proposed]
    return [proposed[key], *beside]
