"""The training rows as text, rendered once and shared by the stages that need them."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from engine.artifacts.results import read_json
from engine.artifacts.stage import StageContext
from engine.data.examples.example import Example, iter_examples
from engine.errors import Problem
from engine.inference.predict import asked_turns, task_slice
from engine.inference.template_check import (
    exchanged_marks,
    known_tokens,
    lost_text_problem,
    mark_problems,
    modelfile_problems,
    opening_problem,
    tokenizer_problems,
    turn_problem,
    two_templates,
)
from engine.recipe.sweeps import by_length
from engine.runtime.rendering.key import HOLDOUT_FACTS, LengthLimits
from engine.runtime.rendering.rendered_files import (
    RenderRequest,
    holdout_artifact,
    marked_problems,
    read_facts,
    refuse_without_validation,
    rendered_artifact,
)
from engine.runtime.rendering.windows import length_notes, window_notes, window_of
from engine.store import Artifact
from engine.training.preflight import kept_lines
from engine.values import replace

CHAT_FACTS: Final = "chat_check.json"
CHAT_REVISION: Final = 3
"""Bumped when the same template and rows would now be judged otherwise."""
LOOKED_AT: Final = 200
"""Rows whose turns and answers are held against what the chat template and the tokenizer make of them."""


def render_by_length(context: StageContext, base: Path) -> None:
    """Render the rows as each method of a recipe that changes them trains on them (`by_length`); as `rendered_rows`."""
    for one in by_length(context.recipe):
        rendered_rows(replace(context, recipe=one), base)


def check_rendering(context: StageContext, training: Artifact, product: str) -> None:
    """Refuse rows that cannot be trained on before anything is spent on training. DataError, StageError."""
    trained = replace(
        context,
        artifacts={**context.artifacts, product: training},
        inputs={**context.inputs, product: training.key},
    )
    render_by_length(trained.for_training(), context.base_model_folder())


def rendered_rows(context: StageContext, base: Path, *, quiet: bool = False) -> Artifact:
    """The train and validation rows with the answer marked, by the tokenizer of the base model in `base`.

    Rows that were cut or left out are noted in the progress, unless `quiet`; then the template is not looked at, which
    `train` does as well.

    DataError: D390 to D392, D394 and D414 for rows that cannot be trained on; D392 for a holdout row.
    StageError: X614 for a schema that the model cannot be held to when it is judged; X651, X671, X672, X839 and X840
    for a chat template that users of the exported forms could not ask by; X841 for a tokenizer that does not give
    answers back.
    """
    from engine.runtime.generation.grammar import check_grammar  # numpy

    recipe = context.recipe
    # What needs no row comes first: a schema or template that cannot be used is refused before anything is tokenised.
    check_grammar(recipe.task)
    if not quiet:
        _check_chat(context, base)
    request = RenderRequest(
        task=recipe.task,
        limits=LengthLimits.of(recipe),
        base_model=context.base_model,
        base_folder=base,
        data=context.artifacts["data"],
    )
    rendered = rendered_artifact(request, cached=context.cached, read=iter_examples)
    refuse_without_validation(rendered, recipe.method)
    if not quiet:
        window = window_of(base)
        for split, facts in read_facts(rendered).items():
            notes = [*facts.notes, *headlines(window_notes(facts.lengths, window))]
            for note in notes:
                context.progress.note(f"{split}: {note}")
        if "holdout" in context.artifacts:
            _look_at_holdout(context, request, window)
    return rendered


def headlines(problems: Iterable[Problem]) -> list[str]:
    return [problem.headline() for problem in problems]


def _check_chat(context: StageContext, base: Path) -> None:
    task = context.recipe.task
    if not task.spec.has_turns:
        return
    has_modelfile = "ollama" in context.recipe.export.formats

    # `baseline` looks first, and `train` at the same; a Modelfile has to ask the rows of a holdout, too.
    read = ("data", "holdout") if has_modelfile else ("data",)
    payload = {
        "base_model": context.base_model,
        # After training its template and tokenizer are files of their own.
        "merge": context.inputs.get("merge", ""),
        "rows": [context.artifacts[name].key for name in read if name in context.artifacts],
        "task": task_slice(task),
        "modelfile": has_modelfile,
        "revision": CHAT_REVISION,
    }
    check = partial(_chat_problems, context, base, has_modelfile=has_modelfile)
    lines = kept_lines(context, "chat_check", payload, check, file=CHAT_FACTS)
    for line in lines if "holdout" in context.artifacts else ():
        context.progress.note(line)


def _chat_problems(context: StageContext, base: Path, *, has_modelfile: bool) -> Iterator[Problem]:
    from engine.runtime.rendering.chat import kept_chat  # brings transformers

    task, chat = context.recipe.task, kept_chat(base)
    few = [*islice(_all_rows(context), LOOKED_AT)]
    asked = (asked_turns(task, row) for row in few)
    found = [
        opening_problem(chat),
        lost_text_problem(chat, asked),
        two_templates(base),
        exchanged_marks(chat),
        turn_problem(chat),
    ]
    yield from (one for one in found if one is not None)
    yield from mark_problems(chat, known_tokens(base))
    answers = task.labels or (row.target for row in few)
    yield from tokenizer_problems(chat, answers, are_labels=bool(task.labels))
    if has_modelfile:
        rows = ((row.origin, asked_turns(task, row)) for row in _all_rows(context))
        yield from modelfile_problems(chat, rows)


def _all_rows(context: StageContext) -> Iterator[Example]:
    data = context.artifacts["data"]
    files = [data.file(f"{split}.jsonl") for split in ("train", "validation")]
    if "holdout" in context.artifacts:
        files.append(context.artifacts["holdout"].file("holdout.jsonl"))
    for file in files:
        yield from iter_examples(file)


def _look_at_holdout(context: StageContext, request: RenderRequest, window: int | None) -> None:
    """Say which holdout rows would be asked otherwise than they read, or are longer than can be read or is trained.

    With `drop` too, none is left out.
    """
    holdout = context.artifacts["holdout"]
    notes = marked_problems(request, iter_examples(holdout.file("holdout.jsonl")))
    measured = holdout_artifact(request, holdout=holdout, cached=context.cached, read=iter_examples)
    found = read_json(measured, HOLDOUT_FACTS)
    notes += window_notes(found["lengths"], window)
    notes += length_notes(found["lengths"], request.limits.max_length, found["longest"])
    for note in headlines(notes):
        context.progress.note(f"holdout: {note}")
