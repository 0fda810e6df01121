"""View of a recipe's data: run the data stage, measure its rows, choose some to show: `recipe data`, importable.

Where only the tokenizer decides how many rows are trained, they are rendered, as in the next run.

Where a check refuses the data, the stage is run again with refusing checks as warnings. That result, which no run uses,
is shown with the problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts import results
from engine.artifacts.stage import training_text
from engine.data.examples.example import iter_examples
from engine.environment import detect_device, tool_versions
from engine.errors import DataError, EngineError, ExitCode, Problem, RecipeError
from engine.estimate.row_tokens import known_rows
from engine.evidence import DataSummary
from engine.evidence.data import DataView, TrainingRows
from engine.kinds import Turns
from engine.pipeline.data_outlook import power_estimates, too_few_groups
from engine.pipeline.loop import RunOptions, RunState, Watcher, refuse_interrupted, run_stages
from engine.pipeline.plan import collect_inputs
from engine.recipe.model import Recipe
from engine.recipe.references import has_new_tokenizer
from engine.recipe.sweeps import by_length, own_words
from engine.runs.shown_rows import (
    SEEN,
    Files,
    ViewOptions,
    character_lengths,
    examples,
    one_thumb,
    pick,
    shown,
    thumbs,
    token_lengths,
)
from engine.runtime.rendering.key import LengthLimits, counts_after_rendering
from engine.store import Artifact, Store
from engine.training.trained_rows import rows_note
from engine.values import Value, field, fields, replace

if TYPE_CHECKING:
    from engine.runtime.rendering.renderer import Renderer


class CheckedData(Value):
    """The view, and the problems of the data."""

    view: DataView
    problems: tuple[Problem, ...]
    code: ExitCode


class _Found(Value):
    """Results of the data stage."""

    summary: DataSummary | None
    files: Files
    """The examples of each split; empty where the rows could not be divided."""
    error: EngineError | None = None
    """Why a run would stop."""
    data: Artifact | None = None
    """The rows that a run would train on; None where it would stop."""
    base_model: Mapping[str, Any] = field(default_factory=dict)
    """Its identity, as in keys."""

    @property
    def refusing(self) -> tuple[str, ...]:
        findings = self.summary.findings if self.summary and self.error else ()
        return tuple(one.check for one in findings if one.count and one.action == "fail")


def look(recipe: Recipe, wish: ViewOptions, *, root: Path, watcher: Watcher) -> CheckedData:
    """Return a view of a recipe's data; only its data stage is run or reused.

    Raises:
        EngineError: the sources cannot be identified or fetched.
        RecipeError: D395 no such row, D396 no such class.

    """
    labels = recipe.task.labels
    if wish.label and wish.label not in labels:
        known = f"the task's classes: {', '.join(labels[:20])}" if labels else "it has no classes"
        raise RecipeError.one("D396", f"`{wish.label}` is no class of this task", hint=known)
    store = Store(root, versions=tool_versions())
    found = _found(recipe, store, watcher)
    view = DataView(
        recipe=recipe.name,
        kind=recipe.task.kind,
        summary=found.summary,
        refusing=found.refusing,
        max_length=(by_length(recipe)[0].method.max_length),
    )
    problems = list(found.error.problems) if found.error else []
    if found.files:
        preferences = [one.method.preference for one in by_length(recipe)]
        if any(one is not None and not one.reads_pairs for one in preferences):
            problems += one_thumb(found.files)
        renderer, folder, why = _renderer(recipe, store, watcher, wish, found)
        view = replace(
            view,
            examples=tuple(examples(found.files, recipe.task, wish)),
            thumbs=tuple(thumbs(found.files)) if recipe.task.spec.turns is Turns.PREFERENCE else (),
            row=shown(pick(found.files, wish), renderer, recipe.task),
        )
        if renderer is None:
            lengths = tuple(character_lengths(found.files))
            view = replace(view, unit="characters", why_characters=why, lengths=lengths)
        else:
            measured, notes, unusable = token_lengths(found.files, renderer)
            view = replace(view, lengths=tuple(measured), notes=tuple(notes))
            problems += unusable
            if not problems and folder is not None and counts_after_rendering(recipe):
                watcher.stage("rows").note("counting the tokens of every row")
                problems += _render(recipe, store, found, folder)
    if found.data is not None and found.summary is not None:
        problems += too_few_groups(recipe, power_estimates(recipe, found.summary))
    if found.data is not None and not problems:
        view = replace(view, training=_training(recipe, store, found))
    code = found.error.exit_code if found.error else ExitCode.ACCEPTED
    if problems and code is ExitCode.ACCEPTED:
        code = DataError.exit_code
    return CheckedData(view=view, problems=tuple(problems), code=code)


def _render(recipe: Recipe, store: Store, found: _Found, folder: Path) -> tuple[Problem, ...]:
    """Render and store the rows as a run will, so that views and plans can count them; return problems of training."""
    from engine.runtime.rendering.rendered_files import (  # brings transformers
        RenderRequest,
        refuse_without_validation,
        rendered_artifact,
    )

    if found.data is None:
        return ()
    for one in by_length(recipe):
        request = RenderRequest(
            task=one.task,
            limits=LengthLimits.of(one),
            base_model=found.base_model,
            base_folder=folder,
            data=found.data,
        )
        try:
            rendered = rendered_artifact(request, cached=store.cached, read=iter_examples)
            refuse_without_validation(rendered, one.method)
        except DataError as error:
            return error.problems
    return ()


def _training(recipe: Recipe, store: Store, found: _Found) -> TrainingRows | None:
    recipe, *others = by_length(recipe)
    rows = known_rows(recipe, store, found.data, found.base_model)
    if rows is None:
        return None
    # Settings that pack rows, or take longer ones, train other rows.
    notes = [f"of the sweep's settings, {own_words(recipe)}:"] if others else []
    return TrainingRows(
        train=rows.train,
        validation=rows.validation,
        of=rows.given,
        counted=rows.counted,
        steps=None if recipe.sweep or recipe.rows_added_by else rows.steps(recipe.method),
        note=" ".join(filter(None, [*notes, rows_note(recipe, rows)])),
        stops_early=recipe.method.early_stopping is not None,
        added_by=recipe.rows_added_by,
    )


def _found(recipe: Recipe, store: Store, watcher: Watcher) -> _Found:
    state = _run_data(recipe, store, watcher)
    if state.error is None:
        data = state.artifacts["data"]
        return replace(_read(state), data=data, base_model=state.inputs.base_model)
    # Only checks of the data can be relaxed; a source that cannot be fetched stays so.
    if not isinstance(state.error, DataError):
        raise state.error
    checks = recipe.data.checks
    failing = [one.name for one in fields(checks) if getattr(checks, one.name) == "fail"]
    warned: dict[str, Any] = dict.fromkeys(failing, "warn")
    lenient = replace(recipe.data, checks=replace(checks, **warned))
    relaxed = _run_data(replace(recipe, data=lenient), store, watcher)
    # No check is the cause where the data stage fails with all of them relaxed.
    if relaxed.error is not None:
        summary = getattr(state.error, "summary", None)
        return _Found(summary=summary, files={}, error=state.error)
    found, summary = _read(relaxed), results.data_summary(relaxed.artifacts["data"])
    findings = tuple(
        replace(one, action=getattr(checks, one.check, one.action)) for one in summary.findings
    )
    return replace(found, summary=replace(summary, findings=findings), error=state.error)


def _run_data(recipe: Recipe, store: Store, watcher: Watcher) -> RunState:
    inputs = collect_inputs(recipe, store, detect_device())
    state = run_stages(
        recipe, store, inputs=inputs, options=RunOptions(until="data"), watcher=watcher
    )
    refuse_interrupted(state)
    return state


def _read(state: RunState) -> _Found:
    data, holdout = state.artifacts["data"], state.artifacts["holdout"]
    files = {split: data.file(f"{split}.jsonl") for split in SEEN}
    return _Found(
        summary=results.data_summary(data),
        files={**files, "holdout": holdout.file("holdout.jsonl")},
    )


def _renderer(
    recipe: Recipe, store: Store, watcher: Watcher, wish: ViewOptions, found: _Found
) -> tuple[Renderer | None, Path | None, str]:
    """Return the renderer of the base model's tokenizer and its folder, or the reason why there is none."""
    if not wish.tokens:
        return None, None, "no tokenizer was wanted (--no-tokens)"
    from engine.runtime.models.start import Start, locate_start_tokenizer  # brings transformers
    from engine.runtime.rendering.chat import load_chat
    from engine.runtime.rendering.renderer import Renderer

    start = Start(
        base=recipe.base_model,
        identity=found.base_model,
        text=training_text(found.data) if found.data else None,
    )
    if found.data is None and has_new_tokenizer(recipe.base_model):
        why = "the tokenizer is trained on the training split, which is not made yet"
        return None, None, why
    try:
        folder = locate_start_tokenizer(start, store.cached, watcher.stage("tokenizer"))
        chat = load_chat(folder, asks=recipe.task.spec.has_turns)
    except EngineError as error:
        why = f"no tokenizer, so characters are counted: {error.problems[0].headline()}"
        return None, None, why
    return Renderer(chat, recipe.task, LengthLimits.of(by_length(recipe)[0])), folder, ""
