"""How often do the intervals of F1 hold the truth? Simulated holdouts, against an ordinary bootstrap.

    python benchmarks/interval_coverage.py [HOLDOUTS]

Draws holdouts from known confusion probabilities and prints, for macro-F1, balanced accuracy and the F1 of the
last (rarest) class, how often each interval holds the true value, how often it lies wholly above it (a bad
model would pass a `lower_bound` gate), and its mean width. A simulation of statistics, not of models.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.families import labels as by_label
from engine.metrics.families.classification import measures, tabulate
from engine.metrics.intervals import wilson, wilson_f1
from engine.metrics.predictions import Judging, Prediction
from engine.metrics.resampling import draw, method, percentile_interval
from engine.metrics.scoring import score
from engine.recipe.model import Task
from engine.values import replace

Array = NDArray[Any]
CONFIDENCE = 0.95
GROUP = 10
"""Rows of a group."""
_NOTHING: dict[str, Any] = {"instruction": "", "system": "", "input": "", "output": "text"}
PAIR = Task(kind="classification", labels=("0", "1"), schema=None, **_NOTHING)
FIELDS = Task(
    kind="extraction",
    labels=(),
    schema={"properties": {name: {"type": "integer"} for name in "abcd"}},
    **_NOTHING,
)
SCENARIOS = {
    "2 classes, 0.90": ([0.5, 0.5], [0.9, 0.9]),
    "2 classes, 0.98": ([0.5, 0.5], [0.98, 0.98]),
    "2 classes, 0.995": ([0.5, 0.5], [0.995, 0.995]),
    "2 classes, 5 % rare": ([0.95, 0.05], [0.98, 0.85]),
    "5 classes, 3 % rare": ([0.5, 0.25, 0.15, 0.07, 0.03], [0.95, 0.92, 0.88, 0.82, 0.82]),
    "20 classes, 0.90": ([0.05] * 20, [0.9] * 20),
    "20 classes, 0.99": ([0.05] * 20, [0.99] * 20),
}


def probabilities(shares: list[float], recalls: list[float]) -> Array:
    """Target by output; errors go to the other classes by their share."""
    matrix = np.zeros((len(shares), len(shares)))
    for place, (share, recall) in enumerate(zip(shares, recalls, strict=True)):
        others = np.array(shares)
        others[place] = 0
        matrix[place] = share * (1 - recall) * others / others.sum()
        matrix[place, place] = share * recall
    return matrix


def f1_by_class(matrices: Array) -> Array:
    """F1 of each class, shape (…, classes)."""
    right = matrices.diagonal(axis1=-2, axis2=-1)
    both = matrices.sum(axis=-2) + matrices.sum(axis=-1)
    return np.where(both > 0, 2 * right / np.maximum(both, 1e-12), 0)


def recall_by_class(matrices: Array) -> Array:
    """Recall of each class, shape (…, classes)."""
    rows = matrices.sum(axis=-1)
    return np.where(rows > 0, matrices.diagonal(axis1=-2, axis2=-1) / np.maximum(rows, 1e-12), 0)


def intervals(cells: Array, task: Task, *, seed: int) -> dict[str, tuple[float, float]]:
    """Compute ours and a bootstrap's for macro-F1 and for the last class."""
    classes = len(task.labels)
    matrix = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    table = tabulate(predictions(cells, task), task)
    drawn = draw(table, seed=seed)[0]
    values = by_label.f1(drawn).mean(axis=-1)
    point = float(f1_by_class(matrix).mean())
    (measure,) = (one for one in measures(table) if one.name == "balanced_accuracy")
    balanced = percentile_interval(
        measure.drawn(drawn, table.sums()),
        float(recall_by_class(matrix).mean()),
        confidence=CONFIDENCE,
        method=method(table),
    )
    macro = percentile_interval(values, point, confidence=CONFIDENCE, method=method(table))
    right = int(matrix[-1, -1])
    rare = wilson_f1(
        right, int(matrix[-1].sum() + matrix[:, -1].sum()) - 2 * right, confidence=CONFIDENCE
    )
    if rare is None:
        raise AssertionError(task.labels[-1])
    random = np.random.default_rng(seed)
    shares = matrix.ravel() / matrix.sum()
    counts = random.multinomial(matrix.sum(), shares, 2000).reshape(-1, *matrix.shape)
    resampled = f1_by_class(counts)
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    return {
        "macro-F1, ours": (macro.low, macro.high),
        "macro-F1, bootstrap": tuple(np.quantile(resampled.mean(axis=-1), tails)),
        "balanced, ours": (balanced.low, balanced.high),
        "balanced, bootstrap": tuple(np.quantile(recall_by_class(counts).mean(axis=-1), tails)),
        "last class, ours": (rare.low, rare.high),
        "last class, bootstrap": tuple(np.quantile(resampled[:, -1], tails)),
    }


def predictions(cells: Array, task: Task) -> list[Prediction]:
    """Rows of a confusion matrix: target times classes, plus output."""
    names, classes = task.labels, len(task.labels)
    return [
        Prediction(
            id=str(place),
            target=names[cell // classes],
            label=names[cell % classes],
            text="",
            probability=None,
        )
        for place, cell in enumerate(cells)
    ]


def report(name: str, truth: Array, *, rows: int, holdouts: int) -> None:
    """Print one line for each kind of interval."""
    random = np.random.default_rng(1)
    classes = len(truth)
    task = replace(PAIR, labels=tuple(str(place) for place in range(classes)))
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(holdouts):
        cells = random.choice(classes**2, p=truth.ravel(), size=rows)
        if len(set((cells // classes).tolist())) == classes:
            for kind, interval in intervals(cells, task, seed=seed).items():
                found.setdefault(kind, []).append(interval)
    true, recall = f1_by_class(truth), recall_by_class(truth).mean()
    for kind, pairs in found.items():
        low, high = np.array(pairs).T
        means = {"macro": true.mean(), "balan": recall}
        value = means.get(kind[:5], true[-1])
        held = ((low <= value) & (value <= high)).mean()
        print(
            f"{name:20} {rows:4} rows  {kind:22} true {value:.3f}  holds {held:.3f}"
            f"  above {(low > value).mean():.3f}  width {(high - low).mean():.3f}",
            flush=True,
        )


def line(name: str, kind: str, pairs: list[tuple[float, float]], *, true: float) -> None:
    """Print how often intervals hold what is true."""
    low, high = np.array(pairs).T
    held = ((low <= true) & (true <= high)).mean()
    print(
        f"{name:36} {kind:14} true {true:.3f}  holds {held:.3f}"
        f"  above {(low > true).mean():.3f}  width {(high - low).mean():.3f}",
        flush=True,
    )


def groups(count: int, correlation: float, *, rate: float = 0.9, holdouts: int) -> None:
    """Print how intervals of accuracy do with so many groups of ten rows."""
    random = np.random.default_rng(1)
    found: dict[str, list[tuple[float, float]]] = {"groups": [], "rows, Wilson": []}
    for seed in range(holdouts):
        rates = np.full(count, rate)
        if correlation == 1:
            rates = (random.random(count) < rate).astype(float)
        elif correlation:
            strength = 1 / correlation - 1
            rates = random.beta(rate * strength, (1 - rate) * strength, size=count)
        right = random.random((count, GROUP)) < rates[:, None]
        rows = predictions(np.where(right, 0, 1).ravel(), PAIR)
        grouped = [
            replace(row, group=str(place // GROUP), target="01"[place % 2])
            for place, row in enumerate(rows)
        ]
        answered = [
            replace(row, label=row.target if row.label == "0" else "10"[int(row.target)])
            for row in grouped
        ]
        interval = (
            score(answered, Judging(task=PAIR, confidence=CONFIDENCE, seed=seed))
            .metric("accuracy")
            .interval
        )
        alone = wilson(int(right.sum()), right.size, confidence=CONFIDENCE)
        if interval and alone:
            found["groups"].append((interval.low, interval.high))
            found["rows, Wilson"].append((alone.low, alone.high))
    for kind, pairs in found.items():
        line(f"{count} groups of {GROUP}, correlation {correlation}", kind, pairs, true=rate)


def fields(rows: int, rate: float, *, holdouts: int) -> None:
    """Print how intervals of field F1 do; a field is right, or left out, or has another value."""
    random = np.random.default_rng(1)
    pairs = []
    target = json.dumps(dict.fromkeys("abcd", 1), separators=(",", ":"))
    for seed in range(holdouts):
        easy = random.beta(
            rate * 4, (1 - rate) * 4, size=(rows, 1)
        )  # rows differ in how hard they are
        lot, omitted = random.random((rows, 4)), random.random((rows, 4)) < 1 / 3
        answers = [
            json.dumps({n: int(r) for n, r, o in zip("abcd", *each, strict=True) if r or not o})
            for each in zip(lot < easy, omitted, strict=True)
        ]
        made = [
            Prediction(id=str(place), target=target, label=text, text=text, probability=None)
            for place, text in enumerate(answers)
        ]
        interval = (
            score(made, Judging(task=FIELDS, confidence=CONFIDENCE, seed=seed))
            .metric("field_f1")
            .interval
        )
        if interval:
            pairs.append((interval.low, interval.high))
    line(f"{rows} rows of four fields", "field F1", pairs, true=2 * rate / (2 - (1 - rate) / 3))


def main() -> None:
    """Print the whole table."""
    holdouts = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for count in (5, 20, 60):
        for correlation in (0, 0.2, 1):
            groups(count, correlation, holdouts=holdouts)
    for rows in (100, 300):
        for rate in (0.7, 0.9, 0.98):
            fields(rows, rate, holdouts=holdouts)
    for name, (shares, recalls) in SCENARIOS.items():
        for rows in (100, 300):
            report(name, probabilities(shares, recalls), rows=rows, holdouts=holdouts)


if __name__ == "__main__":
    main()
