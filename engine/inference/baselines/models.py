"""A baseline that a transformers model answers: the recipe's base model untouched, or another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.data.examples.example import Example
from engine.inference.baselines.values import BaselinePredictions, Question
from engine.inference.predict import PredictionInputs, Shot, asked_turns, judged
from engine.inference.stopwatch import Stopwatch
from engine.progress import Progress
from engine.runtime.rendering.windows import WINDOWS

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel


def ask_model(
    loaded: LoadedModel, question: Question, *, progress: Progress
) -> BaselinePredictions:
    """Return what the model says, held to the form that the tuned one is held to.

    Shots that find no room in the model's window are left out, the least near first.
    """
    asked, rows, shots = question.asked, question.fold.judged, question.shots
    kept = [_fitting(loaded, asked, row, own) for row, own in zip(rows, shots, strict=True)]
    watch = Stopwatch(kind=loaded.model.device.type)
    predictions = judged(loaded, asked, rows, progress=progress, shots=kept)
    cut = sum(len(fitting) < len(own) for fitting, own in zip(kept, shots, strict=True))
    facts: dict[str, Any] = {
        "parameters": int(loaded.model.num_parameters()),
        "bytes": int(loaded.model.get_memory_footprint()),
        "asked_seconds": round(watch.seconds(), 4),
    }
    if cut:
        facts["remarks"] = [f"{cut} of {len(rows)} rows had no room for all shots"]
    return BaselinePredictions(predictions=predictions, facts=facts)


def _fitting(
    loaded: LoadedModel, asked: PredictionInputs, row: Example, shots: Sequence[Shot]
) -> Sequence[Shot]:
    # models that also read images keep it in an inner configuration
    text = loaded.model.config.get_text_config()
    lengths = (getattr(text, name, None) for name in WINDOWS)
    window = next((length for length in lengths if isinstance(length, int)), None)
    if not shots or window is None or asked.task.spec.by_likelihood:
        return shots
    most = window - asked.max_new_tokens(loaded.chat)
    kept, chat = list(shots), loaded.chat
    while kept and len(chat.token_ids(chat.prompt(asked_turns(asked.task, row, kept)))) > most:
        kept = kept[1:]
    return kept
