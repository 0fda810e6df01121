"""What the ways of one task came to: runs and their store become one table, paired row by row, and a section of a page.

Every line is judged on the same holdout rows and compared with the LoRA on the labelled rows. Nothing is asked anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from results_cases import Case
from results_reports import COMMIT, PROBLEM, hardware_of, versions_of
from results_table import Number
from ways_recipes import (
    ANSWERS,
    FEWER,
    KEEP,
    LORA,
    SOFT,
    SPEED,
    TEACHER,
    WAYS,
    WITHHELD,
    Sizes,
)

from engine import load_report
from engine.artifacts.results import ASKING, BASELINES
from engine.data.examples.example import content_id
from engine.evidence import Comparison, Metric, Report
from engine.metrics.comparing import comparisons_with, corrected
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.resampling import pair
from engine.metrics.scoring import score
from engine.runs.stored_run import StoredRun
from engine.store import Artifact, Store
from engine.store.records import Runs, read_record
from engine.values import from_json, to_json

TABLE: Final = "ways.json"
"""Beside the table of the results page."""
TEACHER_SVM: Final = f"{TEACHER}_tfidf_svm"
TITLES: Final[Mapping[str, str]] = {
    "zero_shot": "zero-shot: the untouched model, asked",
    "few_shot": "few-shot: the same, shown labelled rows",
    "tfidf_svm": "linear SVM on the labelled rows",
    "tfidf_svm_teacher_rows": "linear SVM on labelled rows and the teacher's answers",
    "tfidf_svm_synthetic_rows": "linear SVM on labelled and synthetic rows",
    TEACHER_SVM: "linear SVM on the rows that the teacher learned from",
}
"""Baselines that are lines of the table, in its order before the ways."""
PAIRS: Final = ((ANSWERS, TEACHER), (SOFT, ANSWERS), (FEWER, TEACHER), (FEWER, ANSWERS))
"""Ways that are compared with each other besides."""
LORA_FIRST: Final = (LORA, "full", ANSWERS, SOFT, FEWER, "synthetic", TEACHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WayLine:
    """One way."""

    name: str
    title: str
    rows: int | None = None
    """Trained on; None where nothing is."""
    score: Number = field(default_factory=Number)
    gain: Number = field(default_factory=Number)
    """Over the LoRA on the labelled rows, paired; without one for that line itself."""
    p_adjusted: float | None = None
    """That there is no difference, after Holm's correction over the lines of the table."""
    parameters: int | None = None
    megabytes: float | None = None
    """Of the exported files; of a model that only answers, its weights in memory."""
    rows_a_second: float | None = None
    minutes: float | None = None
    problem: str = ""
    """Why there is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayPair:
    """One way against another one, paired: more is better for the first."""

    first: str
    second: str
    gain: Number
    p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherLabels:
    """How often the teacher is right about the rows whose labels it was not shown."""

    asked: int
    right: float
    confidence: float
    kept: float
    """Share of the asked rows that it answers at least so surely."""
    kept_right: float | None
    minutes: float
    """Of asking it these rows, the validation rows and the holdout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticRows:
    """What became of the rows that a model was asked to write."""

    asked: int
    kept: int
    refused: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysTable:
    """Everything that the section says."""

    schema: str = "ways.v1"
    title: str
    origin: str
    metric: str
    sizes: Sizes
    date: str
    hardware: str
    commit: str
    base_model: str
    versions: dict[str, str]
    holdout: str
    """Digest of the rows that every line was judged on."""
    lines: tuple[WayLine, ...]
    pairs: tuple[WayPair, ...] = ()
    labels: TeacherLabels | None = None
    synthetic: SyntheticRows | None = None


def collect(folder: Path, *, store: Path, case: Case, sizes: Sizes) -> WaysTable:
    """Return the table of what was run in a folder. ValueError for runs of other holdout rows."""
    runs = {way.name: _WayRun.of(way.name, Store(store)) for way in WAYS}
    first = runs[LORA]
    if first is None:
        raise ValueError(f"{folder} has no run of {LORA}: python benchmarks/ways.py run")
    there = {name: run for name, run in runs.items() if run is not None}
    if len({run.holdout for run in there.values()}) > 1:
        raise ValueError(f"the runs in {folder} were judged on different rows: run them anew")
    speeds = _speeds(Store(store))
    answers = {name: run.answers for name, run in there.items()}
    others = {
        f"{TEACHER}_{name}" if way == TEACHER else name: rows
        for way, run in there.items()
        for name, rows in run.baselines(TITLES).items()
    }
    judging, metric = first.judging, case.judged_by
    compared = _compared({**others, **answers}, answers[LORA], judging, metric)
    lines = [
        _line(name, title, rows=others.get(name), judging=judging, metric=metric)
        for name, title in TITLES.items()
    ]
    titles = {way.name: way.title for way in WAYS}
    for name in LORA_FIRST:
        run = runs[name]
        line = _line(name, titles[name], rows=answers.get(name), judging=judging, metric=metric)
        problem = folder / f"{name}.{PROBLEM}"
        if run is not None:
            line = replace(
                line, rows=run.trained_rows, minutes=run.minutes, megabytes=run.megabytes
            )
        elif problem.is_file():
            line = replace(line, problem=problem.read_text("utf-8").splitlines()[0])
        lines.append(line)
    return WaysTable(
        title=case.title,
        origin=case.origin,
        metric=metric,
        sizes=sizes,
        date=first.report.started[:10],
        hardware=hardware_of(first.report),
        commit=(folder / COMMIT).read_text("utf-8") if (folder / COMMIT).is_file() else "",
        base_model=first.report.base_model,
        versions=versions_of([first.report]),
        holdout=first.holdout,
        lines=tuple(_with_gain(_with_speed(line, speeds), compared) for line in lines),
        pairs=tuple(_pairs(answers, judging, metric)),
        labels=_labels(folder, there.get(ANSWERS)),
        synthetic=_synthetic(there.get("synthetic")),
    )


def last_run(store: Path, name: str) -> Path | None:
    """Return the folder of a recipe's last finished run in a store; None without one."""
    runs = Runs(store).of(name)
    return runs[-1] if runs else None


def stages_of(folder: Path, store: Store) -> dict[str, Artifact]:
    """Return what the stages of a run left and the store still has."""
    keys = {name: one.get("key") for name, one in read_record(folder)["stages"].items()}
    found = {name: store.whole(key) for name, key in keys.items() if key}
    return {name: one for name, one in found.items() if one is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class _WayRun:
    """A finished run and what of it is in the store."""

    report: Report
    stages: Mapping[str, Artifact]
    answers: Sequence[Prediction]
    judging: Judging

    @classmethod
    def of(cls, name: str, store: Store) -> _WayRun | None:
        """Return the last run of a recipe; None where it judged no model."""
        folder = last_run(store.root, name)
        if folder is None:
            return None
        report = load_report(folder, store=store.root)
        if report.holdout is None:
            return None
        found = StoredRun(folder, store, refused="it is not compared")
        return cls(
            report=report,
            stages=stages_of(folder, store),
            answers=found.answers,
            judging=Judging.of(found.recipe),
        )

    @property
    def holdout(self) -> str:
        """The digest of its holdout."""
        return self.report.holdout_use.digest if self.report.holdout_use else ""

    @property
    def trained_rows(self) -> int | None:
        """Different rows that it was trained on."""
        return self.report.training.rows if self.report.training else None

    @property
    def minutes(self) -> float:
        """What its stages took when they were built, but for asking baselines and a teacher."""
        own = (
            one.seconds for name, one in self.stages.items() if name not in ("baseline", "teach")
        )
        return sum(own) / 60

    @property
    def megabytes(self) -> float | None:
        """Of all exported files; None where none did."""
        return sum(file.bytes for file in self.report.files) / 1e6 or None

    def baselines(self, names: Mapping[str, str]) -> dict[str, list[Prediction]]:
        """Return the answers of its baselines to the holdout, of those names."""
        found = {}
        for stage in ASKING:
            for name in names if stage in self.stages else ():
                path = self.stages[stage].path / f"predictions.{name}.jsonl"
                if path.is_file():
                    found[name] = read_predictions(path)
        return found


def _line(
    name: str, title: str, *, rows: Sequence[Prediction] | None, judging: Judging, metric: str
) -> WayLine:
    if rows is None:
        return WayLine(name=name, title=title, problem="not run")
    measured = next(one for one in score(rows, judging).metrics if one.name == metric)
    return WayLine(name=name, title=title, score=_number(measured))


def _number(found: Metric | Comparison) -> Number:
    value = found.value if isinstance(found, Metric) else found.difference
    inside = found.interval
    return Number(
        mean=value,
        low=inside.low if inside else None,
        high=inside.high if inside else None,
        runs=1,
    )


def _compared(
    others: Mapping[str, Sequence[Prediction]],
    lora: Sequence[Prediction],
    judging: Judging,
    metric: str,
) -> dict[str, Comparison]:
    """Compare each line with the LoRA; p-values are corrected over all of them."""
    found = [
        one
        for name, rows in others.items()
        if name not in (LORA, TEACHER, TEACHER_SVM)
        for one in comparisons_with(name, pair(rows, lora, judging), [metric])
    ]
    return {one.name: one for one in corrected(found)}


def _pairs(
    answers: Mapping[str, Sequence[Prediction]], judging: Judging, metric: str
) -> Iterator[WayPair]:
    for first, second in PAIRS:
        if first in answers and second in answers:
            models = pair(answers[first], answers[second], judging)
            (found,) = comparisons_with(second, models, [metric])
            yield WayPair(first=first, second=second, gain=_number(found), p_value=found.p_value)


def _with_gain(line: WayLine, compared: Mapping[str, Comparison]) -> WayLine:
    found = compared.get(line.name)
    return replace(line, gain=_number(found), p_adjusted=found.p_adjusted) if found else line


def _speeds(store: Store) -> dict[str, dict[str, Any]]:
    """Return the facts of every model that was asked the same rows: parameters, bytes and seconds."""
    run = last_run(store.root, SPEED)
    artifact = stages_of(run, store).get("baseline") if run else None
    if artifact is None:
        return {}
    found = json.loads(artifact.file(BASELINES).read_text("utf-8"))
    return {one["name"]: {**one["facts"], "rows": one["scores"]["rows"]} for one in found}


def _with_speed(line: WayLine, speeds: Mapping[str, Mapping[str, Any]]) -> WayLine:
    facts = speeds.get(line.name)
    if not facts:
        return line
    seconds = facts["asked_seconds"]
    return replace(
        line,
        parameters=facts["parameters"],
        megabytes=line.megabytes or facts["bytes"] / 1e6,
        rows_a_second=facts["rows"] / seconds if seconds else None,
    )


def _labels(folder: Path, run: _WayRun | None) -> TeacherLabels | None:
    """Hold the teacher's answers against the labels that were kept from it."""
    if run is None or "teach" not in run.stages:
        return None
    withheld = map(json.loads, (folder / WITHHELD).read_text("utf-8").splitlines())
    known = {content_id(row["text"], ""): row["label"] for row in withheld}
    lines = run.stages["teach"].file("answers.jsonl").read_text("utf-8").splitlines()
    answers = [one for one in map(json.loads, lines) if one["id"] in known]
    if not answers:
        return None
    right = [one["answer"] == known[one["id"]] for one in answers]
    least = KEEP["confidence"]["min"]
    sure = [
        is_right for one, is_right in zip(answers, right, strict=True) if one["confidence"] >= least
    ]
    return TeacherLabels(
        asked=len(answers),
        right=sum(right) / len(right),
        confidence=least,
        kept=len(sure) / len(answers),
        kept_right=sum(sure) / len(sure) if sure else None,
        minutes=run.stages["teach"].seconds / 60,
    )


def _synthetic(run: _WayRun | None) -> SyntheticRows | None:
    found = run.report.synthetic if run else None
    if found is None:
        return None
    return SyntheticRows(asked=found.asked, kept=found.kept, refused=dict(found.refused))


def write_table(found: WaysTable, folder: Path) -> Path:
    """Write the table as JSON into a folder; return the file."""
    path = folder / TABLE
    text = json.dumps(to_json(found), indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


def read_table(path: Path) -> WaysTable | None:
    """Return a table that `write_table` wrote; None where there is none."""
    return from_json(WaysTable, json.loads(path.read_text("utf-8"))) if path.is_file() else None
