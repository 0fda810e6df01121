"""How a model rates two answers to one prompt, or a single one, from the likelihoods of both.

The rating is the reward that the training implies: for DPO, IPO and KTO the log-probability of the answer less that of
the untouched base model; for ORPO and SimPO, which have no reference, the log-probability a token. The base model is
asked once for each set of rows.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Final

from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example
from engine.environment import version_of
from engine.inference import predict
from engine.inference.predict import PredictionInputs
from engine.kinds import Turns
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.values import replace

REVISION = 1
PRODUCT = "base_likelihoods"
PER_TOKEN: Final = ("orpo", "simpo")
"""Losses without a reference."""

Reference = Mapping[str, tuple[float, ...]]
"""By row: nats of the chosen answer, and of the rejected one where there is one, by the untouched base model."""


def base_answers(
    context: StageContext, asked: PredictionInputs, rows: Sequence[Example]
) -> list[Prediction]:
    """Return how likely the untouched base model finds the answers of rows; asked at most once. StageError X616."""
    asked = replace(asked, loss="")
    payload = {
        "revision": (REVISION, predict.REVISION),
        "rows": rows_digest(rows),
        "base_model": context.base_model,
        "asked": asked.payload(),
        "device": context.device.kind,
        "precision": context.precision,
        "versions": {tool: version_of(tool) for tool in ("torch", "transformers")},
    }

    def build(folder: Path) -> None:
        progress = context.progress_of("base model")
        found = predict.judged(context.load_base(), asked, rows, progress=progress)
        write_predictions(folder / predict.FILE, found)

    return read_predictions(context.cached(PRODUCT, payload, build).file(predict.FILE))


def rows_digest(rows: Sequence[Example]) -> str:
    """Return what stands for rows in a key: an id is of prompt and chosen answer, and not of the rejected one."""
    found = sha256()
    for row in rows:
        found.update(f"{row.id} {json.dumps(row.payload, sort_keys=True)}\n".encode())
    return found.hexdigest()


def reference_of(
    context: StageContext, asked: PredictionInputs, rows: Sequence[Example]
) -> Reference:
    """Return what ratings of rows are measured against; nothing for other kinds of tasks."""
    if not rows or asked.task.spec.turns is not Turns.PREFERENCE:
        return {}
    return {row.id: _nats(row) for row in base_answers(context, asked, rows)}


def reference_in(predictions: Sequence[Prediction]) -> Reference:
    return {row.id: row.base_nats for row in predictions if row.base_nats}


def rated(
    predictions: Sequence[Prediction], asked: PredictionInputs, base: Reference
) -> list[Prediction]:
    """Return the predictions with their margins; those of other kinds and of rows not scored as they are."""
    if not base:
        return [*predictions]
    found = []
    for row in predictions:
        if row.nats is None:
            found.append(row)
            continue
        # How much higher the chosen answer is rated, or which way the rating of a single one points.
        if asked.loss in PER_TOKEN:
            margin = _per_token(row)
        else:
            pairs = zip(base[row.id], _nats(row), strict=True)
            gain, *others = (before - after for before, after in pairs)
            margin = gain - sum(others)
        margin = margin if row.desirable else -margin
        found.append(replace(row, margin=margin, base_nats=tuple(base[row.id])))
    return found


def untouched(answered: Sequence[Prediction]) -> list[Prediction]:
    """Return what a model itself prefers: the answer likelier a token, or single ones likelier than half of all."""
    return _preferring(answered, [_per_token(row) for row in answered])


def longer_answer(rows: Sequence[Example]) -> list[Prediction]:
    """Return a preference for the longer answer, in bytes; of single answers, for those longer than half of all."""
    sized = []
    for row in rows:
        turns: Sequence[Mapping[str, Any]] = row.payload.get("rejected", ())
        rejected = "\n".join(str(turn.get("content") or "") for turn in turns)
        sized.append(
            predict.predicted(
                row,
                bytes=len(row.target.encode()),
                rejected_bytes=len(rejected.encode()),
                desirable=row.payload.get("desirable", True),
            )
        )
    return _preferring(sized, [float(row.bytes - row.rejected_bytes) for row in sized])


def _preferring(rows: Sequence[Prediction], values: Sequence[float]) -> list[Prediction]:
    """Return rows that are preferred by a value: of a pair how much higher that of the chosen answer is."""
    middle = median(values) if values else 0.0
    margins = [
        value if row.rejected_bytes else (value - middle) * (1 if row.desirable else -1)
        for row, value in zip(rows, values, strict=True)
    ]
    return [replace(row, margin=margin) for row, margin in zip(rows, margins, strict=True)]


def _per_token(row: Prediction) -> float:
    """Return the log-probability a token of the chosen answer, less that of the rejected one."""
    chosen = -(row.nats or 0.0) / max(row.tokens, 1)
    if row.rejected_nats is None:
        return chosen
    return chosen + row.rejected_nats / max(row.rejected_tokens, 1)


def _nats(row: Prediction) -> tuple[float, ...]:
    return tuple(one for one in (row.nats, row.rejected_nats) if one is not None)
