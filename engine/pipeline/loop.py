"""The only loop over stages: it plans each as its needs become known, runs or reuses it, and records how it went."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from engine.artifacts import results
from engine.artifacts.results import is_readable
from engine.artifacts.stage import AtOnce, StageContext
from engine.compute.profile import ONE, Ranks
from engine.environment import restrict_to
from engine.errors import DataError, EngineError, ExitCode, StageError
from engine.evidence import StageRecord, StageStatus
from engine.failures import as_engine_error
from engine.lock.policy import InputCheck
from engine.pipeline.data_outlook import power_estimates, too_few_groups
from engine.pipeline.plan import FORCED, UNUSABLE, PlanInputs, PlannedStage, plan_run, products
from engine.process import interrupts
from engine.progress import Progress, note_waiting
from engine.recipe.model import Recipe
from engine.stages import after_of, load_stage, needs_of, references_of, stages_of
from engine.store import Artifact, DamagedError, StageKey, Store, Stored
from engine.store.remote.shared_store import Sharing
from engine.training.trials import discard
from engine.values import Value, replace


class Watcher(Protocol):
    """Receives what happens while it happens: a terminal, a test."""

    def stage(self, name: str) -> Progress: ...

    def ended(
        self, record: StageRecord, artifacts: Mapping[str, Artifact], recipe: Recipe
    ) -> None: ...


@dataclass(slots=True, kw_only=True)
class RunState:
    """One walk through the stages: what has been done so far. Only the pipeline appends to it."""

    recipe: Recipe
    store: Store
    inputs: PlanInputs
    started: datetime
    trained: Recipe
    records: list[StageRecord] = field(default_factory=list)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    payloads: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    stop: results.Stop | None = None
    error: EngineError | None = None
    ranks: Ranks = ONE
    at_once: int = 1

    @property
    def outcome(self) -> str:
        return self.stop.outcome if self.stop else "accepted"


class RunOptions(Value):
    """The caller's wishes beyond the recipe: nothing here can change a result."""

    until: str | None = None
    force: tuple[str, ...] = ()
    previous: Mapping[str, Mapping[str, Any]] = {}
    input_check: InputCheck | None = None
    events: Path | None = None
    """The file that the run's events are written to, below the store's root; None for one of its own."""
    ranks: Ranks = ONE
    at_once: int = 1
    """Trainings beside the model (seeds, settings, folds, points of a curve) that run at the same time."""
    sharing: Sharing | None = None


def run_stages(
    recipe: Recipe, store: Store, *, inputs: PlanInputs, options: RunOptions, watcher: Watcher
) -> RunState:
    """Run or reuse every stage in order, until one says stop. Never raises an `EngineError`: it is in the result.

    A request to end is raised in a stage and nowhere else, so that it is in the result too.
    """
    # before any library counts the GPUs: a trainer that sees several takes them all, and batches
    # are not the recipe's
    restrict_to(inputs.device)
    state = RunState(
        recipe=recipe,
        trained=recipe,
        store=store,
        inputs=inputs,
        started=datetime.now(UTC),
        ranks=options.ranks,
        at_once=options.at_once,
    )
    with interrupts.uninterrupted():
        _run_all(state, options, watcher)
    return state


def _run_all(state: RunState, options: RunOptions, watcher: Watcher) -> None:
    recipe, store, inputs = state.recipe, state.store, state.inputs
    for name in stages_of(recipe):
        done = {record.stage for record in state.records}
        # Planned anew before each stage: keys of later ones stand on what earlier ones counted or
        # chose.
        plan = plan_run(
            recipe,
            store,
            inputs=inputs,
            previous=options.previous,
            # those that this walk has not run yet
            force=[name for name in options.force if name not in done],
            until=name,
        )
        planned = plan.stage(name)
        if planned.key is not None:
            state.payloads[name] = planned.key.payload
        if state.stop is None:
            record = _attempt(planned, state, watcher, options.input_check)
        else:
            record = _record(planned, StageStatus.SKIPPED, reason=state.stop.why)
        state.records.append(record)
        state.trained = results.trained(recipe, state.artifacts)
        if state.stop is None:
            state.stop = results.after(name, state.artifacts, recipe)
        if state.stop is None and options.until == name:
            why = f"--until {name}"
            state.stop = results.Stop(outcome="stopped", code=ExitCode.ACCEPTED, why=why)
        watcher.ended(record, state.artifacts, state.trained)


def refuse_interrupted(state: RunState) -> None:
    """Raise `Interrupted` again, where a walk that leaves no record of its own was asked to end."""
    interrupts.raise_pending()
    if state.stop is not None and state.stop.outcome == results.INTERRUPTED:
        raise KeyboardInterrupt


def _attempt(
    planned: PlannedStage, state: RunState, watcher: Watcher, input_check: InputCheck | None
) -> StageRecord:
    if planned.key is None:
        raise AssertionError(planned.name)  # its needs have all run: see `plan_run`
    _require_passed(planned.name, state)
    started, store = time.monotonic(), state.store
    keys = [planned.key.digest, *products(planned.name, planned.key).values()]
    if planned.reused is not None and not all(map(store.whole, keys)):
        # planning looks at small files only: a stage runs whose stored result has a byte that changed
        planned = replace(planned, reused=None, reason=UNUSABLE[Stored.DAMAGED])
    reused = planned.reused
    try:
        _require_enough_groups(state)
        with interrupts.interruptible():
            # a reused stage has nothing to show, unless its inputs are looked at
            progress = watcher.stage(planned.name) if input_check or reused is None else None
            if input_check and progress:
                input_check.before(planned.name, progress, reused=reused is not None)
            artifact, built = (reused, False) if reused else _run(planned, state, progress)
            if input_check and progress:
                made = {**state.artifacts, planned.name: artifact}
                input_check.after(planned.name, made, progress)
            _take(planned, artifact, state)
    # before the other errors: a run that was asked to end did not fail
    except KeyboardInterrupt as asked:
        state.stop = results.interrupted(planned.name, interrupts.number_of(asked))
        return _record(planned, StageStatus.INTERRUPTED, since=started)
    except BaseException as error:
        known = as_engine_error(error, store.root)
        if known is None:
            raise
        # left in its place, it would end every further run in the same way
        if isinstance(error, DamagedError):
            store.set_aside(error.artifact.key)
        state.error = known
        state.stop = results.failed(planned.name, state.error.exit_code)
        problems = tuple(problem.headline() for problem in state.error.problems)
        return _record(planned, StageStatus.FAILED, since=started, problems=problems)
    if planned.name == "train" and (left := results.swept_weights(state.artifacts, store.root)):
        discard(left)  # the model was trained before the sweep was
    # another run may have built it while this one waited for it: nothing was decided here then
    # and of two machines that share a store, the other may have been first
    if built and not artifact.taken_from:
        return _record(planned, StageStatus.RAN, since=started)
    origin = f"built {artifact.created}, took {artifact.seconds:.1f} s"
    if artifact.taken_from:
        origin = f"taken from the shared store; built {artifact.created}"
    return _record(planned, StageStatus.REUSED, reason=origin)


def _require_enough_groups(state: RunState) -> None:
    if (data := state.artifacts.get("data")) and state.recipe.splits.by == "group":
        power = power_estimates(state.recipe, results.data_summary(data))
        if problems := too_few_groups(state.recipe, power):
            raise DataError(problems)


def _take(planned: PlannedStage, artifact: Artifact, state: RunState) -> None:
    state.artifacts[planned.name] = artifact
    made = products(planned.name, planned.key) if planned.key else {}
    for product, key in made.items():
        found = state.store.get(key)
        if found is None:
            raise StageError.one("I901", f"stage {planned.name} made no {product}")
        state.artifacts[product] = found


def _require_passed(name: str, state: RunState) -> None:
    """Hold the loop to `AFTER`: what must have passed is there, and its answer lets the run go on."""
    for before in after_of(name):
        passed = before in state.artifacts
        if not passed or results.after(before, state.artifacts, state.recipe) is not None:
            # A refusal stops the loop before this: whoever changes that must not merge a refused model.
            raise AssertionError(f"{name} before {before} has passed")


def _run(
    planned: PlannedStage, state: RunState, progress: Progress | None
) -> tuple[Artifact, bool]:
    """Build the artifact of one stage, a forced one anew, and return whether it was built here."""
    key, store = planned.key, state.store
    if key is None or progress is None:
        raise AssertionError(planned.name)
    stage = load_stage(planned.name)
    previous = planned.previous
    answers = previous.answers if previous else None
    if previous and planned.name == "verify":
        answers = previous.exported or answers
    # The answers of the last accepted model decide.
    if answers is not None and store.whole(answers.key) is None:
        raise DamagedError(answers, "a file does not have its digest")
    # Whose disk lies, or whose store somebody edits, is to know of it.
    if planned.reason.startswith(UNUSABLE[Stored.DAMAGED]):
        progress.note(f"{planned.reason}: they lie in `damaged` of the store, and are made again")

    built = False

    def build(workdir: Path) -> None:
        nonlocal built
        built = True
        stage.run(_context(planned, key, state, workdir=workdir, progress=progress))

    # its bytes are those of its manifest, so `put` would hand it out again
    if (found := store.get(key.digest)) and not is_readable(planned.name, found):
        store.set_aside(key.digest)
    # Where the artifact is there but not what was made beside it, only building it again brings that back.
    lost = any(store.whole(one) is None for one in products(planned.name, key).values())
    anew = planned.reason == FORCED or (lost and store.whole(key.digest) is not None)
    artifact = store.put(planned.name, key, build, anew=anew, waits=partial(note_waiting, progress))
    return artifact, built


def _context(
    planned: PlannedStage, key: StageKey, state: RunState, *, workdir: Path, progress: Progress
) -> StageContext:
    store, needs = state.store, needs_of(planned.name, state.recipe)
    cached = partial(store.cached, waits=partial(note_waiting, progress))
    return StageContext(
        recipe=state.trained,
        device=state.inputs.device,
        artifacts={need: state.artifacts[need] for need in needs},
        key=key.digest,
        inputs={need: state.artifacts[need].key for need in needs},
        base_model=state.inputs.base_model,
        workdir=workdir,
        scratch=store.scratch(key.digest),
        progress=progress,
        cached=cached,
        made_anew=partial(cached, anew=True) if planned.reason == FORCED else None,
        scratch_for=store.scratch_for,
        references={
            name: state.inputs.references[name]
            for name in references_of(planned.name, state.recipe)
        },
        recorded=planned.held.recorded if planned.held else None,
        previous=planned.previous,
        ranks=state.ranks,
        at_once=AtOnce(most=state.at_once, root=store.root, find=store.whole),
    )


def _record(
    planned: PlannedStage,
    status: StageStatus,
    *,
    reason: str = "",
    since: float | None = None,
    problems: tuple[str, ...] = (),
) -> StageRecord:
    return StageRecord(
        stage=planned.name,
        status=status,
        key=planned.key.digest if planned.key else "",
        reason=reason or planned.reason,
        seconds=0.0 if since is None else round(time.monotonic() - since, 2),
        problems=problems,
    )
