"""The training rows as text, rendered once and shared by the stages that need them. Not a stage.

`baseline` asks first, so that a row that cannot be trained on is found before anything is spent. It is
also the one that has the holdout: its texts are looked at for markers of the chat template, and nothing
of it is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.example import iter_examples
from engine.stages.base import StageContext
from engine.store import Artifact

if TYPE_CHECKING:
    from engine.runtime.rendering import RenderRequest


def rendered_rows(context: StageContext, base: Path) -> Artifact:
    """The train and validation rows with the answer marked, by the tokenizer of the base model in `base`.

    Raises:
        DataError: D390 to D392 and D394 for rows that cannot be trained on; D392 for a holdout row.
        StageError: X614 for a schema that the model cannot be held to when it is judged.

    """
    from engine.runtime.constraint import check_grammar  # noqa: PLC0415 - numpy
    from engine.runtime.rendering import (  # noqa: PLC0415 - torch
        RenderRequest,
        read_facts,
        rendered_artifact,
    )

    recipe = context.recipe
    check_grammar(recipe.task)
    request = RenderRequest(
        task=recipe.task,
        max_length=recipe.method.max_length,
        truncation=recipe.data.checks.truncation,
        template_tokens=recipe.data.checks.template_tokens,
        base_model=context.base_model,
        base_folder=base,
        data=context.artifacts["data"],
    )
    rendered = rendered_artifact(request, once=context.once, read=iter_examples)
    for split, facts in read_facts(rendered).items():
        for note in facts.notes:
            context.progress.note(f"{split}: {note}")
    if "holdout" in context.artifacts:
        _look_at_holdout(context, request)
    return rendered


def _look_at_holdout(context: StageContext, request: RenderRequest) -> None:
    """A holdout row with markers would be asked otherwise than it reads; with `drop` too, none is left out."""
    from engine.runtime.rendering import marked_problems  # noqa: PLC0415 - torch

    rows = iter_examples(context.artifacts["holdout"].file("holdout.jsonl"))
    for note in marked_problems(request, rows):
        context.progress.note(f"holdout: {note.headline()}")
