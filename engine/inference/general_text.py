"""General text, predicted by a model before and after training: documents of a file, or the built-in sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.stage import REPLAYED_ROWS, StageContext
from engine.data.examples.example import Example, content_id
from engine.data.examples.template import MissingColumnError, parse_template
from engine.data.probes import builtin_digest, builtin_items
from engine.data.reading.readers import read_rows
from engine.data.reading.row import SHOWN
from engine.data.reading.sources import source_names, source_slice
from engine.data.similarity.leakage import leaks
from engine.environment import version_of
from engine.errors import Problem, StageError
from engine.files.reading import json_lines
from engine.inference import predict
from engine.metrics.predictions import Judging, Prediction, read_predictions, write_predictions
from engine.recipe.model import GeneralText, Recipe, Task
from engine.runtime.rendering.key import REPLAY_FILE
from engine.sources import fetch_source
from engine.values import replace

if TYPE_CHECKING:
    from engine.runtime.models.load import LoadedModel

PRODUCT = "text_likelihoods"


def text_slice(text: GeneralText) -> dict[str, Any]:
    """Return which documents are predicted, for keys."""
    source = text.source
    named = source_slice(source, source_names([source])[0]) if source else builtin_digest()
    return {"source": named, "input": text.input, "limit": text.limit}


def text_task(task: Task) -> Task:
    """Return the task of predicting documents."""
    return replace(
        task, kind="text", instruction="", system="", labels=(), schema=None, output="text"
    )


def judging_of(recipe: Recipe) -> Judging:
    """Return how documents are judged: as a recipe of the kind text would."""
    return replace(Judging.of(recipe), task=text_task(recipe.task))


def documents(context: StageContext, text: GeneralText) -> tuple[list[Example], int]:
    """Return the documents, drawn by seed where they are limited, and how many were left out.

    Those near text that is replayed are: it is trained on. StageError X762 for rows without the text, X763 where no
    document is left.
    """
    found = _read(context, text)
    near = _near_replayed(context, found)
    kept = [one for number, one in enumerate(found) if number not in near]
    if text.limit and len(kept) > text.limit:
        seed = context.recipe.splits.seed
        ranked = sorted(kept, key=lambda one: sha256(f"{seed}:{one.id}".encode()).digest())
        drawn = {one.id for one in ranked[: text.limit]}
        kept = [one for one in kept if one.id in drawn]
    if not kept:
        raise StageError.one(
            "X763",
            f"no document of the general text is left: {len(near)} are near text that is replayed",
            path="acceptance.forgetting.text",
            hint="name text that is not trained on",
        )
    return kept, len(near)


def likelihoods(
    context: StageContext,
    rows: Sequence[Example],
    *,
    model: str | None,
    load: Callable[[], LoadedModel],
) -> list[Prediction]:
    """Make or reuse how likely one model finds the documents; `model` is None for the untouched base model."""
    recipe = context.recipe
    asked = replace(
        predict.PredictionInputs.of(recipe, ()), task=text_task(recipe.task), answers=(), loss=""
    )
    tools = ("peft", "torch", "transformers") if model else ("torch", "transformers")
    payload = {
        "revision": predict.REVISION,
        "rows": sha256("\n".join(row.id for row in rows).encode()).hexdigest(),
        "asked": asked.payload(),
        "model": model,
        "base_model": context.base_model,
        "device": context.device.kind,
        "precision": context.precision,
        "versions": {tool: version_of(tool) for tool in tools},
    }

    def build(folder: Path) -> None:
        progress = context.progress_of("tuned model" if model else "base model")
        found = predict.judged(load(), asked, rows, progress=progress)
        write_predictions(folder / predict.FILE, found)

    return read_predictions(context.cached(PRODUCT, payload, build).file(predict.FILE))


def _read(context: StageContext, text: GeneralText) -> list[Example]:
    """Return all documents, equal ones once."""
    if text.source is None:
        return _distinct([("builtin", item.right) for item in builtin_items()])
    name = source_names([text.source])[0]
    path = fetch_source(text.source, context.cached, context.progress)
    template, problems = parse_template(text.input), list[Problem]()
    found: list[tuple[str, str]] = []
    for row in read_rows(path, text.source, name=name, progress=context.progress):
        try:
            filled, _ = template.fill(row.values)
        except MissingColumnError as error:
            problems.append(_lacking(row.origin, f"no `{error}`"))
            continue
        if filled.strip():
            found.append((row.origin, filled))
    if (more := len(problems) - SHOWN) > 0:
        problems[SHOWN:] = [_lacking(name, f"and {more:,} more rows")]
    if problems:
        raise StageError(problems)
    return _distinct(found)


def _lacking(place: str, why: str) -> Problem:
    message = f"general text: {place}: {why}"
    return Problem(code="X762", message=message, path="acceptance.forgetting.text")


def _distinct(texts: Sequence[tuple[str, str]]) -> list[Example]:
    made = (
        Example(id=content_id(text, ""), origin=origin, input=text, target="")
        for origin, text in texts
    )
    return list({one.id: one for one in made}.values())


def _near_replayed(context: StageContext, found: Sequence[Example]) -> set[int]:
    made = context.artifacts.get(REPLAYED_ROWS)
    if made is None:
        return set()
    lines = json_lines(made.file(REPLAY_FILE).read_text(encoding="utf-8"))
    texts = [json.loads(line)["text"] for line in lines]
    numbered = ((number, one.input) for number, one in enumerate(found))
    return {match.other for match in leaks(texts, numbered)}
