"""Whether a model ends its answers, and gives valid ones, without constrained decoding.

Constrained decoding shows what a model knows, and hides that it never stops. So free decoding is always
compared with it. Below `WARN` of the constrained share the check warns. Below `FAIL` of it the check fails,
provided that the constrained answers show that the model has learned its task: one that has not is for the
thresholds to judge.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from engine.evidence import Check, Scores, Status
from engine.kinds import AnswerForm, Decoding
from engine.metrics.predictions import Prediction
from engine.metrics.verdict import point_check
from engine.recipe.metrics import primary
from engine.recipe.model import Task

WARN, FAIL = 0.9, 0.5
SKILL = 0.5
"""What counts as having learned: half the way from the most frequent answer to all answers right; for free text
half of the answers, for chat half of the probability of each token.
"""
FIELDS = 0.75
"""The same for objects, of which a guess gets some fields right."""


def judge_endings(
    task: Task, chosen: Sequence[Prediction], *, scores: Scores, free: Scores | None
) -> tuple[Check, ...]:
    """Compare free with constrained decoding (`free_output`); of free kinds, count ended answers (`ended`)."""
    if not task.spec.has_turns or not chosen:
        return ()
    if free is None:
        ended = sum(row.ended for row in chosen)
        how = (
            "after the right answer" if task.spec.by_likelihood else "within the tokens it may have"
        )
        note = f"{ended} of {len(chosen)} answers end by themselves {how}"
        name, got, reference, n = "ended", ended / len(chosen), 1.0, len(chosen)
    else:
        freely, constrained = free.metric("valid_output"), scores.metric("valid_output")
        if not constrained.value:
            return ()
        name, got, reference, n = "free_output", freely.value or 0.0, constrained.value, freely.n
        note = (
            f"{got:.3f} of the answers are valid and end by themselves when nothing holds the model,"
            f" {reference:.3f} when it is held to the task's form"
        )
    status, bound = Status.PASS, WARN * reference
    if got < WARN * reference:
        status = Status.WARN
    if got < FAIL * reference and _has_learned(task, chosen, scores):
        status, bound = Status.FAIL, FAIL * reference
    return (point_check(name, status, got, n=n, note=note, bound=bound),)


def _has_learned(task: Task, chosen: Sequence[Prediction], scores: Scores) -> bool:
    """Tell whether the answers that a model is judged by show that it has learned the task."""
    if task.spec.has_labels:
        most = max(Counter(row.target for row in chosen).values()) / len(chosen)
        right = scores.metric("accuracy").value or 0.0
        # Where every row has one answer, there is no way left to go, and no division by it.
        return right == 1.0 or (most < 1.0 and (right - most) / (1 - most) >= SKILL)
    if task.spec.by_likelihood:
        nats, tokens = sum(row.nats or 0.0 for row in chosen), sum(row.tokens for row in chosen)
        return tokens > 0 and math.exp(-nats / tokens) >= SKILL
    name = primary(task.kind, answer_pattern=task.answer_pattern)
    value = scores.metric(name).value or 0.0
    if task.spec.decoding is Decoding.FREE:
        # A model that never stops writes on behind the right answer. It has learned the task; by
        # whole answers alone it would not count, and the missing ending would excuse itself.
        begun = sum(row.text.lstrip().startswith(row.target.strip()) for row in chosen)
        value = max(value, begun / len(chosen))
    return value >= (FIELDS if task.spec.answer is AnswerForm.OBJECT else SKILL)
