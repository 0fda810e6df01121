"""Rules about the models a recipe asks: baselines by kind of task, and what a teacher can answer."""

from typing import Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.baselines import BASELINES, LEARNED, kind_and_spec, name_of, written_baselines
from engine.recipe.methods import are_drawn_from_train
from engine.recipe.rules import Problems, rule
from engine.recipe.sweeps import written_settings
from engine.recipe.teacher import MODEL, NAME, OF_SOFT, RATIOS, SOURCES, model_keys, written_sources
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
            message = "the teacher is given no rows to answer"
            hint = "give it `inputs`, or set `targets: soft`"
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


_WITHOUT_LIKELIHOOD: Final = {
    "endpoint": "a server does not return",
    "gguf": "is not read from a file here",
}


@rule("task.kind", "baselines")
def baselines_fit_the_kind(recipe: FilledText) -> Problems:
    kind = KINDS.get(recipe["task"]["kind"])
    if kind is None:
        return  # the schema reports it
    names: list[str] = []
    for position, written in enumerate(written_baselines(recipe.filled)):
        at, (way, spec) = ("baselines", position), kind_and_spec(written)
        if way not in BASELINES:
            continue  # the schema reports it
        if not kind.can_be_answered_by(way):
            fitting = [name for name in BASELINES if kind.can_be_answered_by(name)]
            hint = f"baselines of {kind.name} are {', '.join(fitting)}" if fitting else "delete it"
            yield recipe.problem("R274", f"{way} cannot answer {kind.name}", at=at, hint=hint)
        elif spec.get("shots") and not kind.can_be_answered_by("few_shot"):
            message = f"{kind.name} has no answered examples to show"
            yield recipe.problem("R274", message, at=(*at, way, "shots"), key=True)
        # Conversations and documents are judged by a likelihood, which not every model returns.
        for key in (one for one in _WITHOUT_LIKELIHOOD if kind.by_likelihood and one in spec):
            message = f"{kind.name} is judged by a likelihood, which {_WITHOUT_LIKELIHOOD[key]}"
            hint = "name a transformers model: hub, path or package"
            yield recipe.problem("R274", message, at=(*at, way, key), key=True, hint=hint)
        name = name_of(written)
        # A model called `majority` would share its place in reports with the baseline of that name.
        is_chosen = name != way or way == "model"
        if name in names or (is_chosen and name in BASELINES):
            message = f"another baseline is called {show(name)}"
            yield recipe.problem("R275", message, at=at, hint="give it a name of its own")
        names.append(name)


@rule("teacher")
def answers_only_train(recipe: FilledText) -> Problems:
    teacher = recipe.filled.get("teacher")
    if not teacher:
        return
    is_baseline = isinstance(teacher["model"], str)
    if "confidence" in teacher["keep"] and (is_baseline or "endpoint" in model_keys(teacher)):
        who = "a baseline" if is_baseline else "a server"
        message = f"{who} does not say how probable its answers are"
        bound = ("teacher", "keep", "confidence")
        yield recipe.problem("R321", message, at=bound, key=True, hint="delete it")
    for position, written in enumerate(written_sources(teacher)):
        at = (*SOURCES, position)
        if "into" in written:
            message = "rows that a teacher answers are trained on, and are in no other split"
            yield recipe.problem("R322", message, at=(*at, "into"), key=True, hint="delete it")
        if written["weight"] != 1:
            message = "rows that a teacher answers are seen once each"
            yield recipe.problem("R322", message, at=(*at, "weight"), key=True, hint="delete it")


@rule("splits", "teacher", "method")
def teacher_can_be_judged(recipe: FilledText) -> Problems:
    teacher, splits = recipe.filled.get("teacher"), recipe["splits"]
    if teacher and splits["folds"]:
        message = "a teacher's rows are compared with one holdout, and folds have several"
        hint = "give `splits.holdout` in the place of `splits.folds`"
        yield recipe.problem("R323", message, at=("teacher",), key=True, hint=hint)
    has_rows = splits.get("validation") or are_drawn_from_train(recipe.filled)
    if teacher and teacher["stop_if_teacher_is_no_better"] and not has_rows:
        message = "there are no validation rows on which the teacher could show that it is better"
        hint = "give `splits.validation` some rows, or set it to false"
        at = ("teacher", "stop_if_teacher_is_no_better")
        yield recipe.problem("R324", message, at=at, key=True, hint=hint)


@rule("baselines", "teacher", "task.kind")
def teacher_is_known(recipe: FilledText) -> Problems:
    teacher, task = recipe.filled.get("teacher"), KINDS.get(recipe["task"]["kind"])
    if not teacher:
        return
    if task and not task.is_constrained:
        can = listed(tuple(name for name, one in KINDS.items() if one.is_constrained))
        message = f"a teacher answers {can}, not {task.name}"
        yield recipe.problem("R320", message, at=("teacher",), key=True, hint="delete it")
    named = {name_of(one): kind_and_spec(one)[0] for one in written_baselines(recipe.filled)}
    if not isinstance(teacher["model"], str):
        name = teacher["model"].get("name", NAME)
        if name in named:
            message = f"a baseline is called {show(name)} too"
            at = (*MODEL, "name") if "name" in teacher["model"] else MODEL
            yield recipe.problem("R325", message, at=at, hint="give it a name of its own")
    elif named.get(teacher["model"]) not in LEARNED:
        learned = [name for name, kind in named.items() if kind in LEARNED]
        fitting = [one for one in LEARNED if task and task.can_be_answered_by(one)]
        message = f"{show(teacher['model'])} is no baseline of this recipe that learns from rows"
        hint = "name a model by hub, path, package, gguf or endpoint"
        if learned:
            hint = f"name {listed(learned, 'or')}"
        elif fitting:
            hint = f"add {listed(fitting, 'or')} to `baselines`"
        yield recipe.problem("R328", message, at=MODEL, hint=hint)


@rule("base_model", "teacher")
def teacher_is_another_model(recipe: FilledText) -> Problems:
    teacher, base = recipe.filled.get("teacher"), recipe["base_model"]
    if not teacher or not {"hub", "path", "package"} & set(base) or "keep_layers" in base:
        return
    model = model_keys(teacher)
    is_same = all(model.get(key) == base.get(key) for key in ("hub", "path", "package", "file"))
    if is_same and not model.get("shots"):
        message = "the teacher is the base model: there is little to learn of its answers"
        hint = "name a larger or a tuned model, or give it `shots`"
        yield recipe.warning("R395", message, at=MODEL, hint=hint)


@rule("acceptance", "teacher")
def bounds_against_a_teacher(recipe: FilledText) -> Problems:
    bounds = recipe["acceptance"].get("against_teacher")
    if bounds is None:
        return
    at = ("acceptance", "against_teacher")
    teacher = recipe.filled.get("teacher")
    if not teacher:
        message = "there is no teacher to compare with"
        yield recipe.problem("R326", message, at=at, key=True, hint="name a `teacher`")
        return
    is_loaded = not {"hub", "path", "package"}.isdisjoint(model_keys(teacher))
    for name in (one for one in RATIOS if one in bounds and not is_loaded):
        message = f"`{name}` is known of a teacher that is named by hub, path or package"
        yield recipe.problem("R327", message, at=(*at, name), key=True, hint="delete it")
