"""Predictions of one form of the model on the holdout, made at most once."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning
from engine.errors import StageError
from engine.files.reading import read_json
from engine.inference import predict
from engine.metrics.predictions import Prediction, read_predictions, write_predictions
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe, Task
from engine.render.progress_display import SilentProgress
from engine.values import Value

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

SURE: Final = 0.8
"""Probability of an answer that no rounding turns into another."""
SMALLEST, KNOWN = 1e-9, 0.99
"""Probabilities from which on, and up to which, one is known: a search leaves answers out that hold a thousandth."""
FAR: Final = {"torch.float32": 0.5, "torch.float16": 1.0, "torch.bfloat16": 2.0}
"""Nats by which rounding may move the odds of an answer, by dtype, and more."""
ROWS: Final = 3
"""Rows of a holdout: each of them detects answers in another order with some probability."""
ONE: Final = 1
"""Row of a set that judges no model: it detects answers that are shifted by a few rows."""
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
    for at in between_others(written, [len(row.input) for row in rows])[:most]:
        model, label = loaded(), written[at].label
        (alone,) = predict.judged(model, asked, [rows[at]], progress=SilentProgress())
        share, found = (
            min(max(one, SMALLEST), KNOWN)
            for one in (
                written[at].probability or 0.0,
                alone.probabilities[asked.task.labels.index(str(label))],
            )
        )
        moved = math.log(share / (1 - share)) - math.log(found / (1 - found))
        # Written this way round, so that NaN is refused too.
        if not moved <= FAR.get(str(model.model.dtype), 2.0):
            raise StageError.one(
                "X820",
                f"answers are at other rows than their own: row {at + 1} has {label!r} with a probability of"
                f" {share:.2g}, and asked alone {found:.2g}",
                path="task",
                hint="run again with `--force evaluate`, and report it if it stays: no score of this run can be"
                " trusted",
            )


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


TRAIN_SAMPLE = 200
"""Training rows that are asked, at most; two a label where that is more."""
WRITTEN_SAMPLE = 100
"""Rows of train and of validation where each answer is generated token by token."""


def sample_rows(rows: Sequence[Example], task: Task, *, seed: int) -> list[Example]:
    """Draw rows by seed: every label at its share, none left out, in file order."""
    most = WRITTEN_SAMPLE if task.spec.is_written_out else TRAIN_SAMPLE
    return beginning(rows, max(most, 2 * len(task.labels)), seed=seed)


def judged_validation(rows: Sequence[Example], recipe: Recipe) -> list[Example]:
    """Return the validation rows that are asked: all of them where answers are short."""
    if not recipe.task.spec.is_written_out:
        return list(rows)
    return sample_rows(rows, recipe.task, seed=recipe.splits.seed)


def stopwatch(kind: str) -> Callable[[], float]:
    """Return what gives the seconds since now, of processor time on a CPU: other work on the machine does not count."""
    # answers are texts when they come, so nothing is still under way on a GPU
    clock = time.process_time if kind == "cpu" else time.perf_counter
    begun = clock()
    return lambda: clock() - begun


REVISION = 3
FACTS = "facts.json"


class Predictions(Value):
    judged: list[Prediction]
    free: list[Prediction]
    facts: Mapping[str, Any]


def predict_merged(
    context: StageContext, examples: Sequence[Example], asked: predict.PredictionInputs
) -> Predictions:
    """Return the merged model's predictions; free decoding only where a bound is on what it shows."""
    export = context.recipe.export
    bounds = [drop.metric for drop in export.max_drops]
    if "safetensors" in export.formats:
        bounds += [bound.metric for bound in context.recipe.acceptance.metrics]
    with_free = asked.task.spec.is_constrained and not {*FREE}.isdisjoint(bounds)
    precision = context.precision
    payload = {
        "model": context.inputs["merge"],
        "device": context.device.kind,
        "precision": precision,
        # answers without free ones must not be taken where these are asked for
        "free": with_free,
        "asks": predict.REVISION,
    }

    def build(folder: Path) -> None:
        from engine.runtime.models.load import load_model  # brings torch

        model = context.artifacts["merge"].file("model")
        loaded = load_model(model, device=context.device, precision=precision)
        progress = context.progress_of("merged")
        if with_free:
            judged, free = predict.judged_and_free(loaded, asked, examples, progress=progress)
        else:
            judged, free = predict.judged(loaded, asked, examples, progress=progress), []
        store_predictions(folder, judged, free, {})

    return cached_predictions(context, "merged", asked, payload, build)


def cached_predictions(
    context: StageContext,
    name: str,
    asked: predict.PredictionInputs,
    payload: Payload,
    build: Callable[[Path], None],
) -> Predictions:
    """Return predictions, made at most once for this model, holdout and task."""
    made = context.cached(
        "predictions",
        {
            "of": name,
            "revision": REVISION,
            "holdout": context.inputs["holdout"],
            "asked": asked.payload(),
            **payload,
        },
        build,
    )
    return Predictions(
        judged=read_predictions(made.file("chosen.jsonl")),
        free=read_predictions(made.file("free.jsonl")),
        facts=read_json(made.file(FACTS)),
    )


def store_predictions(
    folder: Path, judged: Sequence[Prediction], free: Sequence[Prediction], facts: Mapping[str, Any]
) -> None:
    write_predictions(folder / "chosen.jsonl", judged)
    write_predictions(folder / "free.jsonl", free)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
