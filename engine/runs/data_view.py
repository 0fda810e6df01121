"""View of a recipe's data: run the data stage, measure its rows, choose some to show: `recipe data`, importable.

Where only the tokenizer decides how many rows are trained, they are rendered, as in the next run.

Where a check refuses the data, the stage is run again with refusing checks as warnings. That result, which no run uses,
is shown with the problems.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts import results
from engine.artifacts.stage import training_text
from engine.data.examples.example import Example, iter_examples
from engine.data.examples.turns import turn_text
from engine.environment import detect_device, tool_versions
from engine.errors import DataError, EngineError, ExitCode, Problem, RecipeError
from engine.estimate.row_tokens import known_rows
from engine.evidence import DataSummary
from engine.evidence.data import (
    DataView,
    Lengths,
    ShownExample,
    ShownRow,
    ShownSegment,
    TrainingRows,
)
from engine.kinds import Turns
from engine.pipeline.data_outlook import power_estimates, too_few_groups
from engine.pipeline.loop import RunOptions, RunState, Watcher, refuse_interrupted, run_stages
from engine.pipeline.plan import collect_inputs
from engine.recipe.model import Recipe, Task
from engine.recipe.prompt import conversation
from engine.recipe.references import has_new_tokenizer
from engine.recipe.sweeps import by_length, own_words
from engine.runtime.rendering.key import LengthLimits, counts_after_rendering
from engine.store import Artifact, Store
from engine.training.trained_rows import rows_note
from engine.values import Value, field, fields, replace

if TYPE_CHECKING:
    from engine.runtime.rendering.renderer import RenderedRow, Renderer
    from engine.runtime.rendering.segments import Segment


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


SEEN = ("train", "validation")
"""Splits that examples are taken from; a row of the holdout is only shown by its name."""
MEASURED = 10_000
"""Most rows of a split that are measured, taken evenly."""
MOST_EXAMPLES = 40

Files = Mapping[str, Path]
"""The file of each split's examples."""


class ViewOptions(Value):
    """The user's choice of rows."""

    examples: int = 1
    """Examples of each class, or in total without classes."""
    label: str = ""
    """Only this class; empty for all."""
    row: str = ""
    """An id, or FILE:LINE; empty for the first training row."""
    tokens: bool = True
    """False: do not fetch the base model's tokenizer."""


def examples(files: Files, task: Task, wish: ViewOptions) -> Iterator[ShownExample]:
    """Yield the first train and validation rows of each class, at most `MOST_EXAMPLES`."""
    wanted = [wish.label] if wish.label else [*task.labels]
    taken: Counter[str] = Counter()
    most = min(MOST_EXAMPLES, wish.examples * max(1, len(wanted)))
    for split, example in _all(files, SEEN):
        if sum(taken.values()) >= most:
            return
        fitting = [label for label in example.labels if label in wanted] if wanted else [""]
        label = next((one for one in fitting if taken[one] < wish.examples), None)
        if label is not None:
            taken[label] += 1
            yield ShownExample(
                id=example.id,
                origin=example.origin,
                split=split,
                labels=example.labels,
                input=example.input,
                target=example.target,
                beside=tuple(_beside(example)),
            )


def pick(files: Files, wish: ViewOptions) -> tuple[str, Example] | None:
    """Return the chosen row, or the first training row (of the class), with its split. RecipeError D395."""
    if not wish.row:
        rows = _all(files, SEEN)
        return next((one for one in rows if not wish.label or wish.label in one[1].labels), None)
    for split, example in _all(files, tuple(files)):
        if wish.row in (example.id, example.origin):
            return split, example
    raise RecipeError.one(
        "D395",
        f"no split has the row `{wish.row}`",
        hint="name it as FILE:LINE or by its id; a row that was dropped is in no split",
    )


def shown(
    picked: tuple[str, Example] | None, renderer: Renderer | None, task: Task
) -> ShownRow | None:
    """Return the row as the model sees it; without a renderer, its turns in the data."""
    if picked is None:
        return None
    split, example = picked
    row = ShownRow(id=example.id, origin=example.origin, split=split, segments=())
    if renderer is None:
        return replace(row, segments=tuple(_turns(example, task)))
    from engine.runtime.rendering.segments import UnwritableError  # brings transformers

    try:
        first, *more = renderer.render(example)
    except (EngineError, UnwritableError) as error:
        why = str(error) or "the chat template does not write it as it is"
        return replace(row, note=why)
    return replace(
        row,
        segments=_segments(first.segments),
        rejected=_segments(first.rejected),
        tokens=first.tokens,
        supervised=first.supervised,
        note=_note(example, first, len(more), limit=renderer.limits.max_length),
    )


def character_lengths(files: Files) -> Iterator[Lengths]:
    for split, path in files.items():
        rows, total = drawn(path)
        yield _lengths(split, [len(row.input) + len(row.target) for row in rows], total)


def token_lengths(
    files: Files, renderer: Renderer
) -> tuple[list[Lengths], list[str], list[Problem]]:
    """Return the lengths of every split, and the notes and problems that training would have."""
    from engine.runtime.rendering.render_stats import RenderStats, together  # with the renderer

    lengths, notes, problems = list[Lengths](), list[str](), list[Problem]()
    ledgers = []
    limits = renderer.limits
    for split, path in files.items():
        rows, total = drawn(path)
        try:
            measured, ledger = renderer.lengths(rows), RenderStats()
            deque(renderer.rendered(rows, ledger), maxlen=0)
        except EngineError as error:  # the template refuses the rows
            problems += [one for one in error.problems if one not in problems]
            continue
        lengths.append(_lengths(split, measured, total, limit=limits.max_length))
        if split in SEEN:
            ledgers.append(ledger)
            notes += [f"{split}: {one.message}" for one in ledger.notes(limits)]
            if ledger.blocks:
                notes.append(f"{split}: {len(ledger.blocks)} documents are cut into blocks")
    problems += together(ledgers).problems(limits)
    return lengths, notes, problems


def thumbs(files: Files) -> Iterator[str]:
    """Yield the thumbs up and down of each split; nothing for rows without."""
    for split, path in files.items():
        if counts := _thumbs(path):
            lacks = "" if len(counts) > 1 or split != "train" else ": training needs both"
            yield f"{split}: thumb up {counts[True]:,}, thumb down {counts[False]:,}{lacks}"


def one_thumb(files: Files) -> Iterator[Problem]:
    """Yield D428 when the training answers are all wanted, or all unwanted."""
    from engine.runtime.rendering.render_stats import RenderStats  # whose message it is

    yield from RenderStats(thumbs=_thumbs(files["train"])).one_thumb()


def _thumbs(path: Path) -> Counter[bool]:
    rows = iter_examples(path)
    return Counter(row.payload["desirable"] for row in rows if "desirable" in row.payload)


def drawn(path: Path) -> tuple[Sequence[Example], int]:
    """Return at most `MEASURED` rows of a file, taken evenly, and the number of its rows."""
    # Counted first, so that not all rows are in memory.
    with path.open(encoding="utf-8") as stream:
        total = sum(1 for _ in stream)
    step = max(1, math.ceil(total / MEASURED))
    return [row for at, row in enumerate(iter_examples(path)) if at % step == 0], total


def _all(files: Files, splits: Sequence[str]) -> Iterator[tuple[str, Example]]:
    for split in splits:
        yield from ((split, example) for example in iter_examples(files[split]))


def _beside(example: Example) -> Iterator[str]:
    payload = example.payload
    for reference in payload.get("references", ()):
        if reference != example.target:
            yield f"or: {reference}"
    for message in payload.get("rejected", ()):
        yield f"rather than: {message.get('content') or ''}"
    if "desirable" in payload:
        yield f"a thumb {_thumb(example)}"


def _thumb(example: Example) -> str:
    return "up" if example.payload["desirable"] else "down"


def _segments(found: Sequence[Segment]) -> tuple[ShownSegment, ...]:
    return tuple(ShownSegment(text=one.text, supervised=one.supervised) for one in found)


def _turns(example: Example, task: Task) -> Iterator[ShownSegment]:
    """Yield every turn as `role: text`; which turns are trained is known without a tokenizer."""
    asked = conversation(task, input=example.input, target=example.target, payload=example.payload)
    if not asked.messages:
        yield ShownSegment(text=example.input, supervised=True)
    for at, message in enumerate(asked.messages):
        gap = "\n" if at else ""
        yield ShownSegment(text=f"{gap}{message['role']}: ", supervised=False)
        text = turn_text({**message, "content": message.get("content") or ""})
        yield ShownSegment(text=text, supervised=at in asked.trained)


def _note(example: Example, first: RenderedRow, more: int, *, limit: int) -> str:
    remarks = []
    if "desirable" in example.payload:
        remarks.append(f"this answer got a thumb {_thumb(example)}")
    if first.tokens > limit:
        remarks.append(f"longer than max_length: {first.tokens:,} of {limit:,} tokens")
    if more:
        remarks.append(f"the first of {more + 1} blocks of the document")
    if first.rewritten:
        rewrites = "the chat template rewrites earlier turns"
        remarks.append(f"{rewrites}, so only the last answer is learned")
    if first.lost:
        remarks.append(f"the chat template leaves out {', '.join(first.lost)}")
    return "; ".join(remarks)


def _lengths(
    split: str, lengths: Sequence[int], total: int, *, limit: int | None = None
) -> Lengths:
    from engine.runtime.rendering.windows import length_stats  # with the renderer

    stats = length_stats(lengths)
    return Lengths(
        split=split,
        rows=total,
        measured=stats.rows,
        median=stats.median,
        p95=stats.p95,
        longest=stats.longest,
        over=None if limit is None else sum(length > limit for length in lengths),
    )
