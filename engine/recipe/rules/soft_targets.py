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
    """R373: soft targets of a teacher that gives no probabilities of given tokens.

    Soft targets are the teacher's probabilities at each token of answers that are there already. A server writes
    texts of its own, and says little of the tokens that it did not choose.

    Fix: Set `targets: answers`, or name the teacher by hub, path or package.

    Wrong:
        allow_moving: true
        teacher:
          model: {endpoint: "http://localhost:8000/v1", model: m}
          targets: ▸soft
          inputs: {sources: [{path: ../data/rows.csv}]}

    Right:
        teacher:
          model: {path: ../data}
        # no allow_moving

    R374: soft targets of a teacher that is shown examples.

    Soft targets are asked with the rows as the student reads them, token for token. Examples before a row would be
    tokens that the student does not have.

    Fix: Delete `shots`, or set `targets: answers`.

    Wrong:
        teacher:
          model: {path: ../data, ▸shots: 4}
          targets: soft
          inputs: {sources: [{path: ../data/rows.csv}]}

    Right:
        teacher:
          model: {path: ../data}

    R375: a key of soft targets where only answers are learned.

    Temperature and weight say how the probabilities of a teacher are learned. Its answers are learned as the
    labels are.

    Fix: Set `targets: soft`, or delete the key.

    Wrong:
        teacher:
          model: {path: ../data}
          inputs: {sources: [{path: ../data/rows.csv}]}
          ▸temperature: 2.0

    Right:
        teacher:
          targets: soft

    R376: a teacher that has nothing to answer.

    A teacher whose answers are learned needs rows without labels. Only soft targets have something to say of rows
    that have an answer.

    Fix: Give `teacher.inputs`, or set `targets: soft`.

    Wrong:
        ▸teacher:
          model: {path: ../data}

    Right:
        teacher:
          targets: soft
    """
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
    """R377: a sweep that learns from other tokens, with soft targets.

    The teacher is asked once, for the tokens that `method` learns from. Another length can cut rows elsewhere, and
    another `loss_on` learns from tokens of which the teacher was not asked.

    Fix: Choose the key in `method`, and sweep others.

    Wrong:
        teacher:
          model: {path: ../data}
          targets: soft
        sweep:
          list:
            - {learning_rate: 5e-4}
            - {max_length: ▸64}

    Right:
        sweep:
          list:
            - {learning_rate: 5e-4}
            - {learning_rate: 1e-4}
    """
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
