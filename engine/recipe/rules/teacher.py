"""Rules about other models of a recipe: baselines, a teacher, and writers of synthetic rows."""

from pathlib import PurePosixPath
from typing import Any, Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.baselines import BASELINES, LEARNED, kind_and_spec, name_of, written_baselines
from engine.recipe.prompt import TemplateError, fields
from engine.recipe.references import JUDGE, SYNTHESIZE, WRITER
from engine.recipe.rules import Problems, rule, value_of
from engine.recipe.teacher import JUDGE_NAME, LABEL, MODEL, NAME, WRITER_NAME
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_WITHOUT_LIKELIHOOD: Final = {
    "endpoint": "a server does not return",
    "gguf": "is not read from a file here",
}


@rule("task.kind", "baselines")
def baselines_fit_the_kind(recipe: SourceText) -> Problems:
    kind = recipe.kind
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
                yield recipe.problem("R274", message, at=(*at, way, key), key=True)


@rule("baselines", "teacher", "data.synthesize")
def models_have_their_own_names(recipe: SourceText) -> Problems:
    named: list[tuple[KeyPath, str, bool]] = []
    for position, written in enumerate(written_baselines(recipe.filled)):
        way, name = kind_and_spec(written)[0], name_of(written)
        if way in BASELINES:
            named.append((("baselines", position), name, name != way or way == "model"))
    for at, usual in ((MODEL, NAME), (WRITER, WRITER_NAME), (JUDGE, JUDGE_NAME)):
        if isinstance(model := value_of(recipe, ".".join(map(str, at))), dict):
            named.append(((*at, "name"), model.get("name", usual), "name" in model))
    for place, (at, name, is_chosen) in enumerate(named):
        is_taken = name in (other for _, other, _ in named[:place])
        # Reports could not distinguish a model called `majority` from the baseline of that name.
        if is_taken or (is_chosen and name in BASELINES):
            message = f"another model or baseline is called {show(name)}"
            yield recipe.problem("R275", message, at=at)


@rule("baselines", "teacher", "task.kind")
def teacher_is_known(recipe: SourceText) -> Problems:
    model, kind = recipe.filled.get("teacher", {}).get("model"), recipe.kind
    named = {name_of(one): kind_and_spec(one)[0] for one in written_baselines(recipe.filled)}
    if isinstance(model, str) and named.get(model) not in LEARNED:
        learned = [name for name, baseline in named.items() if baseline in LEARNED]
        fitting = [baseline for baseline in LEARNED if kind.can_be_answered_by(baseline)]
        message = f"{show(model)} is no baseline of this recipe that learns from rows"
        hint = "name a model by hub, path, package, gguf or endpoint"
        if learned:
            hint = f"name {listed(learned, 'or')}"
        elif fitting:
            hint = f"add {listed(fitting, 'or')} to `baselines`"
        yield recipe.problem("R328", message, at=MODEL, hint=hint)


@rule("data.synthesize")
def prompt_can_be_filled(recipe: SourceText) -> Problems:
    written: dict[str, Any] = recipe["data"].get("synthesize", {"vary": {}})
    at, place, vary = (*SYNTHESIZE, "vary"), (*SYNTHESIZE, "prompt"), written["vary"]
    if LABEL in vary:
        message = f"`{LABEL}` is the name of the wanted answer"
        yield recipe.problem("R383", message, at=(*at, LABEL), key=True)
    if "prompt" not in written:
        return
    try:
        named = fields(written["prompt"])
    except TemplateError as error:
        yield recipe.problem("R383", str(error), at=place)
        return
    for name in named:
        if name not in (LABEL, *vary):
            message = f"`{{{name}}}` is neither {{{LABEL}}} nor a name of `vary`"
            yield recipe.problem("R383", message, at=place)
    for name in vary:
        if name not in (LABEL, *named):
            yield recipe.problem("R383", f"no prompt shows `{name}`", at=(*at, name), key=True)
    kind = KINDS.get(recipe["task"].get("kind"))
    if kind and kind.has_labels and LABEL not in named:
        message = f"the prompt does not say which answer is wanted: it has no {{{LABEL}}}"
        yield recipe.problem("R383", message, at=place)


@rule("data.synthesize", "data.sources")
def review_file_is_beside_the_recipe(recipe: SourceText) -> Problems:
    if (review := recipe["data"].get("synthesize", {}).get("review")) is None:
        return
    at, path = (*SYNTHESIZE, "review"), PurePosixPath(review)
    sources = [PurePosixPath(str(source.get("path", ""))) for source in recipe["data"]["sources"]]
    if ".." in path.parts or not recipe.judge.holds(absolute(review, recipe.path.parent)):
        yield recipe.problem("R389", f"{show(review)} is not below the recipe's folder", at=at)
    elif path in sources:
        yield recipe.problem("R389", f"{show(review)} is a source of the data", at=at)
