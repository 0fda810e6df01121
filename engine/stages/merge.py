"""The adapter becomes part of the weights: a complete model folder in the base's own precision."""

from dataclasses import replace

from engine.artifacts.results import write_json
from engine.artifacts.stage import Payload, StageContext
from engine.errors import StageError
from engine.recipe.model import PathRef, Recipe
from engine.recipe.references import base_reference, has_new_tokenizer
from engine.sources.local import digest_of_path
from engine.values import to_json

REVISION = 3
NEEDS = ("train",)
AFTER = ("gate",)
USES = ("base_model",)

MODEL = "model"
FACTS = "merge.json"
QLORA_NOTE = (
    "trained against 4-bit weights, merged into the 16-bit base; verify measures what that costs"
)


def recipe_slice(recipe: Recipe) -> Payload:
    return {"kind": recipe.method.kind, "has_turns": recipe.task.spec.has_turns}


def also_needs(recipe: Recipe) -> tuple[str, ...]:
    """Return the rows where the tokenizer was made of them: they are part of what the base model is."""
    return ("data",) if has_new_tokenizer(recipe.base_model) else ()


def run(context: StageContext) -> None:
    """Write `model/` and `merge.json`. StageError X606, X607, X622 to X624, X673, X674."""
    from engine.runtime.models.base_model import write_tokenizer
    from engine.runtime.models.merge import check_copy, check_merge, copy_model, merge_adapter
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    base = context.base_model_folder()
    trained, out = context.artifacts["train"], context.workdir / MODEL
    if context.recipe.method.kind == "full":
        facts = copy_model(base, trained.file("model"), out)
        check_copy(trained.file("model"), out)
    else:
        facts = merge_adapter(base, trained.file("adapter"), out, progress=context.progress)
        # computed a second time by other arithmetic: a merge that is wrong by a little everywhere
        # still answers most rows as before
        check_merge(base, trained.file("adapter"), out)
    # after the merge: a file that was changed while it was read shows, too
    _check_base(context)
    has_turns = context.recipe.task.spec.has_turns
    write_tokenizer(out, kept_chat(base, asks=has_turns), has_turns=has_turns)
    if context.recipe.method.kind == "qlora":
        facts = replace(facts, note=QLORA_NOTE)
    write_json(context.workdir / FACTS, to_json(facts), indent=2)


def _check_base(context: StageContext) -> None:
    """Refuse a local base model whose bytes are not those that were trained on: all of them are read again."""
    recipe = context.recipe
    known, base = context.base_model.get("sha256"), base_reference(recipe.base_model)
    if known is None or not isinstance(base, PathRef):
        return
    if digest_of_path(base, None) != known:
        raise StageError.one(
            "X674",
            "the base model is not the one that was trained on: its files were changed meanwhile",
            path="base_model",
            hint="put the files back, or run the same command again to train on the new ones",
        )
