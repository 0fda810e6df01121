"""One row asked once more by itself: its recorded answer is to be its own, and not that of the row beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from engine.data.examples.example import Example
from engine.errors import StageError
from engine.inference import predict
from engine.metrics.predictions import Prediction

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

SURE: Final = 0.8
"""Probability of an answer that no rounding turns into another."""
FAR: Final = 1.0
"""Nats by which another answer must be more probable."""


def refuse_moved_answers(
    loaded: Callable[[], LoadedModel],
    asked: predict.PredictionInputs,
    rows: Sequence[Example],
    written: Sequence[Prediction],
) -> None:
    """StageError X820 where a row that is asked alone has the answer that was written for a row beside it."""
    at = between_others(written)
    own = {row.id: row for row in rows}.get(written[at].id) if at else None
    if not at or own is None:
        return
    from engine.runtime.scoring.plain_check import plain_nats  # brings torch

    model = loaded()
    (prompt,) = predict.prompts_of(model, asked, [own])
    answers = dict(zip(asked.task.labels, predict.answers_of(model, asked.task), strict=True))
    nats = {
        label: plain_nats(model, prompt, answers[label])
        for label in {str(written[place].label) for place in (at - 1, at, at + 1)}
    }
    label = str(written[at].label)
    best = min(nats, key=lambda one: nats[one])
    # Written this way round, so that NaN is refused too.
    if not nats[label] <= nats[best] + FAR:
        raise StageError.one(
            "X820",
            f"answers stand at other rows than their own: row {at + 1} has {label!r}, and asked alone {best!r}",
            path="task",
            hint="run again with `--force evaluate`, and report it if it stays: no score of this run can be trusted",
        )


def between_others(written: Sequence[Prediction]) -> int:
    """Return the place of the surest answer that differs from those of the rows around it; 0 for none."""
    labels = [one.label for one in written]
    steps = [one != two for one, two in pairwise(labels)]
    places = [
        at
        for at, (before, after) in enumerate(pairwise(steps), 1)
        if before and after and None not in labels[at - 1 : at + 2]
    ]
    sure = {at: written[at].probability or 0.0 for at in places}
    best = max(sure, key=lambda at: sure[at], default=0)
    return best if sure.get(best, -math.inf) >= SURE else 0
