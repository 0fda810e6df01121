"""The training rows as text, rendered once and shared by the stages that need them. Not a stage.

`baseline` asks first, so that a row that cannot be trained on is found before anything is spent.
"""

from __future__ import annotations

from pathlib import Path

from engine.data.example import read_examples
from engine.stages.base import StageContext
from engine.store import Artifact


def rendered_rows(context: StageContext, base: Path) -> Artifact:
    """The train and validation rows with the answer marked, by the tokenizer of the base model in `base`.

    Raises:
        DataError: D390 to D392 for rows that cannot be trained on.

    """
    from engine.runtime.rendering import RenderRequest, rendered_artifact  # noqa: PLC0415 - torch

    recipe = context.recipe
    request = RenderRequest(
        task=recipe.task,
        max_length=recipe.method.max_length,
        truncation=recipe.data.checks.truncation,
        base_model=context.base_model,
        base_folder=base,
        data=context.artifacts["data"],
    )
    return rendered_artifact(request, once=context.once, read=read_examples)
