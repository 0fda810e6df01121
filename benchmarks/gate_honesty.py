"""Does the gate let models through that are not good enough? Simulated models of known worth.

    python benchmarks/gate_honesty.py [SIMULATIONS] [ONLY]

Each line draws holdouts on which a model is truly *at* the bound, or truly gains no more than asked,
and counts how often the gate passes it: by our rule, by the value alone (a point gate), and by a plain
percentile bootstrap of rows, as `scipy.stats.bootstrap(method="percentile")` makes it. At 95 %
confidence the stated rate is 2.5 %; a rate is shown with its margin over the simulations, and marked
where even its lower end is above 2.5 %. `covers` is how often the interval holds the truth. The last
lines draw models that are better, and compare the rate with what `recipe plan` says of them.

A simulation of statistics, not of models: nothing is trained. Verdicts, intervals and tests are those
of `engine.metrics`, from predictions on. ONLY is a part of a scenario's name.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evidence import Comparison, Metric, Status
from engine.metrics.comparing import Earlier, Rivals, compare, judge_gains, judge_previous
from engine.metrics.families import family_of
from engine.metrics.intervals import wilson
from engine.metrics.power import (
    Spread,
    ThresholdRule,
    class_f1,
    gain_rate,
    macro_f1,
    pass_rate,
)
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.scoring import metrics_of
from engine.metrics.table import Sums
from engine.metrics.verdict import judge_thresholds
from engine.recipe.model import Acceptance, MaxDrop, MinGain, Task, Threshold

Array = NDArray[Any]
CONFIDENCE = 0.95
STATED = (1 - CONFIDENCE) / 2
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One simulated holdout."""

    ours: bool
    point: bool
    bootstrap: bool | None = None
    covers: bool | None = None
    bootstrap_covers: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Models of one worth, on holdouts of one size."""

    name: str
    rows: int
    draw: Callable[[Any, int], Outcome]
    """(random numbers, seed) to what the gates decided."""
    planned: float | None = None
    """How often `recipe plan` says that such a model passes; None for one that should not."""
    limit: float = STATED
    """The rate that is stated for a model that should not pass."""


def task_of(kind: str, labels: Sequence[str] = (), schema: Any = None) -> Task:
    """Make a task of a kind with little in it."""
    return Task(
        kind=kind,
        instruction="",
        system="",
        input="{text}",
        labels=tuple(labels),
        schema=schema,
        output="text",
    )


def accepting(**changes: Any) -> Acceptance:
    """Make an acceptance at the confidence of the simulation."""
    given: dict[str, Any] = {
        "confidence": CONFIDENCE,
        "decide_on": "lower_bound",
        "metrics": (),
        "over_baselines": (),
        "max_overfitting_gap": None,
    }
    return Acceptance(**(given | changes))


def prediction(row: int, target: str, label: str, **changes: Any) -> Prediction:
    """Make one row's answer."""
    return Prediction(
        id=f"{row:016x}", target=target, label=label, text=label, probability=None, **changes
    )


# One model against a bound.


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One metric of one kind of task, and the bound that it is compared with."""

    task: Task
    metric: str
    truth: float
    bound: float
    direction: str = "min"

    def decide(self, predictions: list[Prediction], random: Any, seed: int) -> Outcome:
        """Ask all three gates."""
        family = family_of(self.task)
        table = family.tabulate(predictions, self.task)
        measures = [
            item for item in family.measures(table) if item.name in (self.metric, "accuracy")
        ]
        metrics = {
            metric.name: metric
            for metric in metrics_of(table, measures, confidence=CONFIDENCE, seed=seed)
        }
        threshold = Threshold(metric=self.metric, direction=self.direction, bound=self.bound)  # type: ignore[arg-type]
        (check,) = judge_thresholds((threshold,), metrics, decide_on="lower_bound")
        found = metrics[self.metric]
        if found.value is None:
            return Outcome(ours=False, point=False, bootstrap=False)
        measure = next(item for item in measures if item.name == self.metric)
        drawn = measure.value(Sums(resampled(table.answered.toarray(), random), table.columns))
        low, high = np.quantile(drawn, (STATED, 1 - STATED))
        end = low if self.direction == "min" else high
        return Outcome(
            ours=check.status is Status.PASS,
            point=self._holds(found.value),
            bootstrap=self._holds(float(end)) and self._holds(found.value),
            covers=covers(found, self.truth),
            bootstrap_covers=bool(low <= self.truth <= high),
        )

    def _holds(self, value: float) -> bool:
        if self.direction == "min":
            return value >= self.bound - 1e-12
        return value <= self.bound + 1e-12


def resampled(statistics: Array, random: Any) -> Array:
    """Sums of rows drawn with replacement; equal rows are drawn together."""
    kinds, counts = np.unique(statistics, axis=0, return_counts=True)
    rows = len(statistics)
    return np.asarray(random.multinomial(rows, counts / rows, RESAMPLES) @ kinds)


def covers(metric: Metric, truth: float) -> bool | None:
    """Tell whether the interval holds the truth."""
    if metric.interval is None:
        return None
    return metric.interval.low <= truth <= metric.interval.high


def share_scenario(
    truth: float, rows: int, *, bound: float, planned: float | None = None
) -> Scenario:
    """Accuracy: only the number of right rows counts, so Wilson's interval is asked at once."""

    def draw(random: Any, _seed: int) -> Outcome:
        right = int(random.binomial(rows, truth))
        ours = wilson(right, rows, confidence=CONFIDENCE)
        low, high = np.quantile(
            random.binomial(rows, right / rows, RESAMPLES), (STATED, 1 - STATED)
        )
        if ours is None:
            raise AssertionError(rows)
        return Outcome(
            ours=ours.low >= bound - 1e-12,
            point=right / rows >= bound - 1e-12,
            bootstrap=bool(low / rows >= bound - 1e-12),
            covers=ours.low <= truth <= ours.high,
            bootstrap_covers=bool(low / rows <= truth <= high / rows),
        )

    name = f"accuracy of {truth:g}, bound {bound:g}"
    return Scenario(name=name, rows=rows, draw=draw, planned=planned)


def confusion(shares: Sequence[float], recall: float) -> Array:
    """Target by output; errors go to the other classes by their share."""
    matrix = np.zeros((len(shares), len(shares)))
    for place, share in enumerate(shares):
        others = np.array(shares)
        others[place] = 0
        matrix[place] = share * (1 - recall) * others / others.sum()
        matrix[place, place] = share * recall
    return matrix


def f1_of(matrix: Array) -> Array:
    """F1 of each class."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.asarray(2 * matrix.diagonal() / both)


def label_scenario(
    name: str, shares: Sequence[float], rows: int, *, recall: float, metric: str, off: float = 0.0
) -> Scenario:
    """Labels with known confusions, every class among the rows, as stratified splits have it."""
    labels = [str(place) for place in range(len(shares))]
    matrix = confusion(shares, recall)
    per_class = f1_of(matrix)
    is_macro = metric == "macro_f1"
    truth = float(per_class.mean()) if is_macro else float(per_class[-1])
    full = metric if is_macro else f"f1.{labels[-1]}"
    asked = Bound(
        task=task_of("classification", labels), metric=full, truth=truth, bound=truth - off
    )
    counts = stratified(shares, rows)
    rowwise = matrix / matrix.sum(axis=1, keepdims=True)

    def draw(random: Any, seed: int) -> Outcome:
        pairs = [
            (target, output)
            for target, count in enumerate(counts)
            for output in random.choice(len(shares), p=rowwise[target], size=count)
        ]
        predictions = [
            prediction(row, labels[target], labels[output])
            for row, (target, output) in enumerate(pairs)
        ]
        return asked.decide(predictions, random, seed)

    spread = macro_f1(shares) if is_macro else class_f1(shares[-1])
    planned = planned_rate(truth, truth - off, rows, spread) if off else None
    title = f"{metric}, {name}" + (f", {off:g} better than the bound" if off else "")
    return Scenario(name=title, rows=rows, draw=draw, planned=planned)


def planned_rate(truth: float, bound: float, rows: int, spread: Spread) -> float:
    """How often the plan says that such a model passes."""
    return pass_rate(
        truth, ThresholdRule(bound=bound, confidence=CONFIDENCE), rows=rows, spread=spread
    )


def stratified(shares: Sequence[float], rows: int) -> list[int]:
    """Divide rows in proportion, by largest remainder."""
    exact = [share * rows for share in shares]
    counts = [int(value) for value in exact]
    rest = sorted(range(len(shares)), key=lambda place: counts[place] - exact[place])
    for place in rest[: rows - sum(counts)]:
        counts[place] += 1
    return counts


def field_scenario(rows: int, *, fields: int, truth: float, alike: float) -> Scenario:
    """Extraction: the fields of a row share its difficulty; `alike` is their correlation."""
    names = [f"f{place}" for place in range(fields)]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    asked = Bound(
        task=task_of("extraction", schema=schema), metric="field_f1", truth=truth, bound=truth
    )
    total = 1 / alike - 1
    target = json.dumps(dict.fromkeys(names, "x"), separators=(",", ":"))

    def draw(random: Any, seed: int) -> Outcome:
        ability = random.beta(truth * total, (1 - truth) * total, rows)
        right = random.random((rows, fields)) < ability[:, None]
        predictions = [
            prediction(
                row,
                target,
                json.dumps(
                    {
                        name: "x" if hit else "y"
                        for name, hit in zip(names, right[row], strict=True)
                    },
                    separators=(",", ":"),
                ),
            )
            for row in range(rows)
        ]
        return asked.decide(predictions, random, seed)

    name = f"field_f1, {fields} fields a row, correlation {alike:g}"
    return Scenario(name=name, rows=rows, draw=draw)


def group_scenario(groups: int, size: int, *, truth: float, alike: float) -> Scenario:
    """Accuracy of rows in groups whose rows are alike."""
    labels = ("a", "b")
    asked = Bound(
        task=task_of("classification", labels), metric="accuracy", truth=truth, bound=truth
    )
    total = 1 / alike - 1

    def draw(random: Any, seed: int) -> Outcome:
        ability = np.repeat(random.beta(truth * total, (1 - truth) * total, groups), size)
        right = random.random(groups * size) < ability
        predictions = [
            prediction(row, labels[row % 2], labels[(row + (not hit)) % 2], group=f"g{row // size}")
            for row, hit in enumerate(right)
        ]
        return asked.decide(predictions, random, seed)

    name = f"accuracy, {groups} groups of {size}, correlation {alike:g}"
    return Scenario(name=name, rows=groups * size, draw=draw)


def text_scenario(rows: int) -> Scenario:
    """Bits per byte, a maximum: lengths and surprise of texts are lognormal, so a few weigh much."""
    truth = 1.0
    asked = Bound(
        task=task_of("text"), metric="bits_per_byte", truth=truth, bound=truth, direction="max"
    )

    def draw(random: Any, seed: int) -> Outcome:
        sizes = np.ceil(random.lognormal(4.5, 0.8, rows))
        surprise = random.lognormal(-0.045, 0.3, rows) * math.log(2)
        predictions = [
            prediction(row, "", "", nats=float(s * n), tokens=max(1, int(n // 4)), bytes=int(n))
            for row, (n, s) in enumerate(zip(sizes, surprise, strict=True))
        ]
        return asked.decide(predictions, random, seed)

    return Scenario(name="bits_per_byte at most 1, lognormal texts", rows=rows, draw=draw)


# Two or more models on the same rows.


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another model: rows that only the tuned one, and only the other one, answers rightly."""

    gained: float
    lost: float

    @property
    def gain(self) -> float:
        """The true gain of the tuned model."""
        return self.gained - self.lost


def answers_of(right: Array) -> list[Prediction]:
    """Two classes of equal size, answered rightly or not."""
    labels = ("a", "b")
    return [
        prediction(row, labels[row % 2], labels[(row + (not hit)) % 2])
        for row, hit in enumerate(right)
    ]


def draw_models(random: Any, rows: int, rivals: Sequence[Rival]) -> tuple[Array, list[Array]]:
    """Rows that each model answers rightly: the tuned one 8 of 10."""
    tuned = random.random(rows) < 0.8
    others = []
    for rival in rivals:
        dice = random.random(rows)
        others.append(np.where(tuned, dice >= rival.gained / 0.8, dice < rival.lost / 0.2))
    return tuned, others


def gain_scenario(
    name: str,
    rivals: Sequence[Rival],
    rows: int,
    *,
    metric: str,
    min_gain: float,
    better: bool = False,
) -> Scenario:
    """Gains over baselines; the bootstrap looks at the best baseline by its score only."""
    acceptance = accepting(over_baselines=(MinGain(metric=metric, min_gain=min_gain),))
    truth = min(rival.gain for rival in rivals)

    def draw(random: Any, seed: int) -> Outcome:
        tuned, others = draw_models(random, rows, rivals)
        comparisons = compared(tuned, others, acceptance, seed)
        (check,) = judge_gains(comparisons, acceptance)
        gains = [tuned.astype(float) - other for other in others]
        best = min(gains, key=lambda gain: float(gain.mean()))
        low, high = bootstrap(best, random)
        return Outcome(
            ours=check.status is Status.PASS,
            point=float(best.mean()) >= min_gain - 1e-12,
            bootstrap=low >= min_gain - 1e-12,
            covers=holds(comparisons[0], truth) if len(rivals) == 1 else None,
            bootstrap_covers=low <= truth <= high if len(rivals) == 1 else None,
        )

    planned = None
    if better:
        rule = ThresholdRule(bound=min_gain, confidence=CONFIDENCE)
        discordance = rivals[0].gained + rivals[0].lost
        planned = gain_rate(truth, rule, rows=rows, discordance=discordance)
    return Scenario(name=f"{metric}, {name}", rows=rows, draw=draw, planned=planned)


def compared(
    tuned: Array, others: Sequence[Array], acceptance: Acceptance, seed: int
) -> tuple[Comparison, ...]:
    """Compare as the gate does."""
    rivals = Rivals(
        judging=Judging(
            task=task_of("classification", ("a", "b")), confidence=CONFIDENCE, seed=seed
        ),
        baselines={f"b{place}": answers_of(other) for place, other in enumerate(others)},
    )
    return compare(answers_of(tuned), rivals, acceptance=acceptance, main="accuracy")


def holds(comparison: Comparison, truth: float) -> bool | None:
    """Tell whether the interval of a difference holds the truth."""
    interval = comparison.interval
    return None if interval is None else interval.low <= truth <= interval.high


def bootstrap(gains: Array, random: Any) -> tuple[float, float]:
    """The percentile interval of a mean of differences."""
    drawn = resampled(gains[:, None], random)[:, 0] / gains.size
    low, high = np.quantile(drawn, (STATED, 1 - STATED))
    return float(low), float(high)


def claims_scenario(baselines: int, rows: int) -> Scenario:
    """How often any claim of a difference looks proven where no baseline is worse than the model."""
    rivals = [Rival(gained=0.1, lost=0.1)] * baselines
    acceptance = accepting(over_baselines=(MinGain(metric="accuracy", min_gain=0.0),))

    def draw(random: Any, seed: int) -> Outcome:
        tuned, others = draw_models(random, rows, rivals)
        found = compared(tuned, others, acceptance, seed)
        return Outcome(
            ours=any((x.p_adjusted or 1) <= 1 - CONFIDENCE for x in found),
            point=any((x.difference or 0) != 0 for x in found),
            bootstrap=any((x.p_value or 1) <= 1 - CONFIDENCE for x in found),
        )

    name = f"any of {baselines} equal baselines claimed different (bootstrap: uncorrected tests)"
    return Scenario(name=name, rows=rows, draw=draw, limit=1 - CONFIDENCE)


def previous_scenario(rows: int, *, drop: float, max_drop: float) -> Scenario:
    """The last accepted model, against which the new one loses `drop`."""
    acceptance = accepting(over_previous=(MaxDrop(metric="accuracy", max_drop=max_drop),))
    rival = Rival(gained=0.05 - drop / 2, lost=0.05 + drop / 2)

    def draw(random: Any, seed: int) -> Outcome:
        tuned, (other,) = draw_models(random, rows, [rival])
        earlier = Earlier(answers=answers_of(other), accepted="before")
        rivals = Rivals(
            judging=Judging(
                task=task_of("classification", ("a", "b")), confidence=CONFIDENCE, seed=seed
            ),
            earlier=earlier,
        )
        found = compare(answers_of(tuned), rivals, acceptance=acceptance, main="accuracy")
        (check,) = judge_previous(found, acceptance, earlier=earlier)
        lost = other.astype(float) - tuned
        low, high = bootstrap(lost, random)
        return Outcome(
            ours=check.status is Status.PASS,
            point=float(lost.mean()) <= max_drop + 1e-12,
            bootstrap=high <= max_drop + 1e-12,
            covers=holds(found[0], -drop),
            bootstrap_covers=low <= drop <= high,
        )

    planned = None
    if drop < max_drop:
        rule = ThresholdRule(bound=-max_drop, confidence=CONFIDENCE)
        planned = gain_rate(-drop, rule, rows=rows, discordance=0.1)
    name = f"over_previous, max_drop {max_drop:g}, true drop {drop:g}"
    return Scenario(name=name, rows=rows, draw=draw, planned=planned)


SKEWED = (0.5, 0.25, 0.15, 0.07, 0.03)
TWENTY = (0.05,) * 20
UNEVEN = tuple(
    np.array([1 / (2 + place) for place in range(20)]) / sum(1 / (2 + p) for p in range(20))
)


def scenarios() -> Iterator[Scenario]:
    """All of them, those that should not pass first."""
    for truth, rows in ((0.8, 100), (0.8, 300), (0.9, 300), (0.95, 300), (0.98, 1000)):
        yield share_scenario(truth, rows, bound=truth)
    halves = (0.5, 0.5)
    for rows in (100, 300):
        yield label_scenario("2 classes", halves, rows, recall=0.9, metric="macro_f1")
        yield label_scenario("9 to 1", (0.9, 0.1), rows, recall=0.9, metric="macro_f1")
        yield label_scenario("5 skewed classes", SKEWED, rows, recall=0.9, metric="macro_f1")
        yield label_scenario("20 classes", TWENTY, rows, recall=0.9, metric="macro_f1")
    yield label_scenario("20 skewed classes", UNEVEN, 500, recall=0.85, metric="macro_f1")
    yield label_scenario("class of 30 rows", (0.9, 0.1), 300, recall=0.9, metric="f1")
    yield label_scenario("class of 60 rows", (0.8, 0.2), 300, recall=0.8, metric="f1")
    yield label_scenario("class of 15 rows", (0.95, 0.05), 300, recall=0.9, metric="f1")
    yield field_scenario(200, fields=4, truth=0.85, alike=0.5)
    yield group_scenario(40, 8, truth=0.8, alike=0.6)
    yield group_scenario(12, 25, truth=0.8, alike=0.4)
    yield text_scenario(300)
    for metric in ("accuracy", "macro_f1"):
        for min_gain in (0.0, 0.05):
            rival = Rival(gained=0.1 + min_gain / 2, lost=0.1 - min_gain / 2)
            name = f"gain of {min_gain:g}, min_gain {min_gain:g}"
            yield gain_scenario(name, [rival], 300, metric=metric, min_gain=min_gain)
    same = [Rival(gained=0.1, lost=0.1)] * 5
    yield gain_scenario("no gain over 5 baselines", same, 300, metric="accuracy", min_gain=0.0)
    trap = [Rival(gained=0.08, lost=0.0), Rival(gained=0.165, lost=0.115)]
    name = "gains of 0.08 and, far less sure, 0.05, min_gain 0.05"
    yield gain_scenario(name, trap, 300, metric="accuracy", min_gain=0.05)
    yield claims_scenario(5, 300)
    yield previous_scenario(500, drop=0.02, max_drop=0.02)
    yield from better_models()


def better_models() -> Iterator[Scenario]:
    """Models that should pass, as often as the plan says."""
    for truth, rows in ((0.85, 300), (0.88, 300), (0.9, 100)):
        planned = planned_rate(truth, 0.8, rows, Spread(per_row=lambda _: 1.0))
        yield share_scenario(truth, rows, bound=0.8, planned=planned)
    for name, shares, rows in (
        ("2 classes", (0.5, 0.5), 300),
        ("9 to 1", (0.9, 0.1), 300),
        ("5 skewed classes", SKEWED, 300),
        ("20 classes", TWENTY, 300),
    ):
        yield label_scenario(name, shares, rows, recall=0.9, metric="macro_f1", off=0.06)
    yield label_scenario("class of 60 rows", (0.8, 0.2), 300, recall=0.9, metric="f1", off=0.1)
    for metric in ("accuracy", "macro_f1"):
        rivals = [Rival(gained=0.16, lost=0.04)]
        name = "gain of 0.12, min_gain 0.05"
        yield gain_scenario(name, rivals, 300, metric=metric, min_gain=0.05, better=True)
    yield previous_scenario(1000, drop=0.0, max_drop=0.03)


def line(scenario: Scenario, found: Sequence[Outcome]) -> str:
    """Print one scenario as a row of a Markdown table."""
    ours = rate([item.ours for item in found])
    low, high = margin([item.ours for item in found])
    too_often = scenario.planned is None and low > scenario.limit
    planned = "" if scenario.planned is None else f"{scenario.planned:.3f}"
    cells = [
        scenario.name,
        str(scenario.rows),
        f"{'**too often** ' if too_often else ''}{ours:.3f} ({low:.3f} to {high:.3f})",
        shown([item.point for item in found]),
        shown([item.bootstrap for item in found]),
        planned,
        shown([item.covers for item in found]),
        shown([item.bootstrap_covers for item in found]),
    ]
    return f"| {' | '.join(cells)} |"


def rate(values: Sequence[bool]) -> float:
    """The share of true ones."""
    return sum(values) / len(values)


def shown(values: Sequence[bool | None]) -> str:
    """A share, or a dash where it was not asked."""
    known = [value for value in values if value is not None]
    return f"{rate(known):.3f}" if known else "-"


def margin(values: Sequence[bool]) -> tuple[float, float]:
    """The Wilson interval of a simulated rate."""
    interval = wilson(sum(values), len(values), confidence=0.95)
    if interval is None:
        raise AssertionError(len(values))
    return interval.low, interval.high


def main() -> None:
    """Print the whole table."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    print(
        "| truth and bound | rows | ours passes | point | bootstrap | planned | covers | bootstrap |"
    )
    print("|---|---|---|---|---|---|---|---|")
    started = time.monotonic()
    for scenario in scenarios():
        if only in scenario.name:
            times = simulations * (50 if scenario.name.startswith("accuracy of") else 1)
            random = np.random.default_rng(1)
            found = [scenario.draw(random, seed) for seed in range(times)]
            print(line(scenario, found), flush=True)
    print(f"\n{simulations} simulations a line, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
