"""Rules about synthetic rows: what can be written and requested, and their review and bounds."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.baselines import name_of, written_baselines
from engine.recipe.prompt import TemplateError, fields
from engine.recipe.references import JUDGE, SYNTHESIZE, WRITER
from engine.recipe.rules import Problems, rule
from engine.recipe.teacher import JUDGE_NAME, LABEL, WRITER_NAME
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import SourceText
from engine.recipe.validation.schema_errors import show

_REVIEW: Final = (*SYNTHESIZE, "review")
_SYNTHETIC: Final = ("acceptance", "synthetic")


def _written(recipe: SourceText) -> Mapping[str, Any] | None:
    section: Mapping[str, Any] | None = recipe["data"].get("synthesize")
    return section


@rule("task.kind", "data.synthesize", "teacher", "splits")
def synthesis_fits_the_recipe(recipe: SourceText) -> Problems:
    if _written(recipe) is None:
        return
    if not recipe.kind.is_constrained:
        fitting = listed(tuple(name for name, kind in KINDS.items() if kind.is_constrained))
        message = f"rows are written for {fitting}, not {recipe.kind.name}"
        yield recipe.problem("R380", message, at=SYNTHESIZE, key=True, hint="delete it")
    if "teacher" in recipe.filled:
        message = "a recipe has a `teacher` or synthetic rows, not both"
        yield recipe.problem("R381", message, at=SYNTHESIZE, key=True, hint="delete one of them")
    if recipe["splits"]["folds"]:
        message = "rows are written after training rows, and with folds each of these judges once"
        hint = "give `splits.holdout` instead of `splits.folds`"
        yield recipe.problem("R382", message, at=SYNTHESIZE, key=True, hint=hint)


@rule("data.synthesize")
def prompt_can_be_filled(recipe: SourceText) -> Problems:
    if (written := _written(recipe)) is None:
        return
    at, place, vary = (*SYNTHESIZE, "vary"), (*SYNTHESIZE, "prompt"), written["vary"]
    if LABEL in vary:
        message = f"`{LABEL}` is the name of the wanted answer"
        yield recipe.problem("R383", message, at=(*at, LABEL), key=True, hint="give another name")
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
            yield recipe.problem("R383", message, at=place, hint=f"add vary.{name}")
    for name in vary:
        if name not in (LABEL, *named):
            message, hint = f"no prompt shows `{name}`", f"write {{{name}}} in `prompt`"
            yield recipe.problem("R383", message, at=(*at, name), key=True, hint=hint)
    kind = KINDS.get(recipe["task"].get("kind"))
    if kind and kind.has_labels and LABEL not in named:
        message = f"the prompt does not say which answer is wanted: it has no {{{LABEL}}}"
        yield recipe.problem("R383", message, at=place, hint=f"write {{{LABEL}}} in it")


@rule("data.synthesize")
def requests_can_be_kept(recipe: SourceText) -> Problems:
    if (written := _written(recipe)) is None:
        return
    agreement = written["keep"]["agreement"]
    votes, least = agreement["votes"], agreement["min"]
    if votes and least > votes:
        message = f"{least} answers have to agree, and {votes} are asked for"
        at = (*SYNTHESIZE, "keep", "agreement", "min")
        yield recipe.problem("R384", message, at=at, hint="raise `votes`")
    if written.get("temperature") and "endpoint" not in written["teacher"]:
        message = "a model that runs here writes the most probable text"
        hint = "delete it, and list values under `vary`"
        yield recipe.problem("R385", message, at=(*SYNTHESIZE, "temperature"), hint=hint)
    models = [written["teacher"], *([agreement["judge"]] if "judge" in agreement and votes else [])]
    prices = [any(model["price"].values()) for model in models if "endpoint" in model]
    if "max_cost" in written and not (prices and all(prices)):
        message = "a budget, and a model without a `price`"
        at, hint = (*SYNTHESIZE, "max_cost"), "give each server its `price`"
        yield recipe.problem("R386", message, at=at, hint=hint)


@rule("acceptance", "data.synthesize")
def bounds_of_synthetic_rows(recipe: SourceText) -> Problems:
    written, acceptance = _written(recipe), recipe["acceptance"]
    for at in (_SYNTHETIC, ("acceptance", "over_without_synthetic")):
        if written is None and acceptance.get(at[1]):
            message = "the recipe asks for no synthetic rows"
            hint = "delete it, or ask for rows under `data.synthesize`"
            yield recipe.problem("R387", message, at=at, key=True, hint=hint)
    if written is not None and "synthetic" in acceptance and "review" not in written:
        message = "there is no file in which people could review rows"
        hint = "name one: data.synthesize.review"
        yield recipe.problem("R388", message, at=_SYNTHETIC, key=True, hint=hint)


@rule("data.synthesize", "data.sources")
def review_file_is_beside_the_recipe(recipe: SourceText) -> Problems:
    if (review := (_written(recipe) or {}).get("review")) is None:
        return
    path = PurePosixPath(review)
    sources = [PurePosixPath(str(source.get("path", ""))) for source in recipe["data"]["sources"]]
    if ".." in path.parts or not recipe.judge.holds(absolute(review, recipe.path.parent)):
        message = f"{show(review)} is not below the recipe's folder"
        yield recipe.problem("R389", message, at=_REVIEW, hint="name a file in the recipe's folder")
    elif path in sources:
        message = f"{show(review)} is a source of the data"
        yield recipe.problem("R389", message, at=_REVIEW, hint="give the review a file of its own")


@rule("baselines", "data.synthesize")
def writers_have_their_own_names(recipe: SourceText) -> Problems:
    if (written := _written(recipe)) is None:
        return
    taken = [name_of(baseline) for baseline in written_baselines(recipe.filled)]
    judge = written["keep"]["agreement"].get("judge")
    for at, model, usual in ((WRITER, written["teacher"], WRITER_NAME), (JUDGE, judge, JUDGE_NAME)):
        name = (model or {}).get("name", usual)
        if model is not None and name in taken:
            message = f"another model or baseline is called {show(name)} too"
            place = (*at, "name") if "name" in model else at
            yield recipe.problem("R390", message, at=place, hint="give it a name of its own")
        taken.append(name)
