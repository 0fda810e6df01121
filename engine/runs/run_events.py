"""Events of a run for its stream (`engine.tracking.trackers`), of each stage and at its end."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.artifacts import results
from engine.codes import all_codes
from engine.environment import tool_versions
from engine.errors import ExitCode, Problem, Severity
from engine.estimate.actuals import Rest
from engine.evidence import FormResult, Report, Scores, StageRecord, StageStatus
from engine.pipeline.loop import RunOptions
from engine.pipeline.report import describe
from engine.progress import MeasuredProgress, Progress, mention
from engine.recipe.model import PathRef, Recipe
from engine.render.progress_display import Pace
from engine.store import Artifact
from engine.store.records import write_text
from engine.tracking import trackers
from engine.tracking.trackers import EventStream
from engine.values import Value, field, from_json, to_json

Artifacts = Mapping[str, Artifact]
JUDGES = ("gate", "verify")


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


def keep(events: EventStream, run: Path, last: str) -> None:
    text = events.text()
    if events.is_whole:
        write_text(run / trackers.EVENTS_FILE, text + last)


def not_kept() -> Problem:
    return Problem(
        code="X870",
        message=f"the run's {trackers.EVENTS_FILE} could not be written; its report is whole",
        hint="look whether the disk is full, or whether somebody else has written below .recipe/logs",
        severity=Severity.WARNING,
    )


def ended(events: EventStream, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:
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
        if record.stage in JUDGES:
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
