"""Rows asked once more by themselves: their recorded answers are to be their own, and not those of rows beside them."""

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
KNOWN: Final = 0.99
"""Probability up to which one is known: a search leaves answers out that hold a thousandth."""
FAR: Final = {"torch.float32": 0.5, "torch.float16": 1.0, "torch.bfloat16": 2.0}
"""Nats by which rounding may move the distance of two answers, by dtype, and more."""
ROWS: Final = 3
"""Of a holdout: of answers in another order each row shows it by chance only."""
ONE: Final = 1
"""Of a set that judges no model: answers that stand so many rows too early or too late show in it, too."""
SUREST: Final = 32
"""Rows of which the shortest ones are asked, which cost the least."""


def refuse_moved_answers(
    loaded: Callable[[], LoadedModel],
    asked: predict.PredictionInputs,
    rows: Sequence[Example],
    written: Sequence[Prediction],
    *,
    most: int = ROWS,
) -> None:
    """StageError X820 where one of `most` rows, asked alone, is not as sure of its answer as it was written."""
    from engine.runtime.scoring.plain_check import Lead, plain_leads  # brings torch

    places = between_others(written, [len(row.input) for row in rows])[:most]
    if not places:
        return
    model = loaded()
    texts = zip(asked.task.labels, predict.answers_of(model, asked.task), strict=True)
    answers = {label: model.chat.token_ids(text) for label, text in texts}
    prompts = predict.prompts_of(model, asked, [rows[at] for at in places])
    compared = [
        (
            at,
            label,
            other,
            Lead(model.chat.token_ids(prompt), answers[label], answers[other], least),
        )
        for at, prompt in zip(places, prompts, strict=True)
        for label, least in [(str(written[at].label), _least(model, written[at]))]
        for other in sorted({str(written[place].label) for place in (at - 1, at + 1)})
    ]
    leads = plain_leads(model, [one for *_, one in compared])
    for lead, (at, label, other, one) in zip(leads, compared, strict=True):
        # Written this way round, so that NaN is refused too.
        if not lead >= one.least:
            raise StageError.one(
                "X820",
                f"answers stand at other rows than their own: row {at + 1} has {label!r} with a probability of"
                f" {_share(written[at]):.2g}, and asked alone {1 / (1 + math.exp(-lead)):.2g} beside {other!r}",
                path="task",
                hint="run again with `--force evaluate`, and report it if it stays: no score of this run can be"
                " trusted",
            )


def _share(written: Prediction) -> float:
    return min(written.probability or 0.0, KNOWN)


def _least(model: LoadedModel, written: Prediction) -> float:
    share = _share(written)
    return math.log(share / (1 - share)) - FAR.get(str(model.model.dtype), 2.0)


def between_others(written: Sequence[Prediction], sizes: Sequence[int]) -> list[int]:
    """Return the places of sure answers, short rows first, that differ from those of the rows around them."""
    labels = [one.label for one in written]
    steps = [one != two for one, two in pairwise(labels)]
    sure = {
        at: written[at].probability or 0.0
        for at, (before, after) in enumerate(pairwise(steps), 1)
        if before and after and None not in labels[at - 1 : at + 2]
    }
    places = [at for at, probability in sure.items() if probability >= SURE]
    surest = sorted(places, key=lambda at: -sure[at])[:SUREST]
    return sorted(surest, key=lambda at: sizes[at])[:ROWS]
