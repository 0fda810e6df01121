"""Forgetting: the same questions, which have nothing to do with the task, before and after training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.data.probes import ProbeItem, builtin_digest, probe_items
from engine.data.reading.sources import source_slices
from engine.inference import predict
from engine.inference.replay import documents, judging_of, likelihoods, text_slice
from engine.metrics.forgetting import ProbeAnswer, forgetting_result, text_scores
from engine.metrics.predictions import Prediction
from engine.recipe.model import GeneralText, Recipe, Source
from engine.recipe.references import probes_of
from engine.store import Artifact
from engine.training.train import load_trained
from engine.values import replace, to_json

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

REVISION = 1
NEEDS = ("train", "replayed_rows")
USES = ("base_model", "device")
TOOLS = ("peft", "torch", "transformers")

ANSWERING = 1
"""Bumped when the same model and probes would now give other likelihoods."""
FILE = "forgetting.json"
ANSWERS = "answers.jsonl"


def references(recipe: Recipe) -> dict[str, Source]:
    found = {
        f"probe {probe.name}": probe.source
        for probe in probes_of(recipe)
        if probe.source is not None
    }
    text = _text(recipe)
    return found | ({"general text": text.source} if text and text.source else {})


def _text(recipe: Recipe) -> GeneralText | None:
    forgetting = recipe.acceptance.forgetting
    return forgetting.text if forgetting else None


def recipe_slice(recipe: Recipe) -> Payload:
    probes, text = probes_of(recipe), _text(recipe)
    slices = [
        {
            "name": probe.name,
            "kind": probe.kind,
            "limit": probe.limit,
            "columns": dict(probe.columns),
            "source": source_slices([probe.source])[0] if probe.source else builtin_digest(),
        }
        for probe in probes
    ]
    asked: dict[str, Any] = {"probes": slices}
    is_drawn = any(one.limit for one in probes)
    method: dict[str, Any] = {"kind": recipe.method.kind}
    if text is not None:  # so that without it the key is that of versions that did not know it
        asked["text"] = text_slice(text) | predict.stride_slice(recipe)
        method["max_length"] = recipe.method.max_length
        is_drawn = True  # intervals are
    return {
        "acceptance": {"confidence": recipe.acceptance.confidence, "forgetting": asked},
        "splits": {"seed": recipe.splits.seed if is_drawn else None},
        "method": method,
    }


def run(context: StageContext) -> None:
    """Write `forgetting.json`, and each model's likelihoods: `answers.base.jsonl`, `answers.tuned.jsonl`.

    DataError D385, D386 for a probe that cannot be asked, StageError X616 for a likelihood that is not a number.
    """
    seed = context.recipe.splits.seed
    items = [
        item
        for probe in probes_of(context.recipe)
        for item in probe_items(probe, seed=seed, cached=context.cached, progress=context.progress)
    ]
    text = _text(context.recipe)
    texts, left_out = documents(context, text) if text else ([], 0)
    trained = context.artifacts["train"]
    answered, predicted = dict[str, Any](), dict[str, list[Prediction]]()
    for name, model, load in (
        ("base", None, cache(context.load_base)),
        ("tuned", context.inputs["train"], cache(partial(load_trained, trained, context))),
    ):
        made = _answers(context, items, model=model, load=load)
        if text:
            predicted[name] = likelihoods(context, texts, model=model, load=load)
        answers = made.file(ANSWERS).read_text(encoding="utf-8")
        (context.workdir / f"answers.{name}.jsonl").write_text(answers, encoding="utf-8")
        scores_of = [tuple(json.loads(line)["scores"]) for line in answers.splitlines()]
        answered[name] = [
            ProbeAnswer(
                id=item.id,
                probe=item.probe,
                kind=item.kind,
                gold=item.gold,
                scores=scores,
                lengths=tuple(len(text.strip().encode()) for _, text in item.options),
            )
            for scores, item in zip(scores_of, items, strict=True)
        ]
    result = forgetting_result(
        answered["base"], answered["tuned"], confidence=context.recipe.acceptance.confidence
    )
    if text:
        scores = text_scores(
            predicted["base"],
            predicted["tuned"],
            judging_of(context.recipe),
            builtin=text.source is None,
            left_out=left_out,
        )
        result = replace(result, text=scores)
    write_json(context.workdir / FILE, to_json(result))


def _answers(
    context: StageContext,
    items: Sequence[ProbeItem],
    *,
    model: str | None,
    load: Callable[[], LoadedModel],
) -> Artifact:
    payload = {
        "revision": ANSWERING,
        "items": sha256("\n".join(item.id for item in items).encode()).hexdigest(),
        **context.answering(model),
    }

    def build(folder: Path) -> None:
        from engine.runtime.scoring.likelihood import continuations  # brings torch

        progress = context.progress_of("tuned model" if model else "base model")
        asked = [option for item in items for option in item.options]
        found = iter(continuations(load(), asked, progress=progress))
        # The log-likelihood of every option, one line an item, in order.
        with (folder / ANSWERS).open("w", encoding="utf-8") as stream:
            for item in items:
                scores = [-next(found) for _ in item.options]
                stream.write(json.dumps({"id": item.id, "scores": scores}) + "\n")

    return context.cached("probe_answers", payload, build)
