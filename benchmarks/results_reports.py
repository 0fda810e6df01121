"""What the runs of the results page came to: reports below a work folder become one table, with means over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from results_cases import CASES, QUANTIZATIONS, WANTED, Case

from engine import load_report
from engine.evidence import Metric, Report, Scores, Status
from engine.kinds import KINDS, Decoding
from engine.recipe.metrics import spec_of

RUN: Final = "run"
"""The folder of a seed's report; those of further quantizations have their names."""
PROBLEM: Final = "problem.txt"
"""What the engine printed where it left no report."""
COMMIT: Final = "commit.txt"
"""That of the engine that ran."""
TUNED: Final = "tuned"
"""The model after training, before it leaves."""
COLUMNS: Final = (*WANTED, TUNED, *QUANTIZATIONS)
"""What is scored."""
T_97_5: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Quantiles of Student's distribution, from one degree of freedom on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """The mean over seeds, or why there is none."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 0
    """How many it stands on."""
    missing: tuple[str, ...] = ()
    """Why the others have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What one seed came to."""

    seed: int
    outcome: str
    """That of the report; `no report` where the engine left none."""
    reason: str
    """Why it was not accepted: the report's summary and what each failed check measured."""
    exported: str = ""
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """`method` of the resolved recipe: the defaults as they were worked out."""
    commit: str = ""
    started: str = ""
    minutes: float | None = None
    """Of all stages; None where some were reused, since the run had been interrupted."""
    holdout: str = ""
    """Digest of its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One set."""

    name: str
    title: str
    group: str
    kind: str
    language: str
    origin: str
    note: str
    metric: str
    classes: int
    """Labels, or fields of an answer."""
    rows: dict[str, int]
    scores: dict[str, Number]
    megabytes: dict[str, Number]
    rows_a_second: dict[str, Number]
    minutes: Number
    runs: tuple[RunFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that the page says."""

    schema: str = "results.v1"
    dates: tuple[str, ...] = ()
    """First and last day of the runs."""
    hardware: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    """Of the engine."""
    base_models: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a reader has to know of how the runs were made."""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The reports of one seed."""

    seed: int
    main: Report | None
    """None where the engine left no report."""
    problem: str = ""
    commit: str = ""
    others: tuple[Report, ...] = ()
    """Of runs that measured one file each."""

    def scores(self, column: str) -> Scores | None:
        """Return what a column shows."""
        if self.main is None:
            return None
        if column == TUNED:
            return self.main.holdout
        for baseline in self.main.baselines:
            if baseline.name == column:
                return baseline.scores
        return self.file_scores(column)

    def file_scores(self, quantization: str) -> Scores | None:
        """Return what a quantized file reached, and how large and fast it is."""
        reports = (self.main, *self.others) if self.main else ()
        found = (one for report in reports for one in report.ladder if one.name == quantization)
        return next((one.scores for one in found), None)

    def why_no_model(self) -> str:
        """Return why the column of the trained model is empty."""
        if self.main is None:
            return f"the engine left no report: {self.problem}"
        if self.main.outcome == "baseline_passes":
            return "not trained, because a baseline passes"
        return f"the run {self.main.outcome}: {self.main.summary}"

    def why_no_file(self) -> str:
        """Return why the columns of a file are empty."""
        if self.main is None or self.main.holdout is None:
            return self.why_no_model()
        if not self.others:
            return f"{self.main.outcome}, and no file was measured"
        return f"no file was made: {_reason(self.others[0])}"


def collect(work: Path, cases: Sequence[Case] = CASES) -> Results:
    """Return the results of all runs below a work folder."""
    found = {case.name: _runs(work / case.name) for case in cases}
    reports = [run.main for runs in found.values() for run in runs if run.main is not None]
    days = sorted({report.started[:10] for report in reports})
    return Results(
        dates=tuple(dict.fromkeys((days[0], days[-1]))) if days else (),
        hardware=tuple(sorted({hardware_of(report) for report in reports})),
        commits=tuple(
            sorted({run.commit for runs in found.values() for run in runs if run.commit})
        ),
        base_models=tuple(sorted({report.base_model for report in reports})),
        versions=versions_of(reports),
        lines=tuple(_line(case, found[case.name]) for case in cases if found[case.name]),
    )


def joined(earlier: Results, newer: Results, cases: Sequence[Case] = CASES) -> Results:
    """Return both tables as one: a set that was run anew has the new seeds alone, others stay as they were."""
    lines = {line.name: line for line in (*earlier.lines, *newer.lines)}
    days = sorted({*earlier.dates, *newer.dates})
    tools = sorted({*earlier.versions, *newer.versions})
    return Results(
        dates=tuple(dict.fromkeys((days[0], days[-1]))) if days else (),
        hardware=_either(earlier.hardware, newer.hardware),
        commits=_either(earlier.commits, newer.commits),
        base_models=_either(earlier.base_models, newer.base_models),
        versions={tool: _versions_of(tool, earlier, newer) for tool in tools},
        notes=_either(earlier.notes, newer.notes),
        lines=tuple(lines[case.name] for case in cases if case.name in lines),
    )


def _either(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))


def _versions_of(tool: str, *tables: Results) -> str:
    found = (table.versions.get(tool, "").split(", ") for table in tables)
    return ", ".join(sorted({version for versions in found for version in versions if version}))


def _runs(folder: Path) -> list[_Run]:
    """Return the runs of one set, by seed; those that were never begun are not among them."""
    runs = []
    for path in sorted(folder.glob("seed-*"), key=lambda path: int(path.name.partition("-")[2])):
        seed = int(path.name.partition("-")[2])
        problem, commit = path / PROBLEM, path / COMMIT
        made_by = commit.read_text("utf-8") if commit.is_file() else ""
        if (path / RUN / "report.json").is_file():
            others = [name for name in QUANTIZATIONS if (path / name / "report.json").is_file()]
            main, *further = (load_report(path / name, store=path) for name in (RUN, *others))
            runs.append(_Run(seed=seed, main=main, commit=made_by, others=tuple(further)))
        elif problem.is_file():
            (first, *_) = problem.read_text("utf-8").splitlines() or [""]
            runs.append(_Run(seed=seed, main=None, problem=first, commit=made_by))
    return runs


def hardware_of(report: Report) -> str:
    """Return what a run was made on, as a class: cores and GPU."""
    found = report.environment
    device, cores = found.get("device", "?"), found.get("cores", "?")
    is_cpu = found.get("kind", device) == "cpu"
    named = f" ({device})" if device != "cpu" else ""
    counted = f"{cores} CPU core{'s' if cores != '1' else ''}"
    return f"{counted}{named}, no GPU" if is_cpu else f"{device}, {counted}"


def versions_of(reports: Iterable[Report]) -> dict[str, str]:
    """Return the versions of every tool, where several were used all of them."""
    found: dict[str, set[str]] = {}
    for report in reports:
        for tool, version in report.versions.items():
            found.setdefault(tool, set()).add(version)
    return {tool: ", ".join(sorted(versions)) for tool, versions in sorted(found.items())}


def _line(case: Case, runs: Sequence[_Run]) -> Line:
    metric = case.judged_by
    reports = [run.main for run in runs if run.main is not None]
    return Line(
        name=case.name,
        title=case.title,
        group=case.group,
        kind=case.kind,
        language=case.language,
        origin=case.origin,
        note=case.note,
        metric=metric,
        classes=max((_classes(report) for report in reports), default=0),
        rows=next((_rows(report) for report in reports if report.data), {}),
        scores={column: _score(case, runs, column, metric) for column in COLUMNS},
        megabytes={name: _of_file(runs, name, "file_megabytes") for name in QUANTIZATIONS},
        rows_a_second={name: _rates(case, runs, name) for name in QUANTIZATIONS},
        minutes=mean_of([(_minutes(run.main), "the run was continued") for run in runs]),
        runs=tuple(_facts(run) for run in runs),
    )


def _classes(report: Report) -> int:
    schema: Mapping[str, Any] = report.task.get("schema") or {}
    return len(report.labels) or len(schema.get("properties", ()))


def _rows(report: Report) -> dict[str, int]:
    assert report.data is not None  # noqa: S101 - asked by the caller
    return {split.name: split.rows for split in report.data.splits}


def _score(case: Case, runs: Sequence[_Run], column: str, metric: str) -> Number:
    found: list[tuple[Metric | None, str]] = []
    for run in runs:
        if column in QUANTIZATIONS:
            why = run.why_no_file()
        elif column == TUNED or run.main is None:
            why = run.why_no_model()
        else:
            why = case.why_not(column) or "the run has no such baseline"
        scores = run.scores(column)
        measured = (
            next((one for one in scores.metrics if one.name == metric), None) if scores else None
        )
        found.append((measured, (measured.undefined if measured else "") or why))
    spec = spec_of(metric, case.kind)
    return mean_of_metrics(found, is_share=spec is not None and spec.unit == "share")


def _of_file(runs: Sequence[_Run], quantization: str, name: str) -> Number:
    return mean_of(
        [(_value(run.file_scores(quantization), name), run.why_no_file()) for run in runs]
    )


def _value(scores: Scores | None, name: str) -> float | None:
    found = (metric.value for metric in scores.metrics if metric.name == name) if scores else ()
    return next(iter(found), None)


def _rates(case: Case, runs: Sequence[_Run], quantization: str) -> Number:
    is_asked = KINDS[case.kind].decoding is not Decoding.LIKELIHOOD
    why = "it was not timed" if is_asked else "nothing is generated"
    return mean_of(
        [
            (
                _rows_a_second(run, quantization) if is_asked else None,
                why if run.file_scores(quantization) else run.why_no_file(),
            )
            for run in runs
        ]
    )


def _rows_a_second(run: _Run, quantization: str) -> float | None:
    """Return how many rows one person gets answered: the whole prompt is read, then the answer is written."""
    scores = run.file_scores(quantization)
    first, rate = (
        _value(scores, f"{name}") for name in ("first_token_milliseconds", "tokens_per_second")
    )
    training = run.main.training if run.main else None
    if first is None or not rate or training is None or not training.rows:
        return None
    return 1 / (first / 1000 + training.supervised_tokens / training.rows / rate)


def _minutes(report: Report | None) -> float | None:
    """Return how long a run took; None where it used what an interrupted one had left."""
    if report is None or any(stage.status == "reused" for stage in report.stages):
        return None
    return report.seconds / 60


def _facts(run: _Run) -> RunFacts:
    report = run.main
    if report is None:
        return RunFacts(seed=run.seed, outcome="no report", reason=run.problem, commit=run.commit)
    exported = [
        variant.name
        for variant in report.ladder
        if variant.name in QUANTIZATIONS
        and variant.verdict is not None
        and variant.verdict.status is Status.PASS
    ]
    return RunFacts(
        seed=run.seed,
        outcome=report.outcome,
        reason="" if report.outcome == "accepted" else _reason(report),
        exported=", ".join(exported) if report.outcome == "accepted" else "",
        method=report.method,
        settings=yaml.safe_load(report.resolved_recipe).get("method", {}),
        commit=run.commit,
        started=report.started,
        minutes=_minutes(report),
        holdout=report.holdout_use.digest if report.holdout_use else "",
    )


def _reason(report: Report) -> str:
    """Return why a run ended without a model: what each check that did not pass has measured, else the summary."""
    verdicts = [verdict for verdict in (report.gate, report.verify) if verdict is not None]
    failed = [
        check
        for verdict in verdicts
        for check in verdict.checks
        if check.status in (Status.FAIL, Status.INCONCLUSIVE)
    ]
    parts = []
    for check in failed:
        sign = "≥" if check.direction == "min" else "≤"
        got = "no number" if check.got is None else f"{check.got:.3f}"
        if check.got is not None and check.interval is not None:
            got += f" ({check.interval.low:.3f} to {check.interval.high:.3f})"
        note = f"; {check.note}" if check.note else ""
        parts.append(f"`{check.name}` {got}, {sign} {check.bound:g} was asked{note}")
    return ". ".join(parts) or report.summary


# Means


def mean_of(values: Sequence[tuple[float | None, str]]) -> Number:
    """Return the mean of what is there, without an interval."""
    known = [value for value, _ in values if value is not None]
    missing = tuple(dict.fromkeys(why for value, why in values if value is None and why))
    mean = math.fsum(known) / len(known) if known else None
    return Number(mean=mean, runs=len(known), missing=missing)


def mean_of_metrics(found: Sequence[tuple[Metric | None, str]], *, is_share: bool = True) -> Number:
    """Return the mean over seeds with an interval: the wider one of two, of a share within 0 and 1.

    One run's own interval, of the mean width, knows how many rows judged the model, but not that another seed trains
    another one on other rows; Student's interval of the means knows both, from few values. Neither may look better
    than the other allows.
    """
    number = mean_of([(metric.value if metric else None, why) for metric, why in found])
    known = [metric for metric, _ in found if metric is not None and metric.value is not None]
    if number.mean is None:
        return number
    below, above = _own_halves(known, number.mean)
    values = [metric.value for metric in known if metric.value is not None]
    if len(values) > 1:
        spread = math.fsum((value - number.mean) ** 2 for value in values) / (len(values) - 1)
        student = T_97_5[min(len(values) - 2, len(T_97_5) - 1)]
        half = student * math.sqrt(spread / len(values))
        below, above = max(below, half), max(above, half)
    if not below and not above:
        return number
    return Number(
        mean=number.mean,
        low=max(0.0, number.mean - below),
        high=min(1.0 if is_share else math.inf, number.mean + above),
        runs=number.runs,
        missing=number.missing,
    )


def _own_halves(metrics: Sequence[Metric], mean: float) -> tuple[float, float]:
    """Return how far the intervals of single runs reach below and above their values, on average."""
    intervals = [metric.interval for metric in metrics if metric.interval is not None]
    if not intervals or len(intervals) != len(metrics):
        return 0.0, 0.0
    low = math.fsum(one.low for one in intervals) / len(intervals)
    high = math.fsum(one.high for one in intervals) / len(intervals)
    return mean - low, high - mean
