"""Rules about other models of a recipe: baselines by kind of task, and what a teacher can answer."""

from typing import Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.baselines import BASELINES, LEARNED, kind_and_spec, name_of, written_baselines
from engine.recipe.methods import are_drawn_from_train
from engine.recipe.rules import Problems, rule
from engine.recipe.sweeps import written_settings
from engine.recipe.teacher import MODEL, NAME, OF_SOFT, RATIOS, model_keys
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_TARGETS: Final = ("teacher", "targets")
_ROWS_DEPEND: Final = ("max_length", "loss_on")
"""Keys of `method` by which other tokens of a row are learned."""
_WITHOUT_TOKENS: Final = {
    "endpoint": (
        "a server returns texts, and not the probabilities of tokens that it is given",
        "set `targets: answers`, or name the model by hub, path or package",
    ),
    "gguf": (
        "a GGUF file is asked in llama.cpp, which returns the probabilities of few tokens only",
        "name the file by `path` or `package`: it is then loaded as weights",
    ),
}
_WITHOUT_LIKELIHOOD: Final = {
    "endpoint": "a server does not return",
    "gguf": "is not read from a file here",
}


@rule("teacher")
def soft_targets_fit_the_teacher(recipe: SourceText) -> Problems:
    teacher = recipe.filled.get("teacher")
    if not teacher:
        return
    model = model_keys(teacher)
    if teacher.get("targets") != "soft":
        for key in OF_SOFT:
            if key in teacher:
                message = f"{show(key)} is for soft targets, and answers are learned"
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
        yield recipe.problem("R373", message, at=_TARGETS, hint=hint)
    for key, (message, hint) in _WITHOUT_TOKENS.items():
        if key in model:
            yield recipe.problem("R373", message, at=_TARGETS, hint=hint)
    if model.get("shots"):
        message = "soft targets are computed without examples, since the student reads none"
        yield recipe.problem("R374", message, at=(*MODEL, "shots"), key=True, hint="delete it")


@rule("method", "sweep", "teacher")
def soft_targets_are_of_the_same_tokens(recipe: SourceText) -> Problems:
    if recipe.filled.get("teacher", {}).get("targets") != "soft":
        return
    for setting in written_settings(recipe.filled.get("sweep", {})):
        for key in _ROWS_DEPEND:
            own = recipe["method"].get(key)
            if setting.changes.get(key, own) != own:
                message = f"the teacher's answers are for the tokens of one {show(key)}"
                hint = f"choose `method.{key}`, and sweep other keys"
                yield recipe.problem("R377", message, at=setting.path(key), hint=hint)
                return


@rule("task.kind", "baselines")
def baselines_fit_the_kind(recipe: SourceText) -> Problems:
    kind = recipe.kind
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
        for key, why in _WITHOUT_LIKELIHOOD.items():
            if kind.by_likelihood and key in spec:
                message = f"{kind.name} is judged by a likelihood, which {why}"
                hint = "name a transformers model: hub, path or package"
                yield recipe.problem("R274", message, at=(*at, way, key), key=True, hint=hint)
        name = name_of(written)
        # Reports could not distinguish a model called `majority` from the baseline of that name.
        is_chosen = name != way or way == "model"
        if name in names or (is_chosen and name in BASELINES):
            message = f"another baseline is called {show(name)}"
            yield recipe.problem("R275", message, at=at, hint="give it a name of its own")
        names.append(name)


@rule("splits", "teacher", "method")
def teacher_can_be_judged(recipe: SourceText) -> Problems:
    teacher, splits = recipe.filled.get("teacher"), recipe["splits"]
    if not teacher:
        return
    is_baseline = isinstance(teacher["model"], str)
    if "confidence" in teacher["keep"] and (is_baseline or "endpoint" in model_keys(teacher)):
        message = f"{'a baseline' if is_baseline else 'a server'} has no probabilities of answers"
        at = ("teacher", "keep", "confidence")
        yield recipe.problem("R321", message, at=at, key=True, hint="delete it")
    if splits["folds"]:
        message = "a teacher's rows are compared with one holdout, and folds have several"
        hint = "give `splits.holdout` instead of `splits.folds`"
        yield recipe.problem("R323", message, at=("teacher",), key=True, hint=hint)
    has_rows = splits.get("validation") or are_drawn_from_train(recipe.filled)
    if teacher["stop_if_teacher_is_no_better"] and not has_rows:
        message = "there are no validation rows on which the teacher could show that it is better"
        hint = "give `splits.validation` some rows, or set it to false"
        key = ("teacher", "stop_if_teacher_is_no_better")
        yield recipe.problem("R324", message, at=key, key=True, hint=hint)


@rule("baselines", "teacher", "task.kind")
def teacher_is_known(recipe: SourceText) -> Problems:
    teacher, kind = recipe.filled.get("teacher"), recipe.kind
    if not teacher:
        return
    model = teacher["model"]
    if not kind.is_constrained:
        can = listed(tuple(name for name, other in KINDS.items() if other.is_constrained))
        message = f"a teacher answers {can}, not {kind.name}"
        yield recipe.problem("R320", message, at=("teacher",), key=True, hint="delete it")
    named = {name_of(one): kind_and_spec(one)[0] for one in written_baselines(recipe.filled)}
    if not isinstance(model, str):
        name = model.get("name", NAME)
        if name in named:
            message = f"a baseline is called {show(name)} too"
            at = (*MODEL, "name") if "name" in model else MODEL
            yield recipe.problem("R325", message, at=at, hint="give it a name of its own")
    elif named.get(model) not in LEARNED:
        learned = [name for name, baseline in named.items() if baseline in LEARNED]
        fitting = [baseline for baseline in LEARNED if kind.can_be_answered_by(baseline)]
        message = f"{show(model)} is no baseline of this recipe that learns from rows"
        hint = "name a model by hub, path, package, gguf or endpoint"
        if learned:
            hint = f"name {listed(learned, 'or')}"
        elif fitting:
            hint = f"add {listed(fitting, 'or')} to `baselines`"
        yield recipe.problem("R328", message, at=MODEL, hint=hint)


@rule("base_model", "teacher")
def teacher_is_another_model(recipe: SourceText) -> Problems:
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
def bounds_against_a_teacher(recipe: SourceText) -> Problems:
    bounds, teacher = recipe["acceptance"].get("against_teacher"), recipe.filled.get("teacher")
    at = ("acceptance", "against_teacher")
    if bounds is not None and not teacher:
        message = "there is no teacher to compare with"
        yield recipe.problem("R326", message, at=at, key=True, hint="name a `teacher`")
    elif (
        bounds is not None
        and teacher
        and {"hub", "path", "package"}.isdisjoint(model_keys(teacher))
    ):
        for name in (name for name in RATIOS if name in bounds):
            message = f"`{name}` is known only of a teacher that is named by hub, path or package"
            yield recipe.problem("R327", message, at=(*at, name), key=True, hint="delete it")
