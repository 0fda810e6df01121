"""Trainings on preferences with a tiny model: pairs, or answers with a thumb."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.backends import load_backend
from engine.backends.base import CompileInputs, Launch, Trained
from engine.data.examples.example import Example, content_id
from engine.recipe.methods import preference_defaults
from engine.recipe.model import Preference, Recipe
from engine.runtime.rendering.chat import load_chat
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.rendered_files import write_rows
from engine.values import replace
from support.launches import CPU, RecordedProgress, make_recipe
from support.rendered import render_rows
from support.tasks import task

LOSSES = ("dpo", "ipo", "kto", "orpo", "simpo")
TRAIN, VALIDATION = 16, 6
SETTING = CompileInputs(device=CPU, precision="fp32", train_rows=TRAIN, validation_rows=VALIDATION)


def preference_recipe(backend: str, loss: str, **changes: Any) -> Recipe:
    """Return a recipe on preferences; `changes` are keys of `method.preference`, or of `method`."""
    usual = preference_defaults({"loss": loss}, {})
    own = {key: changes.pop(key) for key in [*changes] if key in Preference.__struct_fields__}
    recipe = make_recipe(
        backend,
        **{"epochs": 1.0, "early_stopping": None, "keep": "last", **changes},
        preference=Preference(**{**usual, **own}),
    )
    return replace(recipe, task=task("preference", input=""))


def preference_rows(loss: str, count: int, *, start: int = 0) -> list[Example]:
    """Return questions with a right and a wrong answer, or with one of both."""
    made = []
    for number in range(start, start + count):
        asked = f"was film {number} good?"
        better, worse = (
            [{"role": "assistant", "content": text}] for text in ("it was good", "the plot was bad")
        )
        wanted = number % 2 == 0
        answers: dict[str, Any] = {"chosen": better, "rejected": worse}
        if loss == "kto":
            answers = {"answer": better if wanted else worse, "desirable": wanted}
        payload = {"messages": [{"role": "user", "content": asked}], **answers}
        made.append(
            Example(
                id=content_id(asked, ""),
                origin=f"rows:{number}",
                input=asked,
                target="",
                payload=payload,
            )
        )
    return made


def _opposite(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]}


def preference_launch(
    recipe: Recipe, folder: Path, base_model: Path, *, validates_opposite: bool = False
) -> Launch:
    """Render the rows, and compile.

    Validation rows of `validates_opposite` prefer what training rows reject: their loss is the lowest at the start.
    """
    assert recipe.method.preference is not None
    loss, rows = recipe.method.preference.loss, folder / "rows"
    rows.mkdir(parents=True)
    limits = LengthLimits(max_length=recipe.method.max_length, truncation="fail", loss=loss)
    for split, count, start in (("train", TRAIN, 0), ("validation", VALIDATION, 100)):
        made = preference_rows(loss, count, start=start)
        if validates_opposite and split == "validation":
            made = [replace(row, payload=_opposite(row.payload)) for row in made]
        chat = load_chat(base_model)
        rendering = render_rows(made, task=recipe.task, chat=chat, limits=limits)
        write_rows(rows / f"{split}.jsonl", rendering.rows)
    return Launch(
        config=load_backend(recipe.backend.name).compile(recipe, SETTING).text,
        rows=rows,
        base_model=base_model,
        folder=folder / "launch",
        method=recipe.method,
        setting=SETTING,
        progress=RecordedProgress(),
    )


def trained_and_resumed(recipe: Recipe, folder: Path, base_model: Path) -> tuple[Trained, Trained]:
    """Train a recipe, and again as if it had been killed before the last checkpoint was written."""
    launch = preference_launch(recipe, folder, base_model)
    backend = load_backend(recipe.backend.name)
    whole = backend.train(launch)
    again = replace(launch, folder=folder / "again")
    shutil.copytree(launch.folder, again.folder, symlinks=True)
    shutil.rmtree(again.folder / "output" / f"checkpoint-{whole.steps}")
    return whole, backend.train(again)
