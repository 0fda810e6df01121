"""Drift: how far a training on preferences moved the model's answers from those of the untouched base model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.examples.example import Example
from engine.data.splitting.subsets import beginning
from engine.evidence import DriftResult, DriftScore
from engine.files.reading import read_json
from engine.inference.cached import WRITTEN_SAMPLE
from engine.inference.predict import asked_turns, task_slice
from engine.metrics.forgetting import length_drift, likelihood_drift
from engine.metrics.predictions import Judging, read_predictions
from engine.recipe.model import Recipe
from engine.training.train import load_trained
from engine.training.trials import digest_of
from engine.values import to_json

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

REVISION = 2
NEEDS = ("data", "holdout", "train", "evaluate")
USES = ("base_model", "device")
TOOLS = ("numpy", "peft", "torch", "transformers")

FILE = "drift.json"
LENGTHS = "lengths.json"
TOKENS_TO_LONGEST = 2
"""Answers may be so many times as long as the longest training answer."""


def recipe_slice(recipe: Recipe) -> Payload:
    drift = recipe.acceptance.drift
    names = ("chosen_log_probability", "answer_length")
    return {
        "task": task_slice(recipe.task),
        # the bounds stand in the key of `gate`
        "measured": {name: getattr(drift, name, None) is not None for name in names},
        "acceptance": {"confidence": recipe.acceptance.confidence},
        "splits": {"seed": recipe.splits.seed},
        "method": {"kind": recipe.method.kind},
    }


def run(context: StageContext) -> None:
    drift, judging = context.recipe.acceptance.drift, Judging.of(context.recipe)
    scores: list[DriftScore] = []
    if drift is not None and drift.chosen_log_probability is not None:
        answers = context.artifacts["evaluate"].file("predictions.holdout.jsonl")
        scores.append(likelihood_drift(read_predictions(answers), judging))
    if drift is not None and drift.answer_length is not None:
        sample = beginning(
            context.examples("holdout"), WRITTEN_SAMPLE, seed=context.recipe.splits.seed
        )
        before = _written(context, sample, model=None, load=context.load_base)
        tuned = context.inputs["train"]
        trained = partial(load_trained, context.artifacts["train"], context)
        after = _written(context, sample, model=tuned, load=trained)
        groups = {row.id: row.group for row in sample}
        scores.append(length_drift(before, after, judging, groups=groups))
    write_json(context.workdir / FILE, to_json(DriftResult(scores=tuple(scores))))


def _written(
    context: StageContext,
    rows: Sequence[Example],
    *,
    model: str | None,
    load: Callable[[], LoadedModel],
) -> dict[str, int]:
    longest = max((row.target for row in context.examples("train")), key=len, default="")
    payload = {
        "revision": REVISION,
        "rows": digest_of(rows),
        "task": task_slice(context.recipe.task),
        "longest": longest,
        **context.answering(model),
    }

    def build(folder: Path) -> None:
        from engine.runtime.generation.generate import generate  # brings torch

        loaded, task = load(), context.recipe.task
        progress = context.progress_of("tuned model" if model else "base model")
        chat = loaded.chat
        answer = len(chat.token_ids(longest + chat.terminator))
        most = task.max_new_tokens or TOKENS_TO_LONGEST * answer
        prompts = [chat.prompt(asked_turns(task, row)) for row in rows]
        answers = generate(loaded, prompts, max_new_tokens=most, progress=progress)
        found = {
            row.id: len(chat.token_ids(answer.text))
            for row, answer in zip(rows, answers, strict=True)
        }
        write_json(folder / LENGTHS, found)

    made = context.cached("answer_lengths", payload, build)
    found: dict[str, int] = read_json(made.file(LENGTHS))
    return found
