"""The adapter becomes part of the weights: a complete model folder in the base's own precision."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from engine.recipe.model import Recipe
from engine.stages.base import Payload, StageContext

NAME = "merge"
REVISION = 1
NEEDS = ("train",)
AFTER = ("gate",)
TOOLS: tuple[str, ...] = ()
USES_SOURCES = False
USES_BASE_MODEL = True
USES_DEVICE = False

MODEL = "model"
FACTS = "merge.json"
QLORA_NOTE = (
    "trained against 4-bit weights, merged into the 16-bit base; verify measures what that costs"
)


def recipe_slice(recipe: Recipe) -> Payload:
    """Return the training method: it says whether there is an adapter."""
    return {"kind": recipe.method.kind}


def run(context: StageContext) -> None:
    """Write `model/` and `merge.json`. StageError X606, X607, X621 to X624."""
    from engine.runtime.base_model import locate_base_model  # noqa: PLC0415 - brings torch
    from engine.runtime.merge import copy_model, merge_adapter  # noqa: PLC0415 - the same

    base = locate_base_model(context.recipe.base_model, context.once, context.progress)
    trained, out = context.artifacts["train"], context.workdir / MODEL
    if context.recipe.method.kind == "full":
        facts = copy_model(base, trained.file("model"), out)
    else:
        facts = merge_adapter(base, trained.file("adapter"), out, progress=context.progress)
    if context.recipe.method.kind == "qlora":
        facts = replace(facts, note=QLORA_NOTE)
    text = json.dumps(asdict(facts), indent=2, ensure_ascii=False)
    (context.workdir / FACTS).write_text(f"{text}\n", encoding="utf-8")
