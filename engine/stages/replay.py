"""Replay: general text that is trained with the rows, so that less of it is forgotten.

The base model writes it, or it is given. It is in no split, no count of rows and no score; what is near a row that
judges is left out.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.results import write_json
from engine.artifacts.stage import REPLAYED_ROWS as PRODUCT
from engine.artifacts.stage import Payload, StageContext, given
from engine.data.examples.example import Example
from engine.data.reading.sources import source_slices
from engine.errors import StageError
from engine.evidence import ReplayResult
from engine.inference.replay import Taken, blocks, fill, sampled
from engine.recipe.model import Recipe, Replay, Source, SplitName
from engine.recipe.sweeps import by_length
from engine.runtime.rendering.key import REPLAY_FILE, LengthLimits, written_task
from engine.runtime.rendering.rendered_files import read_facts
from engine.store import Artifact
from engine.training.added_rows import rows_without_labels
from engine.training.rendered import check_rendering, rendered_rows
from engine.values import replace, to_json

REVISION = 1
NEEDS = ("data", "holdout")
USES = ("base_model", "device")
TOOLS = ("torch", "transformers")

FILE = "replay.json"
PLAIN: Mapping[str, Any] = {"kind": "text", "labels": (), "schema": None}
"""How a document's text is read, whatever the task is."""


def recipe_slice(recipe: Recipe) -> Payload:
    replay, one = given(recipe.data.replay), _shortest(recipe)
    return {
        "task": written_task(recipe.task),
        "rows": {**LengthLimits.of(one).payload(), "loss_on": one.method.loss_on},
        "replay": {
            "share": replay.share,
            "input": replay.input,
            "sources": source_slices(replay.sources),
        },
        "checks": to_json(recipe.data.checks),
        "splits": {"seed": recipe.splits.seed, "folds": recipe.splits.folds},
    }


def references(recipe: Recipe) -> Mapping[str, Source]:
    sources = given(recipe.data.replay).sources
    return {f"replay {number}": source for number, source in enumerate(sources, start=1)}


def run(context: StageContext) -> None:
    """Write `replay.json`, and the product `replayed_rows`.

    DataError for sources, checks and rows; StageError X760 for too short a text, X761 where none is written, X612.
    """
    replay = given(context.recipe.data.replay)
    every, context = context, replace(context, recipe=_shortest(context.recipe))
    facts = read_facts(rendered_rows(context, context.base_model_folder(), quiet=True))["train"]
    # the tokens of the task's rows that are learned in an epoch
    own = facts.supervised_tokens
    if context.recipe.method.loss_on == "everything":
        own = facts.tokens
    wanted = max(1, round(own * replay.share / (1 - replay.share)))
    if replay.is_sampled:
        judged = (row.input for rows in _judging(context).values() for row in rows)
        taken = sampled(context, wanted=wanted, judged=judged)
    else:
        taken = _given(context, replay, wanted)
    tokens = taken.tokens
    result = ReplayResult(
        sampled=replay.is_sampled,
        share=replay.share,
        reached=tokens / (tokens + own) if tokens else 0.0,
        texts=len(taken.texts),
        tokens=tokens,
        own_tokens=own,
        read=taken.read,
        left_out=dict(sorted(taken.left_out.items())),
        seconds=round(taken.seconds, 3),
    )
    check_rendering(every, _keep(context, taken), PRODUCT)
    write_json(context.workdir / FILE, to_json(result))


def _shortest(recipe: Recipe) -> Recipe:
    return by_length(recipe)[0]


def _judging(context: StageContext) -> dict[SplitName, list[Example]]:
    judging: tuple[SplitName, ...] = ("validation", "holdout")
    if context.recipe.splits.folds:
        judging = ("train", *judging)
    return {name: context.examples(name) for name in judging}


def _given(context: StageContext, replay: Replay, wanted: int) -> Taken:
    from engine.runtime.rendering.chat import load_chat  # brings transformers

    recipe = context.recipe
    plain = replace(
        recipe,
        task=replace(recipe.task, **PLAIN, input=replay.input),
        splits=replace(recipe.splits, by="random", column=""),
    )
    splits = _judging(context)
    found = rows_without_labels(context, plain, replay.sources, splits, path="data.replay")
    chat = load_chat(context.base_model_folder(), asks=False)
    taken = Taken(read=found.read)
    taken.left_out.update(found.left_out)
    documents = ((row.id, row.input) for row in found.rows)
    if not fill(taken, blocks(chat, documents, recipe.method.max_length), wanted=wanted):
        own = wanted * (1 - replay.share) / replay.share
        most = taken.tokens / (taken.tokens + own)
        raise StageError.one(
            "X760",
            f"the text has {taken.tokens:,} tokens, and a share of {replay.share:g} is {wanted:,}",
            path="data.replay.sources",
            hint=f"give more text, or a share of {int(most * 1000) / 1000:g} at most",
        )
    return taken


def _keep(context: StageContext, taken: Taken) -> Artifact:
    data = context.artifacts["data"]

    def build(folder: Path) -> None:
        for name in ("train.jsonl", "validation.jsonl", "summary.json"):
            shutil.copyfile(data.file(name), folder / name)
        with (folder / REPLAY_FILE).open("w", encoding="utf-8", newline="\n") as file:
            for one in taken.texts:
                file.write(json.dumps(to_json(one), ensure_ascii=False) + "\n")

    return context.cached(PRODUCT, {"replay": context.key}, build)
