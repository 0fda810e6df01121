"""A run in one call: collect inputs, run the stages, report: `recipe run`, importable."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.artifacts import results
from engine.codes import all_codes
from engine.environment import detect_device, devices_for, tool_versions
from engine.errors import EngineError, ExitCode, Problem, Severity, StoreError
from engine.estimate.actuals import CostTracker, Rest
from engine.estimate.shape import refuse_unfit
from engine.evidence import (
    FormResult,
    HoldoutUse,
    Repeat,
    Report,
    Reproduction,
    Scores,
    StageCost,
    StageRecord,
    StageStatus,
)
from engine.files.writing import remove_parts
from engine.lock.file import lock_path, lock_text
from engine.lock.policy import PLAIN, LockOptions, LockPolicy, lock_policy
from engine.lock.writer import LockWriter
from engine.pipeline.loop import RunOptions, RunState, Watcher, run_stages
from engine.pipeline.plan import collect_inputs, moving
from engine.pipeline.report import assemble, describe, write
from engine.pipeline.requirements import (
    refuse_absent,
    refuse_moving,
    refuse_outside,
    refuse_unbound,
    require_backend,
    require_ranks,
)
from engine.process import interrupts
from engine.progress import MeasuredProgress, Progress, mention
from engine.recipe import dump_resolved
from engine.recipe.model import PathRef, Recipe
from engine.recipe.text.extends import with_parent_text
from engine.recipe.text.paths import absolute, from_here
from engine.render.progress_display import Pace
from engine.store import Artifact, Store, make_key
from engine.store.records import BUNDLED_LOCK, Runs, write_text
from engine.store.remote.shared_store import open_store
from engine.store.root import remove_leftovers
from engine.tracking import trackers
from engine.tracking.trackers import EventStream
from engine.training.trained_rows import row_lengths
from engine.values import Value, field, from_json, replace, to_json


class RunResult(Value):
    code: ExitCode
    report: Report
    folder: Path | None
    """None where the store cannot be written: nothing of the run is kept."""
    error: EngineError | None
    events: tuple[str, ...] = ()
    """Events outside of the run folder: the lock that was written."""
    warnings: tuple[Problem, ...] = ()
    """Problems of files that could not be kept, without loss of a result."""


class _LockingWatcher(Value, kw_only=False):
    """A watcher that writes the lock once the splits are drawn, and the stream of events."""

    watcher: Watcher
    keeper: LockWriter
    tracker: CostTracker
    events: EventStream

    def stage(self, name: str) -> Progress:
        if name == "train":
            self.tracker.before_training()
        self.events.write(trackers.STAGE_BEGUN, stage=name)
        inner, rest = self.watcher.stage(name), self.tracker.rest(name)
        return RecordedProgress(stage=name, inner=inner, events=self.events, rest=rest)

    def ended(self, record: StageRecord, artifacts: Mapping[str, Artifact], recipe: Recipe) -> None:
        if record.stage == "data" and "data" in artifacts:
            self.keeper.after_data(artifacts["data"])
        self.tracker.keep(record, artifacts, recipe)
        ended(self.events, record, artifacts, recipe)
        self.watcher.ended(record, artifacts, recipe)


def run_recipe(
    recipe: Recipe,
    warnings: Sequence[Problem],
    *,
    root: Path,
    options: RunOptions,
    watcher: Watcher,
    lock_options: LockOptions = PLAIN,
) -> RunResult:
    """Run a recipe, and write a run folder with its report for every outcome.

    RecipeError R306 to R308 files outside of its project that are not allowed, references that can move without
    `allow_moving`, R272 a stage that it does not have or cannot reach; DataError a local source that cannot be
    identified; EnvironmentProblem a backend that is not installed, X860, X861 the shared store; StageError X730, X731 a
    base model without the method's parts; D389 with `lock_options.frozen` for inputs that the lock does not cover.
    """
    refuse_outside(recipe, warnings)
    refuse_moving(recipe, warnings)
    refuse_unbound(recipe, until=options.until)
    refuse_absent(recipe, options)
    with interrupts.uninterrupted():  # from here on, a request to end has a run folder
        lock = lock_policy(recipe, lock_options)
        device = lock.device(detect_device())
        store = open_store(root, versions=tool_versions(), sharing=options.sharing)
        runs = Runs(root)
        require_backend(recipe, device, until=options.until)
        require_ranks(recipe, device, options.ranks, until=options.until)
        # before the run lets itself see one GPU
        if options.ranks.size > 1:
            seen = devices_for(device, options.ranks.processes, os.environ)
            options = replace(options, ranks=replace(options.ranks, devices=seen))
        refuse_unfit(recipe, store)
        # large local files are hashed here: a signal waits for a part of that
        with interrupts.deferred():
            inputs = collect_inputs(recipe, store, device)
        # read before the stages: the file may be edited while they run
        text = recipe.file.read_text(encoding="utf-8")
        if recipe.extends:  # both texts
            parent = absolute(recipe.extends, recipe.file.parent).read_text(encoding="utf-8-sig")
            text = with_parent_text(text, parent, named=recipe.extends)
        options = replace(
            options,
            previous=runs.payloads(recipe.name),
            input_check=lock.input_check(store),
        )
        keeper = LockWriter(recipe=recipe, store=store, before=inputs.lock)
        tracker = CostTracker(recipe, store, inputs)
        remove_leftovers(store)
        remove_parts(lock_path(recipe.file))
        with events_of(recipe, options, root) as events:
            watcher = _LockingWatcher(watcher, keeper, tracker, events)
            state = run_stages(recipe, store, inputs=inputs, options=options, watcher=watcher)
            try:
                ending = _Ending(
                    state=state,
                    store=store,
                    keeper=keeper,
                    lock=lock,
                    text=text,
                    warnings=tuple(warnings),
                    costs=tracker.costs(state.records, state.artifacts),
                    events=events,
                )
                return ending.finish()
            except EngineError:
                # A disk that is full for a stage is full for its report.
                if state.error is not None:
                    raise state.error from None
                raise


class _Ending(Value):
    """The end of a run: its lock, its report and its folder."""

    state: RunState
    store: Store
    keeper: LockWriter
    lock: LockPolicy
    text: str
    """Text of the recipe's file when the run began."""
    warnings: tuple[Problem, ...]
    costs: tuple[StageCost, ...]
    events: EventStream

    def finish(self) -> RunResult:
        state, store = self.state, self.store
        recipe, runs = state.recipe, Runs(store.root)
        resolved = dump_resolved(recipe)
        if state.outcome != results.INTERRUPTED:
            store.settle()
        self._stop_if_asked()
        repeated = self.lock.verdict(
            state.artifacts, state.records, outcome=state.outcome, error=state.error, runs=runs
        )
        try:
            run = runs.create(recipe.name, make_key({"recipe": resolved}).digest)
        except EngineError as error:
            report = self._report(None, repeated)
            report = replace(report, run_directory="", files=(), next_steps=())
            known = (StageStatus.REUSED, StageStatus.SKIPPED)
            is_known = state.error is None and all(one.status in known for one in state.records)
            if is_known and isinstance(error, StoreError):
                stop = state.stop.code if state.stop else ExitCode.ACCEPTED
                code = self.lock.exit_code(stop, repeated)
                warnings = tuple(replace(one, severity=Severity.WARNING) for one in error.problems)
                return RunResult(
                    code=code, report=report, folder=None, error=None, warnings=warnings
                )
            error = state.error or error
            return RunResult(code=error.exit_code, report=report, folder=None, error=error)
        try:
            return self._recorded(run, repeated)
        # Ctrl-C too: a folder without a record is of no use
        except BaseException:
            runs.discard(run)
            raise

    def _recorded(self, run: Path, repeated: Reproduction | None) -> RunResult:
        state, store, keeper, lock = self.state, self.store, self.keeper, self.lock
        runs, outcome = Runs(store.root), state.outcome
        if outcome == "accepted":
            proved = lock.proved(state.artifacts)
            if proved is not None:
                keeper.accept(proved)
        use = keeper.finish(
            state.records,
            state.artifacts,
            run=run.name,
            started=state.started.isoformat(),
            outcome=outcome,
            repeats=repeated is not None and repeated.verdict is Repeat.EXACT,
        )
        report = self._report(run, repeated, use)
        write(report, run, state.artifacts, store)
        if self._stop_if_asked():  # while the report was written
            report = self._report(run, repeated, use)
            runs.clear(run)
            write(report, run, state.artifacts, store)
        code = lock.exit_code(state.stop.code if state.stop else ExitCode.ACCEPTED, repeated)
        if state.outcome == "accepted" and keeper.now is not None:
            # before the record, which holds its digest
            write_text(run / BUNDLED_LOCK, lock_text(keeper.now))
        last = files_and_end(self.events, report, code)
        text = self.events.text()
        if self.events.is_whole:
            write_text(run / trackers.EVENTS_FILE, text + last)
        names = ("verdict", "first_difference", "summary")
        done = [one for one in state.records if one.status is not StageStatus.SKIPPED]
        record = {
            "recipe": report.recipe_name,
            "started": report.started,
            "seconds": report.seconds,
            "outcome": report.outcome,
            "exit_code": int(code),
            "reproduction": {name: getattr(repeated, name) for name in names} if repeated else None,
            "stages": {
                one.stage: {"status": one.status.value, "key": one.key} for one in state.records
            },
            "costs": [to_json(cost) for cost in report.costs],
            "payloads": {
                one.stage: state.payloads[one.stage] for one in done if one.stage in state.payloads
            },
        }
        runs.record(run, record)
        self.events.append(last)
        keeper.keep()
        lost = Problem(
            code="X870",
            message=f"the run's {trackers.EVENTS_FILE} could not be written; its report is whole",
            hint="look whether the disk is full, or whether somebody else has written below .recipe/logs",
            severity=Severity.WARNING,
        )
        lost_events = () if self.events.is_whole else (lost,)
        return RunResult(
            code=code,
            report=report,
            folder=run,
            error=state.error,
            events=tuple(keeper.messages),
            warnings=(*keeper.problems, *store.problems(), *lost_events),
        )

    def _report(
        self, run: Path | None, repeated: Reproduction | None, use: HoldoutUse | None = None
    ) -> Report:
        state, keeper = self.state, self.keeper
        recipe, base = state.recipe, state.inputs.base_model
        warnings = (problem.headline() for problem in (*self.warnings, *keeper.store.problems()))
        values = {
            "recipe_text": self.text,
            "run_directory": run.as_posix() if run else "",
            "warnings": (*warnings, *keeper.warnings),
            "holdout_use": use,
            "reproduction": repeated,
            "costs": self.costs,
            "lengths": tuple(row_lengths(state.trained, keeper.store, state.artifacts, base)),
        }
        notes = [*moving(recipe), *keeper.notes, *keeper.store.notes()]
        return assemble(state, from_here(recipe.file), notes=notes, given=values)

    def _stop_if_asked(self) -> bool:
        """Mark the run as interrupted if a signal came after its last stage; tell whether one did."""
        number = interrupts.pending()
        if number is None or self.state.outcome == results.INTERRUPTED:
            return False
        self.state.stop = results.interrupted("report", number)
        return True


class RecordedProgress(Value):
    """Progress of a stage that also writes measured steps to the stream."""

    stage: str
    inner: Progress
    events: EventStream
    rest: Rest
    pace: Pace = field(default_factory=Pace)
    began: float = field(default_factory=time.monotonic)

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        now = time.monotonic()
        self.pace.add(now, done, total=total, unit=unit)
        if run := self.rest.words(now - self.began, self.pace.seconds_left() if total else None):
            facts["run"] = run
        self.inner.update(done, total, unit, **facts)

    def note(self, text: str) -> None:
        self.inner.note(text)

    def mention(self, text: str) -> None:
        mention(self.inner, text)

    def measured(
        self, step: int, steps: int, numbers: Mapping[str, float], *, of: str = ""
    ) -> None:
        self.events.write(
            trackers.STEP, stage=self.stage, of=of or None, step=step, steps=steps, values=numbers
        )
        if isinstance(self.inner, MeasuredProgress):
            self.inner.measured(step, steps, numbers, of=of)


@contextlib.contextmanager
def events_of(recipe: Recipe, options: RunOptions, root: Path) -> Iterator[EventStream]:
    """Yield the stream of a run, with its first event. An unnamed file is deleted: the run's folder has a copy."""
    events = EventStream(options.events or trackers.live_file(root), below=root)
    try:
        base = recipe.base_model
        plain = (str, int, float, bool)
        method = {
            name: value
            for name, value in to_json(recipe.method).items()
            if isinstance(value, plain)
        }
        events.write(
            trackers.BEGUN,
            recipe=recipe.name,
            kind=recipe.task.kind,
            # the path of a local model is of one machine only
            base_model="a local model" if isinstance(base, PathRef) else describe(base),
            backend=recipe.backend.name,
            method=method,
            versions=tool_versions(),
        )
        yield events
    finally:
        events.close()
        if options.events is None:
            events.discard()


def ended(
    events: EventStream, record: StageRecord, artifacts: Mapping[str, Artifact], recipe: Recipe
) -> None:
    """Write the end of a stage, and its numbers, checks and verdict."""
    if record.stage in artifacts and record.status in (StageStatus.RAN, StageStatus.REUSED):
        scores: dict[str, Scores] = {}
        if record.stage in results.ASKING:
            only = {record.stage: artifacts[record.stage]}
            scores = {one.name: one.scores for one in results.baselines(only, recipe)}
        elif record.stage == "evaluate":
            scores = results.scores(artifacts)
        elif record.stage == "verify":
            rungs = results.read_json(artifacts["verify"], "verify.json").get("ladder", ())
            scores = {one.name: one.scores for one in from_json(tuple[FormResult, ...], rungs)}
        for of, found in scores.items():
            values = {one.name: one.value for one in found.metrics if one.value is not None}
            events.write(
                trackers.METRICS, stage=record.stage, of=of, rows=found.rows, values=values
            )
        if record.stage in ("gate", "verify"):
            verdict = results.verdict(artifacts, record.stage)
            for check in verdict.checks:
                events.write(
                    trackers.CHECK,
                    stage=record.stage,
                    name=check.name,
                    status=check.status.value,
                    got=check.got,
                    direction=check.direction,
                    bound=check.bound,
                    decided_on=check.decided_on,
                    rows=check.n,
                )
            events.write(trackers.VERDICT, stage=record.stage, status=verdict.status.value)
    # only codes of problems: a message may cite a row
    known = all_codes() if record.problems else {}
    firsts = (next(filter(known.__contains__, text.split()), "") for text in record.problems)
    codes = [*filter(None, firsts)]
    events.write(
        trackers.STAGE_ENDED,
        stage=record.stage,
        status=record.status.value,
        seconds=record.seconds,
        problems=codes or None,
    )


def files_and_end(events: EventStream, report: Report, code: ExitCode) -> str:
    """Write the exported files, and return the last line, about the outcome, for after the record."""
    for file in report.files:
        events.write(
            trackers.FILE, name=file.name, format=file.format, bytes=file.bytes, sha256=file.sha256
        )
    return trackers.line_of(
        trackers.ENDED,
        recipe=report.recipe_name,
        outcome=report.outcome,
        summary=report.summary,
        exit_code=int(code),
        seconds=report.seconds,
    )
