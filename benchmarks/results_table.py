"""The table of results, seed by seed: what each run measured, the means of each set, and tables joined to one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from results_cases import CASES, QUANTIZATIONS, UNFINISHED, WANTED, Case

from engine.recipe.metrics import spec_of
from engine.values import from_json, to_json

SCHEMA: Final = "results.v2"
TUNED: Final = "tuned"
"""The model after training, before it leaves."""
COLUMNS: Final = (*WANTED, TUNED, *QUANTIZATIONS)
"""What is scored."""
NO_REPORT: Final = "no report"
"""Outcome of a run of which the engine left none."""
CORES: Final = re.compile(r"(\d+) CPU cores?(?: \((.+)\))?, no GPU")
"""Machines without a GPU, as reports name them: how many cores, and whose."""
T_97_5: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Quantiles of Student's distribution, from one degree of freedom on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number of one run, or why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    missing: str = ""


NOT_ASKED: Final = Measured(missing="this was not measured when the seed was run")
"""Of columns that the page has got since."""


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
    """What one seed came to, and all that it measured."""

    seed: int
    outcome: str
    """That of the report, or `NO_REPORT`."""
    reason: str
    """Why it was not accepted: the report's summary and what each failed check measured."""
    exported: str = ""
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """`method` of the resolved recipe: the defaults as they were worked out."""
    base_model: str = ""
    hardware: str = ""
    commit: str = ""
    """Of the engine."""
    started: str = ""
    holdout: str = ""
    """Digest of its rows."""
    classes: int = 0
    """Labels, or fields of an answer."""
    rows: dict[str, int] = field(default_factory=dict)
    """Of each split."""
    scores: dict[str, Measured] = field(default_factory=dict)
    """Of each of `COLUMNS`, in the metric of the set."""
    megabytes: dict[str, Measured] = field(default_factory=dict)
    rows_a_second: dict[str, Measured] = field(default_factory=dict)
    minutes: Measured = NOT_ASKED
    """Of all stages; none where some were reused, since the run had been interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The numbers of a set: means over its runs."""

    scores: dict[str, Number]
    megabytes: dict[str, Number]
    rows_a_second: dict[str, Number]
    minutes: Number


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
    runs: tuple[RunFacts, ...]
    """By seed."""

    @property
    def seeds(self) -> int:
        """How many seeds came to a verdict."""
        return sum(run.outcome not in (NO_REPORT, *UNFINISHED) for run in self.runs)

    @property
    def classes(self) -> int:
        """Labels, or fields of an answer, as far as a run came to read them."""
        return max((run.classes for run in self.runs), default=0)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split, of the first seed that has them."""
        return next((run.rows for run in self.runs if run.rows), {})

    @property
    def means(self) -> Means:
        """Means over the runs, and of scores their intervals."""
        spec = spec_of(self.metric, self.kind)
        is_share = spec is not None and spec.unit == "share"
        return Means(
            scores={
                column: mean_of_metrics(
                    self._measured(lambda run: run.scores, column), is_share=is_share
                )
                for column in COLUMNS
            },
            megabytes={
                name: mean_of(self._measured(lambda run: run.megabytes, name))
                for name in QUANTIZATIONS
            },
            rows_a_second={
                name: mean_of(self._measured(lambda run: run.rows_a_second, name))
                for name in QUANTIZATIONS
            },
            minutes=mean_of([run.minutes for run in self.runs]),
        )

    def _measured(
        self, of: Callable[[RunFacts], Mapping[str, Measured]], name: str
    ) -> list[Measured]:
        return [of(run).get(name, NOT_ASKED) for run in self.runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that the page says."""

    schema: str = SCHEMA
    versions: dict[str, str] = field(default_factory=dict)
    """Of every tool; where several were used, all of them."""
    notes: tuple[str, ...] = ()
    """What a reader has to know of how the runs were made."""
    lines: tuple[Line, ...] = ()

    @property
    def runs(self) -> tuple[RunFacts, ...]:
        """Those of all sets."""
        return tuple(run for line in self.lines for run in line.runs)

    @property
    def dates(self) -> tuple[str, ...]:
        """First and last day of the runs."""
        days = _each(run.started[:10] for run in self.runs)
        return tuple(dict.fromkeys((days[0], days[-1]))) if days else ()

    @property
    def hardware(self) -> str:
        """What the runs were made on."""
        return hardware_words(_each(run.hardware for run in self.runs))

    @property
    def commits(self) -> tuple[str, ...]:
        """Those of the engine."""
        return _each(run.commit for run in self.runs)

    @property
    def base_models(self) -> tuple[str, ...]:
        """What the runs trained."""
        return _each(run.base_model for run in self.runs)


def _each(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*found} - {""}))


def hardware_words(machines: Sequence[str]) -> str:
    """Return what runs were made on as one phrase; machines without a GPU are counted together."""
    found = [CORES.fullmatch(machine) for machine in machines]
    if len(machines) < 2 or None in found:
        return "; ".join(machines)
    parts = [one.groups() for one in found if one]
    counts = sorted({int(cores) for cores, _ in parts})
    devices = _each(device or "" for _, device in parts)
    cores = " or ".join(map(str, counts))
    named = f" ({', '.join(devices)})" if devices else ""
    return f"{cores} CPU core{'' if counts == [1] else 's'}{named}, no GPU"


# Files


def table_text(results: Results) -> str:
    """Return a table as JSON. The means of each set stand there for its readers, and are not read again."""
    data = to_json(results)
    for line, written in zip(results.lines, data["lines"], strict=True):
        runs = written.pop("runs")
        written |= {"means": to_json(line.means), "runs": runs}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def read_results(path: Path) -> Results:
    """Return the table of a file. ValueError where it is one of another version."""
    data = json.loads(path.read_text("utf-8"))
    if (found := data.get("schema")) != SCHEMA:
        raise ValueError(
            f"{path} is {found}, and this reads {SCHEMA}, where each run has its own numbers; "
            "`page --fresh` begins a new table"
        )
    for line in data["lines"]:
        line.pop("means", None)
    return from_json(Results, data)


# Joining


def joined(earlier: Results, newer: Results, cases: Sequence[Case] = CASES) -> Results:
    """Return both tables as one: a seed that was run anew replaces that run, and all others stay as they were."""
    lines = {line.name: line for line in earlier.lines}
    for line in newer.lines:
        lines[line.name] = _with_runs_of(lines.get(line.name, line), line)
    tools = sorted({*earlier.versions, *newer.versions})
    return Results(
        versions={tool: _versions_of(tool, earlier, newer) for tool in tools},
        notes=_each((*earlier.notes, *newer.notes)),
        lines=tuple(lines[case.name] for case in cases if case.name in lines),
    )


def _with_runs_of(earlier: Line, newer: Line) -> Line:
    """Return the newer line with the runs of both. ValueError where their numbers are not of one metric."""
    if earlier.metric != newer.metric:
        raise ValueError(
            f"{newer.name} was judged by {earlier.metric}, and is now by {newer.metric}: "
            "no mean is made of both; `page --fresh` begins a new table"
        )
    runs = {run.seed: run for run in (*earlier.runs, *newer.runs)}
    return replace(newer, runs=tuple(runs[seed] for seed in sorted(runs)))


def _versions_of(tool: str, *tables: Results) -> str:
    found = (table.versions.get(tool, "").split(", ") for table in tables)
    return ", ".join(_each(version for versions in found for version in versions))


# Means


def mean_of(found: Sequence[Measured]) -> Number:
    """Return the mean of what is there, without an interval."""
    known = [one.value for one in found if one.value is not None]
    missing = tuple(
        dict.fromkeys(one.missing for one in found if one.value is None and one.missing)
    )
    mean = math.fsum(known) / len(known) if known else None
    return Number(mean=mean, runs=len(known), missing=missing)


def mean_of_metrics(found: Sequence[Measured], *, is_share: bool = True) -> Number:
    """Return the mean over seeds with an interval: the wider one of two, of a share within 0 and 1.

    One run's own interval, of the mean width, knows how many rows judged the model, but not that another seed trains
    another one on other rows; Student's interval of the means knows both, from few values. Neither may look better
    than the other allows.
    """
    number = mean_of(found)
    if number.mean is None:
        return number
    known = [one for one in found if one.value is not None]
    below, above = _own_halves(known, number.mean)
    values = [one.value for one in known if one.value is not None]
    if len(values) > 1:
        spread = math.fsum((value - number.mean) ** 2 for value in values) / (len(values) - 1)
        student = T_97_5[min(len(values) - 2, len(T_97_5) - 1)]
        half = student * math.sqrt(spread / len(values))
        below, above = max(below, half), max(above, half)
    if not below and not above:
        return number
    return replace(
        number,
        low=max(0.0, number.mean - below),
        high=min(1.0 if is_share else math.inf, number.mean + above),
    )


def _own_halves(found: Sequence[Measured], mean: float) -> tuple[float, float]:
    """Return how far the intervals of single runs reach below and above their values, on average."""
    lows = [one.low for one in found if one.low is not None]
    highs = [one.high for one in found if one.high is not None]
    if not lows or not len(lows) == len(highs) == len(found):
        return 0.0, 0.0
    return mean - math.fsum(lows) / len(lows), math.fsum(highs) / len(highs) - mean
