"""Rules about soft targets: which teacher can give them, and what goes with them."""

from __future__ import annotations

from engine.recipe.rules.rule import Problems, rule
from engine.recipe.sweeps import written_settings
from engine.recipe.teacher import MODEL, OF_SOFT, model_keys
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_ROWS_DEPEND = ("max_length", "loss_on")
"""Keys of `method` by which other tokens of a row are learned."""
_WHY = {
    "endpoint": (
        "a server returns texts, and not the probabilities of tokens that it is given",
        "set `targets: answers`, or name the model by hub, path or package",
    ),
    "gguf": (
        "a GGUF file is asked in llama.cpp, which returns the probabilities of few tokens only",
        "name the file by `path` or `package`: it is then loaded as weights",
    ),
}


@rule("teacher")
def soft_targets_fit_the_teacher(recipe: FilledText) -> Problems:
    teacher = recipe.filled.get("teacher")
    if not teacher:
        return
    model, targets = model_keys(teacher), ("teacher", "targets")
    if teacher.get("targets") != "soft":
        for key in (one for one in OF_SOFT if one in teacher):
            message = f"{show(key)} speaks of soft targets, and answers are learned"
            hint = "set `targets: soft`, or delete it"
            yield recipe.problem("R375", message, at=("teacher", key), key=True, hint=hint)
        if "inputs" not in teacher:
            message, hint = (
                "the teacher is given no rows to answer",
                "give it `inputs`, or set `targets: soft`",
            )
            yield recipe.problem("R376", message, at=("teacher",), key=True, hint=hint)
        return
    if not model:
        message = "a baseline answers with labels, and knows no tokens"
        hint = "set `targets: answers`, or name a model by hub, path or package"
        yield recipe.problem("R373", message, at=targets, hint=hint)
    for message, hint in (_WHY[key] for key in _WHY if key in model):
        yield recipe.problem("R373", message, at=targets, hint=hint)
    if model.get("shots"):
        message = "soft targets are asked without examples: the student reads none either"
        yield recipe.problem("R374", message, at=(*MODEL, "shots"), key=True, hint="delete it")


@rule("method", "sweep", "teacher")
def soft_targets_are_of_the_same_tokens(recipe: FilledText) -> Problems:
    teacher = recipe.filled.get("teacher")
    if not teacher or teacher.get("targets") != "soft" or "sweep" not in recipe.filled:
        return
    for setting in written_settings(recipe.filled["sweep"]):
        for key in _ROWS_DEPEND:
            own = recipe["method"].get(key)
            if setting.changes.get(key, own) != own:
                message = f"the teacher is asked for the tokens of one {show(key)}"
                hint = f"choose `method.{key}`, and sweep other keys"
                yield recipe.problem("R377", message, at=setting.path(key), hint=hint)
                return
