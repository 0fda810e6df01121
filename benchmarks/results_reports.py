"""What the runs of the results page came to: reports below a work folder become one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml
from results_cases import CASES, QUANTIZATIONS, Case
from results_table import COLUMNS, NO_REPORT, TUNED, Line, Measured, Results, RunFacts

from engine import load_report
from engine.evidence import Report, Scores, Status
from engine.kinds import KINDS, Decoding

RUN: Final = "run"
"""The folder of a seed's report; those of further quantizations have their names."""
PROBLEM: Final = "problem.txt"
"""What the engine printed where it left no report."""
COMMIT: Final = "commit.txt"
"""That of the engine that ran."""


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
    return Results(
        versions=versions_of(reports),
        lines=tuple(_line(case, found[case.name]) for case in cases if found[case.name]),
    )


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
    return Line(
        name=case.name,
        title=case.title,
        group=case.group,
        kind=case.kind,
        language=case.language,
        origin=case.origin,
        note=case.note,
        metric=case.judged_by,
        runs=tuple(_facts(case, run) for run in runs),
    )


def _classes(report: Report) -> int:
    schema: Mapping[str, Any] = report.task.get("schema") or {}
    return len(report.labels) or len(schema.get("properties", ()))


def _rows(report: Report) -> dict[str, int]:
    return {split.name: split.rows for split in report.data.splits} if report.data else {}


def _score(case: Case, run: _Run, column: str) -> Measured:
    if column in QUANTIZATIONS:
        why = run.why_no_file()
    elif column == TUNED or run.main is None:
        why = run.why_no_model()
    else:
        why = case.why_not(column) or "the run has no such baseline"
    scores = run.scores(column)
    metrics = scores.metrics if scores else ()
    metric = next((one for one in metrics if one.name == case.judged_by), None)
    if metric is None or metric.value is None:
        return Measured(missing=(metric.undefined if metric else "") or why)
    found = metric.interval
    return Measured(
        value=metric.value, low=found.low if found else None, high=found.high if found else None
    )


def _measured(value: float | None, why: str) -> Measured:
    return Measured(value=value, missing=why if value is None else "")


def _megabytes(run: _Run, quantization: str) -> Measured:
    value = _value(run.file_scores(quantization), "file_megabytes")
    return _measured(value, run.why_no_file())


def _value(scores: Scores | None, name: str) -> float | None:
    found = (metric.value for metric in scores.metrics if metric.name == name) if scores else ()
    return next(iter(found), None)


def _rate(case: Case, run: _Run, quantization: str) -> Measured:
    is_asked = KINDS[case.kind].decoding is not Decoding.LIKELIHOOD
    why = "it was not timed" if is_asked else "nothing is generated"
    return _measured(
        _rows_a_second(run, quantization) if is_asked else None,
        why if run.file_scores(quantization) else run.why_no_file(),
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


def _minutes(run: _Run) -> Measured:
    """Return how long a run took; nothing where it used what an interrupted one had left."""
    if run.main is None:
        return Measured(missing=run.why_no_model())
    is_whole = all(stage.status != "reused" for stage in run.main.stages)
    return _measured(run.main.seconds / 60 if is_whole else None, "the run was continued")


def _facts(case: Case, run: _Run) -> RunFacts:
    facts = RunFacts(
        seed=run.seed,
        outcome=NO_REPORT,
        reason=run.problem,
        commit=run.commit,
        scores={column: _score(case, run, column) for column in COLUMNS},
        megabytes={name: _megabytes(run, name) for name in QUANTIZATIONS},
        rows_a_second={name: _rate(case, run, name) for name in QUANTIZATIONS},
        minutes=_minutes(run),
    )
    return facts if run.main is None else _with_report(facts, run.main)


def _with_report(facts: RunFacts, report: Report) -> RunFacts:
    is_accepted = report.outcome == "accepted"
    return replace(
        facts,
        outcome=report.outcome,
        reason="" if is_accepted else _reason(report),
        exported=", ".join(_passed(report)) if is_accepted else "",
        method=report.method,
        settings=yaml.safe_load(report.resolved_recipe).get("method", {}),
        base_model=report.base_model,
        hardware=hardware_of(report),
        started=report.started,
        holdout=report.holdout_use.digest if report.holdout_use else "",
        classes=_classes(report),
        rows=_rows(report),
    )


def _passed(report: Report) -> list[str]:
    """Return the quantizations that passed the last check."""
    return [
        variant.name
        for variant in report.ladder
        if variant.name in QUANTIZATIONS
        and variant.verdict is not None
        and variant.verdict.status is Status.PASS
    ]


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
