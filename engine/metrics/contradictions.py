"""Numbers that contradict each other: a loss and the answers to its rows, or answers to rows of the same draw.

An answer with more than half of the probability is chosen, and a share among the task's answers is at least the
probability among all texts: so rows that are answered wrongly have a minimum loss.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from engine.errors import Problem
from engine.evidence import Check, Scores, Status, TrainingSummary
from engine.kinds import AnswerForm, Decoding
from engine.metrics.predictions import Prediction
from engine.metrics.verdict import point_check
from engine.recipe.metrics import primary
from engine.recipe.model import Recipe, Task
from engine.runtime.scoring.label_search import TOLERANCE

WARN, FAIL = 0.9, 0.5
SKILL = 0.5
"""Least skill of a model that has learned: half the way from the most frequent answer to all answers right; for free
text half of the answers right, for chat half of the probability of each token.
"""
FIELDS = 0.75
"""The same for objects, in which a guess gets some fields right."""


def judge_endings(
    task: Task, chosen: Sequence[Prediction], *, scores: Scores, free: Scores | None
) -> tuple[Check, ...]:
    """Compare free with constrained decoding (`free_output`); of free kinds, count ended answers (`ended`)."""
    if not task.spec.has_turns or not chosen:
        return ()
    if free is None:
        ended, n = sum(row.ended for row in chosen), len(chosen)
        how = "after the right answer" if task.spec.by_likelihood else "within the allowed tokens"
        note = f"{ended} of {n} answers end {how}"
        name, got, reference = "ended", ended / n, 1.0
    else:
        freely, constrained = free.metric("valid_output"), scores.metric("valid_output")
        if not constrained.value:
            return ()
        name, got, reference, n = "free_output", freely.value or 0.0, constrained.value, freely.n
        note = (
            f"{got:.3f} of the answers are valid and end in free decoding,"
            f" {reference:.3f} when decoding is constrained to the task's form"
        )
    status, bound = Status.PASS, WARN * reference
    if got < WARN * reference:
        status = Status.WARN
    if got < FAIL * reference and _has_learned(task, chosen, scores):
        status, bound = Status.FAIL, FAIL * reference
    return (point_check(name, status, got, n=n, note=note, bound=bound),)


def _has_learned(task: Task, chosen: Sequence[Prediction], scores: Scores) -> bool:
    if task.spec.has_labels:
        most = max(Counter(row.target for row in chosen).values()) / len(chosen)
        right = scores.metric("accuracy").value or 0.0
        return right == 1.0 or (most < 1.0 and (right - most) / (1 - most) >= SKILL)
    if task.spec.by_likelihood:
        nats, tokens = sum(row.nats or 0.0 for row in chosen), sum(row.tokens for row in chosen)
        return tokens > 0 and math.exp(-nats / tokens) >= SKILL
    name = primary(task.kind, answer_pattern=task.answer_pattern)
    value = scores.metric(name).value or 0.0
    if task.spec.decoding is Decoding.FREE:
        # A model that writes on behind the right answer has learned the task, although no answer is right.
        begun = sum(row.text.lstrip().startswith(row.target.strip()) for row in chosen)
        value = max(value, begun / len(chosen))
    return value >= (FIELDS if task.spec.answer is AnswerForm.OBJECT else SKILL)


LEAST_ROWS: Final = 10
SLACK: Final = 1.25
"""Factor for differences: losses are means of batches, and tokens a row are those of the training rows."""
ROUNDED: Final = 0.1
"""Further nats a row."""
DRAWN: Final = ("random", "stratified")
"""Ways to divide rows in which every row is as likely to be a validation row as one of the holdout."""
LEAST_GAP: Final = 0.1
"""Least gap between the accuracies on validation and holdout rows; smaller gaps have smaller causes, such as a
checkpoint that was chosen by the validation rows."""
CHANCE: Final = 1e-5
"""Chance of such a gap, by Fisher's exact test, below which chance is not the cause."""


def loss_against_answers(
    recipe: Recipe, training: TrainingSummary, validation: Sequence[Prediction]
) -> Problem | None:
    """Return B430 where answers to validation rows are worse than the validation loss of the same weights allows."""
    measured = [
        one.eval_loss
        for one in training.history
        if one.step == training.kept_step and one.eval_loss is not None
    ]
    # the loss of soft targets is a distance from a teacher, not from the labels
    of_labels = recipe.task.spec.has_labels and recipe.teacher is None
    is_known = of_labels and recipe.method.loss_on != "everything"
    if not measured or not training.rows or len(validation) < LEAST_ROWS or not is_known:
        return None
    counted = measured[-1] * training.supervised_tokens / training.rows
    least = nats_at_least(validation)
    if least <= SLACK * counted + ROUNDED:
        return None
    wrong = sum(row.label != row.target for row in validation)
    return Problem(
        code="B430",
        message=f"the trainer counted {counted:.2g} nats an answer of the validation rows at step {training.kept_step},"
        f" and they are answered as if it were {least:.2g} at least: {wrong} of {len(validation)} wrongly",
        path="method",
        hint="no other rows or epochs would help: the mask, the chat template or the adapter are not the same in"
        " training and after it; run again with `--force train`, and report it if it stays",
    )


def holdout_against_validation(
    recipe: Recipe, validation: Sequence[Prediction], holdout: Sequence[Prediction]
) -> Problem | None:
    """Return B432 where answers to one of two random sets of rows are surely and far better."""
    few = min(len(validation), len(holdout)) < LEAST_ROWS
    if few or not recipe.task.spec.has_labels or recipe.splits.by not in DRAWN:
        return None
    right = [sum(row.label == row.target for row in rows) for rows in (validation, holdout)]
    shares = (right[0] / len(validation), right[1] / len(holdout))
    if abs(shares[0] - shares[1]) < LEAST_GAP:
        return None
    from scipy.stats import fisher_exact  # takes time to import

    wrong = [len(validation) - right[0], len(holdout) - right[1]]
    chance = float(fisher_exact([right, wrong]).pvalue)
    if chance >= CHANCE:
        return None
    return Problem(
        code="B432",
        message=f"{shares[0]:.1%} of {len(validation)} validation rows are answered rightly and {shares[1]:.1%} of"
        f" {len(holdout)} holdout rows, which chance has drawn from the same rows: it makes such a gap once in"
        f" {1 / max(chance, 1e-99):.0e} times",
        path="splits",
        hint="no score of this run can be trusted: rows of the better set were learned from, or texts, labels and"
        " answers of one set do not belong together; look at both in `recipe data`, and run again with `--force data`",
    )


def nats_at_least(predictions: Sequence[Prediction]) -> float:
    """Return the mean of the least loss that each answer can have, in nats; 0 for a right one."""
    least = 0.0
    for row in predictions:
        if row.label != row.target:
            # The right answer has at most what the chosen one lacks, and at most as much as the chosen one. The search
            # notes 0 for answers that it skips, which may have a little more.
            least -= math.log(min(0.5, 1 - (row.probability or 0.0) + TOLERANCE))
    return least / len(predictions)
