"""Rules about synthetic rows: what can be written, what is asked for, and what people and gates find in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from engine.errors import listed
from engine.kinds import KINDS
from engine.recipe.baselines import name_of, written_baselines
from engine.recipe.prompt import TemplateError, fields
from engine.recipe.references import JUDGE, SYNTHESIZE, WRITER
from engine.recipe.rules.rule import Problems, rule
from engine.recipe.teacher import JUDGE_NAME, LABEL, WRITER_NAME
from engine.recipe.text.compose import KeyPath
from engine.recipe.text.paths import absolute
from engine.recipe.text.source import FilledText
from engine.recipe.validation.schema_errors import show

_REVIEW: Final = (*SYNTHESIZE, "review")
_AGREEMENT: Final = (*SYNTHESIZE, "keep", "agreement")
_SYNTHETIC: Final = ("acceptance", "synthetic")
_OVER: Final = ("acceptance", "over_without_synthetic")


def _written(recipe: FilledText) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = recipe["data"].get("synthesize")
    return found


@rule("task.kind", "data.synthesize", "teacher", "splits")
def synthesis_fits_the_recipe(recipe: FilledText) -> Problems:
    """R380: synthetic rows for a kind of task whose answers have no form.

    A written row is kept where its answer is given again by a model that has not seen it. Labels and objects can be
    compared; a free text, a conversation or a document would be learned however wrong it is.

    Fix: Delete `data.synthesize`, or ask for labels or an object.

    Wrong:
        task:
          kind: generation
        data:
          ▸synthesize: {teacher: {path: ../data}, rows: 10}

    Right:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10}

    R381: synthetic rows beside a teacher that answers rows without labels.

    What one of them brings could not be distinguished from what the other one does.

    Fix: Delete one of them; a run with `teacher` and a run with `data.synthesize` can be compared.

    Wrong:
        teacher:
          model: {path: ../data}
          inputs: {sources: [{path: ../data/rows.csv}]}
        data:
          ▸synthesize: {teacher: {name: writer, path: ../data}, rows: 10}

    Right:
        # no teacher

    R382: synthetic rows and cross-validation.

    Every training row judges in one of the folds, and rows that were written after it would be trained on there.

    Fix: Delete `splits.folds` and give `splits.holdout`.

    Wrong:
        splits:
          # no holdout
          validation: 0
          folds: 5
        data:
          ▸synthesize: {teacher: {path: ../data}, rows: 10}

    Right:
        splits:
          # no folds
          holdout: 300
    """
    kind = KINDS.get(recipe["task"]["kind"])
    if _written(recipe) is None:
        return
    if kind is not None and not kind.is_constrained:
        fitting = listed(tuple(name for name, one in KINDS.items() if one.is_constrained))
        message = f"rows are written for {fitting}, not {kind.name}"
        yield recipe.problem("R380", message, at=SYNTHESIZE, key=True, hint="delete it")
    if "teacher" in recipe.filled:
        message = "a recipe has a `teacher` or synthetic rows, not both"
        yield recipe.problem("R381", message, at=SYNTHESIZE, key=True, hint="delete one of them")
    if recipe["splits"]["folds"]:
        message = "rows are written after training rows, and with folds each of these judges once"
        hint = "give `splits.holdout` in the place of `splits.folds`"
        yield recipe.problem("R382", message, at=SYNTHESIZE, key=True, hint=hint)


@rule("data.synthesize")
def prompt_can_be_filled(recipe: FilledText) -> Problems:
    """R383: a prompt whose names in braces are not those of the values, or values that no prompt shows.

    {label} stands for the wanted answer, {name} for a value of `vary.name`; a brace that is meant as such is doubled.

    Fix: Name the value in `prompt`, or under `vary`.

    Wrong:
        data:
          synthesize:
            teacher: {path: ../data}
            rows: 10
            vary: {tone: [angry, polite]}
            prompt: ▸"Write a ticket about {label}. Length: {length}. Tone: {tone}."

    Right:
        data:
          synthesize:
            prompt: "Write a ticket about {label}. Tone: {tone}."
    """
    written = _written(recipe)
    if written is None:
        return
    at, vary = (*SYNTHESIZE, "vary"), written["vary"]
    if LABEL in vary:
        message = f"`{LABEL}` stands for the wanted answer"
        yield recipe.problem("R383", message, at=(*at, LABEL), key=True, hint="give another name")
    if "prompt" not in written:
        return
    place = (*SYNTHESIZE, "prompt")
    try:
        named = fields(written["prompt"])
    except TemplateError as error:
        yield recipe.problem("R383", str(error), at=place)
        return
    for name in dict.fromkeys(named):
        if name not in (LABEL, *vary):
            message = f"`{{{name}}}` is neither {{{LABEL}}} nor a name of `vary`"
            yield recipe.problem("R383", message, at=place, hint=f"add vary.{name}")
    for name in vary:
        if name not in (LABEL, *named):
            message = f"no prompt shows `{name}`"
            hint = f"write {{{name}}} in `prompt`"
            yield recipe.problem("R383", message, at=(*at, name), key=True, hint=hint)
    has_labels = (
        KINDS[recipe["task"]["kind"]].has_labels if (recipe["task"].get("kind") in KINDS) else False
    )
    if has_labels and LABEL not in named:
        message = f"the prompt does not say which answer is wanted: it has no {{{LABEL}}}"
        yield recipe.problem("R383", message, at=place, hint=f"write {{{LABEL}}} in it")


@rule("data.synthesize")
def requests_can_be_kept(recipe: FilledText) -> Problems:
    """R384: more answers have to agree than are asked for.

    No row could be kept.

    Fix: Raise `votes`, or lower `min`.

    Wrong:
        data:
          synthesize:
            teacher: {path: ../data}
            rows: 10
            keep: {agreement: {votes: 2, min: ▸3}}

    Right:
        data:
          synthesize:
            keep: {agreement: {votes: 3, min: 2}}

    R385: a temperature of a model that runs here.

    Such a model writes the most probable text, so that a run can be repeated; its rows differ by the examples and the
    values that each request shows.

    Fix: Delete `temperature`, and list more values under `vary`.

    Wrong:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10, temperature: ▸0.9}

    Right:
        allow_moving: true
        data:
          synthesize:
            teacher: {endpoint: "http://localhost:8000/v1", model: m}
            rows: 10
            temperature: 0.9

    R386: a budget of models that have no price.

    What is asked costs nothing that the recipe knows, so `max_cost` would limit nothing.

    Fix: Give each server that is asked its `price`, or delete `max_cost`.

    Wrong:
        allow_moving: true
        data:
          synthesize:
            teacher: {endpoint: "http://localhost:8000/v1", model: m}
            rows: 10
            max_cost: ▸2.5

    Right:
        data:
          synthesize:
            teacher: {endpoint: "http://localhost:8000/v1", model: m, price: {input: 0.1, output: 0.4}}
    """
    written = _written(recipe)
    if written is None:
        return
    agreement = written["keep"]["agreement"]
    votes, least = agreement["votes"], agreement["min"]
    if votes and least > votes:
        message = f"{least} answers have to agree, and {votes} are asked for"
        yield recipe.problem("R384", message, at=(*_AGREEMENT, "min"), hint="raise `votes`")
    if written.get("temperature") and "endpoint" not in written["teacher"]:
        message = "a model that runs here writes the most probable text"
        hint = "delete it, and list values under `vary`"
        yield recipe.problem("R385", message, at=(*SYNTHESIZE, "temperature"), hint=hint)
    asked = [written["teacher"], *([agreement["judge"]] if "judge" in agreement and votes else [])]
    served = [one for one in asked if "endpoint" in one]
    has_prices = bool(served) and all(any(one["price"].values()) for one in served)
    if "max_cost" in written and not has_prices:
        message = "a budget, and a model without a `price`"
        at, hint = (*SYNTHESIZE, "max_cost"), "give each server its `price`"
        yield recipe.problem("R386", message, at=at, hint=hint)


@rule("acceptance", "data.synthesize")
def bounds_of_synthetic_rows(recipe: FilledText) -> Problems:
    """R387: a bound on synthetic rows that the recipe does not ask for.

    There is nothing to review and nothing to leave out, so the bound would hold nothing.

    Fix: Delete the bound, or ask for rows under `data.synthesize`.

    Wrong:
        acceptance:
          metrics: {macro_f1: {min: 0.8}}
          ▸over_without_synthetic: {macro_f1: {min_gain: 0.0}}

    Right:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10}

    R388: a review that is demanded, and no file for it.

    People mark rows in a file of the project.

    Fix: Name the file: `data.synthesize.review: rows-to-review.csv`.

    Wrong:
        acceptance:
          metrics: {macro_f1: {min: 0.8}}
          ▸synthetic: {reviewed: {min: 60}}
        data:
          synthesize: {teacher: {path: ../data}, rows: 10}

    Right:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10, review: rows-to-review.csv}
    """
    written, acceptance = _written(recipe), recipe["acceptance"]
    for at in (_SYNTHETIC, _OVER):
        if written is None and acceptance.get(at[1]):
            message = "the recipe asks for no synthetic rows"
            hint = "delete it, or ask for rows under `data.synthesize`"
            yield recipe.problem("R387", message, at=at, key=True, hint=hint)
    if written is not None and "synthetic" in acceptance and "review" not in written:
        message = "there is no file in which people could review rows"
        hint = "name one: data.synthesize.review"
        yield recipe.problem("R388", message, at=_SYNTHETIC, key=True, hint=hint)


@rule("data.synthesize", "data.sources")
def review_file_is_beside_the_recipe(recipe: FilledText) -> Problems:
    """R389: a review file that is not below the recipe's folder, or is a file of the data.

    `recipe synthetic --review` writes it; nothing of a recipe writes anywhere else, or over rows. Links count by
    where they lead, and names that begin with a dot are not part of the project.

    Fix: Name a file of its own beside the recipe.

    Wrong:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10, review: ▸../elsewhere.csv}

    Right:
        data:
          synthesize: {teacher: {path: ../data}, rows: 10, review: rows-to-review.csv}
    """
    written = _written(recipe)
    if written is None or "review" not in written:
        return
    path = PurePosixPath(written["review"])
    sources = [PurePosixPath(str(one.get("path", ""))) for one in recipe["data"]["sources"]]
    place = absolute(written["review"], recipe.path.parent)
    if ".." in path.parts or not recipe.judge.holds(place):
        message = f"{show(written['review'])} is not below the recipe's folder"
        yield recipe.problem("R389", message, at=_REVIEW, hint="name a file beside the recipe")
    elif path in sources:
        message = f"{show(written['review'])} is a source of the data"
        yield recipe.problem("R389", message, at=_REVIEW, hint="give the review a file of its own")


@rule("baselines", "data.synthesize")
def writers_have_their_own_names(recipe: FilledText) -> Problems:
    """R390: a model that writes or judges synthetic rows is called as another one is.

    Reports and stored answers are distinguished by the name.

    Fix: Give each of them a `name` of its own.

    Wrong:
        data:
          synthesize: {teacher: {name: ▸tfidf_svm, path: ../data}, rows: 10}

    Right:
        data:
          synthesize: {teacher: {name: larger, path: ../data}, rows: 10}
    """
    taken = [name_of(one) for one in written_baselines(recipe.filled)]
    for at, name in _names(recipe):
        if name in taken:
            message = f"another model or baseline is called {show(name)} too"
            yield recipe.problem("R390", message, at=at, hint="give it a name of its own")
        taken.append(name)


def _names(recipe: FilledText) -> Iterator[tuple[KeyPath, str]]:
    written = _written(recipe)
    if written is None:
        return
    judge = written["keep"]["agreement"].get("judge")
    for at, model, own in ((WRITER, written["teacher"], WRITER_NAME), (JUDGE, judge, JUDGE_NAME)):
        if model is not None:
            yield (*at, "name") if "name" in model else at, model.get("name", own)
