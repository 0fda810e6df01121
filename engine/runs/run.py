"""A run in one call: collect inputs, run the stages, report: `recipe run`, importable."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.artifacts import results
from engine.environment import detect_device, devices_for, tool_versions
from engine.errors import EngineError, ExitCode, Problem, Severity, StoreError
from engine.estimate.actuals import CostTracker
from engine.estimate.shape import refuse_unfit
from engine.evidence import (
    HoldoutUse,
    Repeat,
    Report,
    Reproduction,
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
from engine.pipeline.report import assemble, write
from engine.pipeline.requirements import (
    refuse_absent,
    refuse_moving,
    refuse_outside,
    refuse_unbound,
    require_backend,
    require_ranks,
)
from engine.process import interrupts
from engine.progress import Progress
from engine.recipe import dump_resolved
from engine.recipe.model import Recipe
from engine.recipe.text.extends import with_parent_text
from engine.recipe.text.paths import absolute, from_here
from engine.runs.run_events import RecordedProgress, ended, events_of, files_and_end, keep, not_kept
from engine.store import Artifact, Store, make_key
from engine.store.records import BUNDLED_LOCK, Runs, write_text
from engine.store.remote.shared_store import open_store
from engine.store.root import remove_leftovers
from engine.tracking.trackers import STAGE_BEGUN, EventStream
from engine.training.trained_rows import row_lengths
from engine.values import Value, replace, to_json


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


_KNOWN = (StageStatus.REUSED, StageStatus.SKIPPED)


class _LockingWatcher(Value, kw_only=False):
    """A watcher that writes the lock once the splits are drawn, and the stream of events."""

    watcher: Watcher
    keeper: LockWriter
    tracker: CostTracker
    events: EventStream

    def stage(self, name: str) -> Progress:
        if name == "train":
            self.tracker.before_training()
        self.events.write(STAGE_BEGUN, stage=name)
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
            is_known = state.error is None and all(one.status in _KNOWN for one in state.records)
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
        keep(self.events, run, last)
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
        lost = () if self.events.is_whole else (not_kept(),)
        return RunResult(
            code=code,
            report=report,
            folder=run,
            error=state.error,
            events=tuple(keeper.messages),
            warnings=(*keeper.problems, *store.problems(), *lost),
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
