"""A teacher asked: rows without labels in, its answers out, each asked once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import batched

from engine.data.examples.example import Example
from engine.data.splitting.subsets import Fold
from engine.evidence import KeptAtConfidence
from engine.inference import predict
from engine.inference.baselines.runner import Asker
from engine.inference.baselines.shots import shots_of
from engine.metrics.families.fields import is_right
from engine.metrics.predictions import Prediction, read_predictions
from engine.recipe.baselines import LEARNED
from engine.recipe.model import Baseline
from engine.store import Artifact
from engine.values import Value

PART = 256
"""Rows of one part: a killed run asks a local model so many again, at most."""
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NO_ANSWER = "not an answer of the task"
UNSURE = "below the confidence"


class TeacherAnswers(Value):
    """What a teacher says to rows, in their order, and the products that hold it."""

    predictions: list[Prediction]
    products: list[Artifact]


def ask_teacher(
    asker: Asker,
    teacher: Baseline,
    rows: Sequence[Example],
    *,
    shown: Sequence[Example],
    validation: Sequence[Example] = (),
) -> TeacherAnswers:
    """Return the answers to rows without labels.

    A model draws its shots from `shown`; a baseline is trained on them, and chooses by `validation`.
    """
    made: list[Artifact] = []
    predictions: list[Prediction] = []
    # A baseline is trained for each part anew.
    size = max(PART, len(rows)) if teacher.kind in LEARNED else PART
    for number, part in enumerate(batched(rows, size, strict=False)):
        # the number stands in no key: it is where the part happens to be
        asker.context.progress.update(number * size, len(rows), "rows asked")
        fold = Fold(number=0, train=tuple(shown), validation=tuple(validation), judged=part)
        made.append(asker.product(teacher, fold, rows=_asked(asker, teacher, fold)))
        predictions += read_predictions(made[-1].file(predict.FILE))
    return TeacherAnswers(predictions=predictions, products=made)


def _asked(asker: Asker, teacher: Baseline, fold: Fold) -> dict[str, str]:
    """Return what stands for the rows and their shots, so that other labelled rows ask nothing again."""
    recipe = asker.context.recipe
    if teacher.kind in LEARNED:
        # all labelled rows decide what it answers
        return {
            "rows": _digest(row.input for row in fold.judged),
            "data": asker.context.inputs["data"],
            "judged": "without labels",
        }
    seed = recipe.splits.seed
    shots = shots_of(teacher, recipe.task, fold.train, fold.judged, seed=seed)
    return {
        "rows": _digest(row.input for row in fold.judged),
        "shown": _digest(text for own in shots for shot in own for text in shot),
    }


def _digest(texts: Iterator[str]) -> str:
    # a zero byte between texts: otherwise two that are cut elsewhere would be the same
    joined = "\0".join(texts)
    return sha256(joined.encode(errors="surrogatepass")).hexdigest()


def why_refused(prediction: Prediction, *, min_confidence: float | None) -> str:
    """Return why an answer is not learned from; empty for one that is."""
    if prediction.label is None:
        return NO_ANSWER
    if min_confidence is None:
        return ""
    confidence = prediction.probability
    return UNSURE if confidence is None or confidence < min_confidence else ""


def kept_by_confidence(
    predictions: Sequence[Prediction], *, also: float | None
) -> tuple[KeptAtConfidence, ...]:
    """Return what would be kept of judged rows at a few confidences and at `also`; nothing where none is known."""
    known = [row for row in predictions if row.probability is not None]
    if not known:
        return ()
    bounds = sorted({*CONFIDENCES, *([] if also is None else [also])})
    return tuple(_at(bound, predictions) for bound in bounds)


def _at(bound: float, predictions: Sequence[Prediction]) -> KeptAtConfidence:
    kept = [row for row in predictions if not why_refused(row, min_confidence=bound)]
    right = sum(map(is_right, kept))
    return KeptAtConfidence(
        confidence=bound,
        kept=len(kept) / len(predictions),
        right=right / len(kept) if kept else None,
    )
