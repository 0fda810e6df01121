"""Are probabilities right after calibration, and does the selective bound hold? Kept answers, and simulated holdouts.

    python benchmarks/calibration.py FOLDER...          runs at hand: stores, or folders with kept answers
    python benchmarks/calibration.py --simulate 200     holdouts drawn from populations of known worth

The first reads `predictions.validation.jsonl` and `predictions.holdout.jsonl` wherever both lie (evaluate's artifact
of a store), fits the temperature on the first and prints the calibration error of the second, before and after. The
second is a simulation of statistics, nothing is trained: answers are drawn whose true chance of being right is known,
temperature and threshold are chosen on drawn validation rows, and the verdict on drawn holdouts is compared with the
truth. Temperature, threshold, intervals and verdicts are those of `engine.metrics`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.evidence import CalibratedForm, Metric, Status
from engine.metrics.calibration import abstention, calibrated, calibrated_form, fit
from engine.metrics.predictions import Judging, Prediction, read_predictions
from engine.metrics.verdict import judge_selective, verdict
from engine.recipe.model import Acceptance, Least, Selective, Task

Array = Any
LABELS = ("a", "b", "c", "d")
SETS = ("predictions.validation.jsonl", "predictions.holdout.jsonl")


def acceptance_of(accuracy: float, coverage: float) -> Acceptance:
    """Return the bounds that are judged."""
    bounds = Selective(accuracy=Least(min=accuracy), coverage=Least(min=coverage))
    return Acceptance(
        confidence=0.95, decide_on="lower_bound", metrics=(), over_baselines=(),
        max_overfitting_gap=None, selective=bounds,
    )  # fmt: skip


def judging_of(labels: Sequence[str]) -> Judging:
    """Return how answers of these labels are judged."""
    task = Task(
        kind="classification", instruction="", system="", input="{text}", labels=tuple(labels),
        schema=None, output="text",
    )  # fmt: skip
    return Judging(task=task, confidence=0.95, seed=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Where rows come from: how likely an answer is truly right, and how sure the model says it is."""

    name: str
    validation: int
    holdout: int
    draw: Callable[[Any, int], Array]
    """(random numbers, rows) to the true chance of each answer."""
    temperature: float = 0.6
    """Below 1 the model says that it is surer than it is."""

    def rows(self, random: Any, count: int) -> list[Prediction]:
        """Draw answered rows."""
        chance = self.draw(random, count)
        right = random.random(count) < chance
        shown = sharpened(chance, self.temperature)
        others = (1 - shown) / (len(LABELS) - 1)
        wrong = random.integers(1, len(LABELS), count)
        return [
            Prediction(
                id=f"{row}",
                target=LABELS[0 if hit else other],
                label=LABELS[0],
                text=LABELS[0],
                probability=float(sure),
                probabilities=(float(sure), *[float(rest)] * (len(LABELS) - 1)),
            )
            for row, (hit, other, sure, rest) in enumerate(
                zip(right, wrong, shown, others, strict=True)
            )
        ]

    def truth(self, threshold: float, temperature: float | None) -> tuple[float, float]:
        """Return the true accuracy and coverage at a threshold of the calibrated probability."""
        chance = self.draw(np.random.default_rng(0), 200_000)
        shown = sharpened(sharpened(chance, self.temperature), temperature or 1.0)
        answered = shown >= threshold
        return float(chance[answered].mean()) if answered.any() else 0.0, float(answered.mean())


def sharpened(chance: Array, temperature: float) -> Array:
    """Return the probability of the first label after a temperature, the others sharing the rest equally."""
    own = chance ** (1 / temperature)
    rest = ((1 - chance) / (len(LABELS) - 1)) ** (1 / temperature)
    return own / (own + (len(LABELS) - 1) * rest)


def mixture(*parts: tuple[float, float, float]) -> Callable[[Any, int], Array]:
    """Return what draws chances from intervals: (share of rows, lowest chance, highest chance)."""

    def draw(random: Any, count: int) -> Array:
        which = random.choice(len(parts), count, p=[share for share, _, _ in parts])
        low, high = (np.array([part[place] for part in parts])[which] for place in (1, 2))
        return low + (high - low) * random.random(count)

    return draw


SURE = mixture((0.7, 0.975, 1.0), (0.3, 0.3, 0.95))
POPULATIONS = (
    Population(name="sure of 70 % of rows", validation=300, holdout=600, draw=SURE),
    Population(name="the same, more rows", validation=600, holdout=1500, draw=SURE),
    Population(name="the same, few holdout rows", validation=300, holdout=80, draw=SURE),
    Population(name="exactly at the bound", validation=300, holdout=600, draw=mixture((1.0, 0.95, 0.95))),
    Population(
        name="right where it is sure, on too few",
        validation=300, holdout=600, draw=mixture((0.35, 0.97, 1.0), (0.65, 0.3, 0.8)),
    ),
    Population(name="never sure", validation=300, holdout=600, draw=mixture((1.0, 0.5, 0.93))),
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What became of the simulated holdouts of one population."""

    verdicts: Counter[Status] = field(default_factory=Counter)
    passed_wrongly: int = 0
    """Passes although accuracy or coverage is truly below its bound."""
    could_hold: int = 0
    """Thresholds that truly keep both bounds."""


def simulate(population: Population, runs: int, acceptance: Acceptance, *, seed: int = 1) -> Tally:
    """Draw validation rows and holdouts, and judge each as a run would."""
    judging, tally = judging_of(LABELS), Tally()
    bounds = acceptance.selective
    if bounds is None:
        raise ValueError(acceptance)
    for number in range(runs):
        random = np.random.default_rng([seed, number])
        validation, holdout = (
            population.rows(random, n) for n in (population.validation, population.holdout)
        )
        fitted = fit(validation, LABELS, form="")
        found = abstention(
            calibrated(validation, fitted.temperature),
            calibrated(holdout, fitted.temperature),
            acceptance,
            judging,
        )
        status = verdict(judge_selective(found, acceptance)).status
        accuracy, coverage = population.truth(found.threshold if found else 1.0, fitted.temperature)
        holds = accuracy >= bounds.accuracy.min and coverage >= bounds.coverage.min
        tally.verdicts[status] += 1
        tally.could_hold += holds
        tally.passed_wrongly += status is Status.PASS and not holds
    return tally


def kept_answers(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders below one that hold answers to validation rows and to a holdout."""
    for path in sorted(folder.rglob(SETS[0])):
        if (path.parent / SETS[1]).is_file():
            yield path.parent.parent.name[:8], path.parent


def measured(folder: Path, acceptance: Acceptance) -> CalibratedForm | None:
    """Calibrate one run's kept answers; None where they have no probabilities of labels."""
    validation, holdout = (read_predictions(folder / name) for name in SETS)
    rows = [*validation, *holdout]
    if not rows or not all(row.probabilities for row in rows):
        return None
    judging = judging_of(_labels(rows))
    return calibrated_form("adapter", validation, holdout, judging=judging, acceptance=acceptance)


def _labels(rows: Sequence[Prediction]) -> list[str]:
    """Return the labels in the task's order, as far as answers name them: each is the largest share of its rows."""
    labels = [f"label {place}" for place in range(len(rows[0].probabilities))]
    for row in rows:
        if row.label is not None:
            labels[int(np.argmax(row.probabilities))] = row.label
    # what is never answered: targets without a place take the open ones, in the order of their names
    missing = sorted({row.target for row in rows} - {*labels})
    free = [place for place, name in enumerate(labels) if name == f"label {place}"]
    for place, name in zip(free, missing, strict=False):
        labels[place] = name
    return labels


def _shown(metrics: Sequence[Metric], name: str) -> str:
    metric = next((one for one in metrics if one.name == name), None)
    if metric is None or metric.value is None:
        return "-"
    found = metric.interval
    return f"{metric.value:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]" if found else "")


def _line(name: str, form: CalibratedForm, acceptance: Acceptance) -> str:
    found = form.abstention
    answers = "-"
    if found and found.coverage.value is not None:
        checks = judge_selective(found, acceptance)
        accuracy = f"{found.accuracy.value:.3f}" if found.accuracy.value is not None else "-"
        answers = f"{accuracy} on {found.coverage.value:.0%}: {verdict(checks).status.value}"
    cells = (
        name,
        str(form.fitted_rows),
        str(found.coverage.n if found else 0),
        "-" if form.temperature is None else f"{form.temperature:.2f}",
        _shown(form.before, "ece"),
        _shown(form.after, "ece"),
        f"{_shown(form.before, 'nll').partition(' ')[0]} to {_shown(form.after, 'nll').partition(' ')[0]}",
        answers,
    )
    return " | ".join(cells)


def main() -> None:
    """Print one line a set, or a population."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--simulate", type=int, default=0, metavar="RUNS")
    parser.add_argument("--accuracy", type=float, default=0.95)
    parser.add_argument("--coverage", type=float, default=0.5)
    options = parser.parse_args()
    acceptance = acceptance_of(options.accuracy, options.coverage)
    write = sys.stdout.write
    if options.folders:
        write("set | fitted on | holdout | T | ECE before | ECE after | NLL | selective\n")
    for folder in options.folders:
        for name, path in kept_answers(folder):
            form = measured(path, acceptance)
            if form is not None:
                write(f"{name} | {_line(name, form, acceptance).partition(' | ')[2]}\n")
    if options.simulate:
        write(
            "population | rows | pass | inconclusive | refused | passed wrongly | threshold truly holds\n"
        )
    for population in POPULATIONS if options.simulate else ():
        tally = simulate(population, options.simulate, acceptance)
        shares = [
            tally.verdicts[status] / options.simulate
            for status in (Status.PASS, Status.INCONCLUSIVE, Status.FAIL)
        ]
        shares += [tally.passed_wrongly / options.simulate, tally.could_hold / options.simulate]
        rows = f"{population.validation} + {population.holdout}"
        write(" | ".join([population.name, rows, *(f"{share:.1%}" for share in shares)]) + "\n")


if __name__ == "__main__":
    main()
