"""Showing a run while it happens: progress on stderr, and what each stage found when it ends."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO

from engine.artifacts import results
from engine.evidence import (
    ExportedFile,
    ForgettingResult,
    FormResult,
    StageRecord,
    StageStatus,
    find_metric,
)
from engine.progress import Progress
from engine.recipe.model import Recipe
from engine.render.number_format import duration, prose_name, value_of
from engine.render.progress_display import (
    PlainProgress,
    SilentProgress,
    TerminalProgress,
    columns,
    has_colour,
    open_progress,
)
from engine.render.report.sections.acceptance import drift_line, probe_line, text_line
from engine.render.report.sections.comparisons import against_answers_line, soft_line, teacher_line
from engine.render.report.sections.data import synthetic_lines
from engine.render.report.sections.training import replay_line
from engine.render.report.sections.trials import learning_lines, seeds_line, sweep_lines
from engine.render.stage_lines import (
    baseline_lines,
    check_lines,
    data_line,
    file_line,
    ladder_lines,
    stage_result,
    training_line,
    verdict_line,
)
from engine.stages import STAGES
from engine.store import Artifact
from engine.values import from_json

Artifacts = Mapping[str, Artifact]
_Shown = Callable[[Artifacts, Recipe], str]

MOST = 3
"""Lines of a stage, unless everything is shown."""
JUDGES = ("gate", "verify")
"""Stages that end with a verdict."""


class Console:
    def __init__(self, stream: TextIO, *, quiet: bool, verbose: bool = False) -> None:
        self._stream, self._quiet, self._verbose = stream, quiet, verbose
        self._open: TerminalProgress | PlainProgress | SilentProgress = SilentProgress()
        self._skipped: list[str] = []

    def stage(self, name: str) -> Progress:
        self._open = (
            SilentProgress()
            if self._quiet
            else open_progress(name, self._stream, verbose=self._verbose)
        )
        return self._open

    def ended(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:
        self.close()
        if self._quiet:
            return
        if record.status is StageStatus.SKIPPED:
            self._skip(record)
            return
        found = record.stage in artifacts
        text = _LINES[record.stage](artifacts, recipe) if found else record.status.value
        is_reused = record.status is StageStatus.REUSED
        if is_reused and self._verbose:
            text += f"\nreused: {record.reason}"
        took = "reused" if is_reused else duration(record.seconds)
        drawn = self._write(record.stage, text, took)
        if found and record.stage in JUDGES:
            checks = results.verdict(artifacts, record.stage)
            most = len(checks.checks) if self._verbose else max(0, MOST - drawn)
            colour, width = has_colour(self._stream), columns(self._stream)
            self._stream.write(check_lines(checks, most=most, colour=colour, width=width))
            self._stream.flush()

    def close(self) -> None:
        self._open.close()

    def _skip(self, record: StageRecord) -> None:
        self._skipped.append(record.stage)
        if record.stage == STAGES[-1]:
            self._write("skipped", f"{', '.join(self._skipped)}: {record.reason}", "")

    def _write(self, stage: str, text: str, took: str) -> int:
        shown = stage_result(
            stage,
            text,
            took=took,
            most=0 if self._verbose else MOST,
            colour=has_colour(self._stream),
            width=columns(self._stream),
        )
        self._stream.write(shown)
        self._stream.flush()
        return shown.count("\n")


def _data(artifacts: Artifacts, _recipe: Recipe) -> str:
    summary = results.data_summary(artifacts["data"])
    warned = [one.message for one in summary.findings if one.action == "warn" and one.count]
    return "\n".join([data_line(summary), *warned])


def _baseline(artifacts: Artifacts, recipe: Recipe) -> str:
    baselines = results.baselines(artifacts, recipe)
    shown = baseline_lines(baselines, metric=recipe.headline) if baselines else "none asked for"
    hints = results.curves({"baseline": artifacts["baseline"]})
    absent = results.left_out(artifacts)
    return "\n".join([shown, *absent, *learning_lines(hints, folds=None, metric=recipe.headline)])


def _asked(
    stage: str, read: Callable[[Artifacts], Any], lines: Callable[[Any], Iterable[str]]
) -> _Shown:
    """Return the lines of a stage that queries a model, and those of the baselines on its rows."""

    def shown(artifacts: Artifacts, recipe: Recipe) -> str:
        found = read(artifacts)
        baselines = results.baselines({stage: artifacts[stage]}, recipe) if found else ()
        beside = [baseline_lines(baselines, metric=recipe.headline)] if baselines else []
        return "\n".join([*(lines(found) if found else ()), *beside])

    return shown


def _compile(artifacts: Artifacts, recipe: Recipe) -> str:
    keys = len(results.read_json(artifacts["compile"], "provenance.json"))
    return f"{recipe.backend.name} config of {keys} keys, each traced to the recipe"


def _evaluate(artifacts: Artifacts, recipe: Recipe) -> str:
    metric = recipe.headline
    values = {
        rows: find_metric(scores, metric) for rows, scores in results.scores(artifacts).items()
    }
    parts = [f"{rows} {value_of(metric, value.value)}" for rows, value in values.items() if value]
    return f"{prose_name(metric)}: {' · '.join(parts)}"


def _resample(artifacts: Artifacts, recipe: Recipe) -> str:
    curves = results.curves({"resample": artifacts["resample"]})
    folds = results.folds(artifacts, recipe)
    lines = [*learning_lines(curves, folds=folds, metric=recipe.headline)]
    if (artifacts["resample"].path / results.ANSWERS_WITHOUT).is_file():
        lines.append(
            "trained without the synthetic rows as well: the gate compares both on the holdout"
        )
    return "\n".join(lines)


def _forgetting(found: ForgettingResult) -> Iterator[str]:
    yield probe_line(found.overall, found)
    if found.text:
        yield text_line(found.text)


def _quantize(artifacts: Artifacts, _recipe: Recipe) -> str:
    files = from_json(list[ExportedFile], results.read_json(artifacts["quantize"], "export.json"))
    return file_line(files) or ", ".join(file.name for file in files)


def _verify(artifacts: Artifacts, recipe: Recipe) -> str:
    found = results.read_json(artifacts["verify"], "verify.json")
    ladder = [from_json(FormResult, item) for item in found.get("ladder", ())]
    shown = ladder_lines(ladder, metric=recipe.headline)
    return "\n".join(filter(None, [verdict_line(results.verdict(artifacts, "verify")), shown]))


def _of(read: Callable[[Artifacts], Any], lines: Callable[[Any], Iterable[str]]) -> _Shown:
    return lambda artifacts, _: "\n".join(lines(found)) if (found := read(artifacts)) else ""


_LINES: dict[str, _Shown] = {
    "data": _data,
    "baseline": _baseline,
    "synthesize": _asked("synthesize", results.synthetic, synthetic_lines),
    "teach": _asked("teach", results.teacher, lambda found: [teacher_line(found)]),
    "replay": _of(results.replay, lambda found: [replay_line(found)]),
    "soft_targets": _of(results.soft_targets, lambda found: [soft_line(found)]),
    "sweep": _of(results.sweep, sweep_lines),
    "compile": _compile,
    "train": _of(results.training, lambda found: [training_line(found)]),
    "evaluate": _evaluate,
    "resample": _resample,
    "forgetting": _of(results.forgetting, _forgetting),
    "drift": _of(results.drift, lambda found: map(drift_line, found.scores)),
    "gate": lambda artifacts, _: verdict_line(results.verdict(artifacts, "gate")),
    "seeds": lambda artifacts, recipe: (
        seeds_line(found, recipe.headline) if (found := results.seeds(artifacts)) else ""
    ),
    "answers_only": _of(
        results.soft_against_answers,
        lambda found: map(against_answers_line, found.comparisons),
    ),
    "merge": _of(
        lambda artifacts: results.read_json(artifacts["merge"], "merge.json"),
        lambda found: [f"{found['changed']} of {found['total']} tensors changed"],
    ),
    "quantize": _quantize,
    "verify": _verify,
}
