"""Showing a run while it happens: progress on stderr, and what each stage found when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO

from engine.evidence import (
    ExportedFile,
    StageRecord,
    StageStatus,
    Status,
    data_from_json,
    training_from_json,
)
from engine.recipe.model import Recipe
from engine.render.learning import learning_lines
from engine.render.progress import (
    PlainProgress,
    SilentProgress,
    TerminalProgress,
    has_colour,
    open_progress,
)
from engine.render.text import (
    baseline_lines,
    check_lines,
    data_line,
    stage_result,
    training_line,
    verify_line,
)
from engine.stages import STAGES, flow
from engine.stages.base import Progress
from engine.store import Artifact

Artifacts = Mapping[str, Artifact]

JUDGES = ("gate", "verify")
"""Stages that end with a verdict."""


class Console:
    """The watcher of `recipe run`."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        """`stream` is where it is shown; `quiet` shows nothing before the final result."""
        self._stream, self._quiet = stream, quiet
        self._open: TerminalProgress | PlainProgress | SilentProgress = SilentProgress()
        self._skipped: list[str] = []

    def stage(self, name: str) -> Progress:
        """Open the live line of a stage."""
        self._open = SilentProgress() if self._quiet else open_progress(name, self._stream)
        return self._open

    def ended(self, record: StageRecord, artifacts: Artifacts, recipe: Recipe) -> None:
        """Replace the live line by what the stage found."""
        self._open.close()
        if self._quiet:
            return
        if record.status is StageStatus.SKIPPED:
            self._skip(record)
            return
        colour = has_colour(self._stream)
        found = record.stage in artifacts
        told = _TELL[record.stage](artifacts, recipe) if found else record.status.value
        if record.status is StageStatus.REUSED:
            told += f"\nreused: {record.reason}"
        self._stream.write(stage_result(record.stage, told, seconds=record.seconds, colour=colour))
        if found and record.stage in JUDGES:
            checks = flow.verdict(artifacts, record.stage)
            self._stream.write(check_lines(checks, stage="", colour=colour))
        self._stream.flush()

    def _skip(self, record: StageRecord) -> None:
        """Name all skipped stages, and why, in one line at the end."""
        self._skipped.append(record.stage)
        if record.stage == STAGES[-1]:
            told = f"{', '.join(self._skipped)}: {record.reason}"
            colour = has_colour(self._stream)
            self._stream.write(stage_result("skipped", told, seconds=None, colour=colour))
            self._stream.flush()


def _data(artifacts: Artifacts, _recipe: Recipe) -> str:
    summary = data_from_json(flow.read_json(artifacts["data"], "summary.json"))
    sizes = " / ".join(f"{split.rows} {split.name}" for split in summary.splits)
    warned = [f.message for f in summary.findings if f.action == "warn" and f.count]
    return "\n".join([data_line(summary), sizes, *warned])


def _baseline(artifacts: Artifacts, recipe: Recipe) -> str:
    results = flow.baselines(artifacts, recipe)
    told = baseline_lines(results, metric="macro_f1") if results else "none asked for"
    hints = flow.curves({"baseline": artifacts["baseline"]})
    return "\n".join([told, *learning_lines(hints, folds=None)])


def _compile(artifacts: Artifacts, recipe: Recipe) -> str:
    keys = len(flow.read_json(artifacts["compile"], "provenance.json"))
    return f"{recipe.backend.name} config of {keys} keys, each traced to the recipe"


def _train(artifacts: Artifacts, _recipe: Recipe) -> str:
    return training_line(training_from_json(flow.read_json(artifacts["train"], "training.json")))


def _evaluate(artifacts: Artifacts, _recipe: Recipe) -> str:
    scores = flow.read_json(artifacts["evaluate"], "scores.json")
    values = {
        rows: next((m["value"] for m in found["metrics"] if m["name"] == "macro_f1"), None)
        for rows, found in scores.items()
        if found
    }
    told = (f"{rows} {'undefined' if v is None else f'{v:.3f}'}" for rows, v in values.items())
    return f"macro-F1: {' · '.join(told)}"


def _resample(artifacts: Artifacts, recipe: Recipe) -> str:
    curves = flow.curves({"resample": artifacts["resample"]})
    return "\n".join(learning_lines(curves, folds=flow.folds(artifacts, recipe)))


def _gate(artifacts: Artifacts, _recipe: Recipe) -> str:
    return _verdict(artifacts, "gate")


def _verdict(artifacts: Artifacts, stage: str) -> str:
    answer = flow.verdict(artifacts, stage)
    passed = sum(check.status is Status.PASS for check in answer.checks)
    return f"{answer.status.value}: {passed} of {len(answer.checks)} checks hold"


def _merge(artifacts: Artifacts, _recipe: Recipe) -> str:
    facts = flow.read_json(artifacts["merge"], "merge.json")
    return f"{facts['changed']} of {facts['total']} tensors changed"


def _quantize(artifacts: Artifacts, _recipe: Recipe) -> str:
    files = [ExportedFile(**item) for item in flow.read_json(artifacts["quantize"], "export.json")]
    return verify_line(files, agreement=None, rows=0) or ", ".join(file.name for file in files)


def _verify(artifacts: Artifacts, recipe: Recipe) -> str:
    found = flow.read_json(artifacts["verify"], "verify.json")
    scores = found["scores"]["quantized"]
    if scores is None:
        return _verdict(artifacts, "verify")
    rows = scores["rows"]
    macro_f1 = next(m["value"] for m in scores["metrics"] if m["name"] == "macro_f1")
    value = "undefined" if macro_f1 is None else f"{macro_f1:.3f}"
    agreed = round(found["agreement"] * rows)
    file = f"{recipe.export.quantizations[0]} macro-F1 {value}, agrees on {agreed} of {rows} rows"
    return f"{file}\n{_verdict(artifacts, 'verify')}"


_TELL: dict[str, Callable[[Artifacts, Recipe], str]] = {
    "data": _data,
    "baseline": _baseline,
    "compile": _compile,
    "train": _train,
    "evaluate": _evaluate,
    "resample": _resample,
    "gate": _gate,
    "merge": _merge,
    "quantize": _quantize,
    "verify": _verify,
}
