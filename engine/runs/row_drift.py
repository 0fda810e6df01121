"""Counts of answered rows, without their texts: of a file, and of the holdout of a run."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import batched
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.data.examples.example import iter_examples
from engine.errors import DataError, RecipeError, StageError
from engine.evidence import CountDifference, RowCounts
from engine.files.reading import read_json
from engine.inference.exported_files import as_file
from engine.metrics.calibration import calibrated
from engine.metrics.comparing import holm
from engine.runs.predict_rows import PART, AnsweredRows
from engine.runs.stored_run import StoredRun
from engine.store import Store
from engine.store.records import read_record
from engine.values import from_json, to_json

CONFIDENCE_BINS: Final = 20
LENGTH_BINS: Final = 24
"""Lengths below 2, 4, … 2^24 characters."""


class RowCounter:
    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = Counter[str](dict.fromkeys(labels, 0))
        self.rows = self.abstained = 0
        self.confidence, self.similarity = ([0] * CONFIDENCE_BINS for _ in range(2))
        self.characters = [0] * LENGTH_BINS

    def add(
        self,
        text: str,
        label: str | None,
        probability: float | None,
        *,
        abstain_below: float | None,
        similarity: float | None = None,
    ) -> None:
        """Count a row; `label` is the most probable answer where the task has one label a row."""
        self.rows += 1
        self.characters[min(LENGTH_BINS - 1, len(text).bit_length())] += 1
        if probability is not None:
            self.confidence[_bin(probability)] += 1
        if similarity is not None:
            self.similarity[_bin(similarity)] += 1
        # any other label would be a text of the model
        if label is not None and label in self.labels:
            self.labels[label] += 1
        self.abstained += abstain_below is not None and (probability or 0.0) < abstain_below

    def counts(self, *, model: str, temperature: float, abstain_below: float | None) -> RowCounts:
        return RowCounts(
            model=model,
            temperature=temperature,
            abstain_below=abstain_below,
            rows=self.rows,
            abstained=self.abstained,
            labels=tuple(self.labels.items()),
            confidence=tuple(self.confidence),
            characters=tuple(self.characters),
            similarity=tuple(self.similarity) if any(self.similarity) else (),
        )


def _bin(share: float) -> int:
    return min(CONFIDENCE_BINS - 1, int(share * CONFIDENCE_BINS))


DRAWS: Final = 4000
FEWEST: Final = 30

_Counts = NDArray[Any]
_Distance = Callable[[_Counts, _Counts], _Counts]


def differences(
    reference: RowCounts, now: RowCounts, *, confidence: float = 0.95, seed: int = 0
) -> tuple[CountDifference, ...]:
    """Compare the counts of new rows with those of the holdout, answered by the same model."""
    labels = [dict(side.labels) for side in (reference, now)]
    names = [*dict.fromkeys((*labels[0], *labels[1]))]
    first, second = ([side.get(name, 0) for name in names] for side in labels)
    compared: list[tuple[str, Sequence[int], Sequence[int], _Distance]] = [
        ("labels", first, second, _elsewhere),
        ("confidence", reference.confidence, now.confidence, _apart),
        ("characters", reference.characters, now.characters, _apart),
        ("similarity", reference.similarity, now.similarity, _apart),
    ]
    # another threshold abstains on other rows
    if reference.abstain_below is not None and reference.abstain_below == now.abstain_below:
        first, second = ([side.abstained, side.rows - side.abstained] for side in (reference, now))
        compared.append(("abstained", first, second, _elsewhere))
    found = []
    for what, one, two, distance in compared:
        before, after = (np.array(side, dtype=np.int64) for side in (one, two))
        if not before.sum() or not after.sum():
            continue
        random, both = np.random.default_rng(seed), before + after
        effect = float(distance(before, after))
        drawn = random.multivariate_hypergeometric(
            both, int(before.sum()), size=DRAWS, method="marginals"
        )
        # How often as many rows drawn from both together are as far, but for the rounding of floats.
        as_far = int((distance(drawn, both - drawn) >= effect - 1e-12).sum())
        found.append((what, effect, (1 + as_far) / (1 + DRAWS)))
    adjusted = holm([p_value for _, _, p_value in found])
    return tuple(
        CountDifference(
            what=what,
            effect=effect,
            p_value=p_value,
            p_adjusted=p_adjusted,
            differs=p_adjusted <= 1 - confidence,
        )
        for (what, effect, p_value), p_adjusted in zip(found, adjusted, strict=True)
    )


def _shares(counts: _Counts) -> _Counts:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _elsewhere(first: _Counts, second: _Counts) -> _Counts:
    return np.asarray(np.abs(_shares(first) - _shares(second)).sum(axis=-1) / 2)


def _apart(first: _Counts, second: _Counts) -> _Counts:
    gaps = np.cumsum(_shares(first) - _shares(second), axis=-1)
    return np.asarray(np.abs(gaps).max(axis=-1))


SCHEMA = "row-counts.v1"
MOST_ROWS = 10**8
"""Most rows in a file of counts: drawing from two of them takes memory for a few times as many."""
MOST_LABELS = 1000
_COUNTED = "recipe predict MODEL ROWS --keep-counts FILE writes them"

Nearness = Callable[[Sequence[str]], Sequence[float | None]]
"""Similarity of the nearest training row to each text, 0 to 1; None where not known."""
MOST_TRAINED = 10_000
"""Most training rows that are searched, at equal distances."""


def unknown_nearness(texts: Sequence[str]) -> list[float | None]:
    return [None] * len(texts)


def trained_nearness(folder: Path, store: Store) -> Nearness:
    """Return the nearness to the training rows of a run; unknown without these or scikit-learn."""
    key = read_record(folder).get("stages", {}).get("data", {}).get("key")
    data = store.whole(str(key)) if key else None
    if data is None or find_spec("sklearn") is None:
        return unknown_nearness
    from engine.runtime.text.tfidf import nearness  # brings scikit-learn

    texts = [row.input for row in iter_examples(data.file("train.jsonl"))]
    try:
        return nearness(texts[:: -(-len(texts) // MOST_TRAINED) or 1])
    except StageError:  # rows without words
        return unknown_nearness


def counts_text(counts: RowCounts) -> str:
    return (
        json.dumps({"schema": SCHEMA, "counts": to_json(counts)}, indent=1, ensure_ascii=False)
        + "\n"
    )


def read_counts(path: Path) -> RowCounts:
    """Read a file of counts. DataError D429 for any other file."""
    no_counts = DataError.one(
        "D429", f"`{path.name}` holds no counts of answered rows", hint=_COUNTED
    )
    try:
        data = read_json(path)
        # a schema of another version has no counts that this one reads
        found = from_json(RowCounts, data["counts"] if data["schema"] == SCHEMA else None)
    except FileNotFoundError as error:
        raise DataError.one("D429", f"there is no file `{path}`", hint=_COUNTED) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise no_counts from error
    # The file may come from anybody: only counts that rows can give are taken.
    labels = [count for _, count in found.labels]
    sizes = (len(found.confidence), len(found.characters), len(found.similarity))
    parts = (labels, found.confidence, found.characters, found.similarity, (found.abstained,))
    if (
        sizes[:2] != (CONFIDENCE_BINS, LENGTH_BINS)
        or sizes[2] not in (0, CONFIDENCE_BINS)
        or len(labels) > MOST_LABELS
        or found.rows > MOST_ROWS
        or any(min(part, default=0) < 0 or sum(part) > found.rows for part in parts)
    ):
        raise no_counts
    return found


def counts_of(answered: AnsweredRows, nearness: Nearness = unknown_nearness) -> RowCounts:
    kept, task, below = answered.task.calibration, answered.task.task, answered.abstain_below
    counter = RowCounter(task.labels)
    for part in batched(answered, PART, strict=False):
        asked = [
            (text, answer)
            for row, answer in part
            if (text := answered.rows.question(row)) is not None
        ]
        near = nearness([text for text, _ in asked])
        for (text, answer), similarity in zip(asked, near, strict=True):
            counter.add(
                text, answer.stated, answer.probability, abstain_below=below, similarity=similarity
            )
    temperature = kept.temperature if kept else 1.0
    return counter.counts(model=answered.model, temperature=temperature, abstain_below=below)


def holdout_counts(folder: Path, store: Store) -> RowCounts:
    """Count the holdout of a run as its exported file answered it. RecipeError D432; StoreError E751, E758."""
    run = StoredRun(folder, store, refused="its holdout is not counted")
    report = run.report
    files = [file.sha256 for file in report.files if file.name.endswith(".gguf")]
    if report.outcome != "accepted" or not files:
        raise _none(run, "it left no accepted GGUF file")
    texts, answers = run.texts, run.exported
    if not answers:
        raise _none(run, "the store no longer has what `verify` left")
    if any(row.id not in texts for row in answers):
        raise _none(run, "the store no longer has its rows")
    kept = as_file(report.calibrated[-1]) if report.calibrated else None
    below = kept.abstain_below if kept else None
    counter = RowCounter(run.recipe.task.labels)
    near = trained_nearness(folder, store)([texts[row.id] for row in answers])
    rows = calibrated(answers, kept.temperature if kept else None)
    for row, similarity in zip(rows, near, strict=True):
        counter.add(
            texts[row.id], row.label, row.probability, abstain_below=below, similarity=similarity
        )
    temperature = kept.temperature if kept else 1.0
    return counter.counts(model=files[0], temperature=temperature, abstain_below=below)


def require_comparable(reference: RowCounts, now: RowCounts) -> None:
    """DataError D430 for counts of another model, D431 for too few rows."""
    if (reference.model, reference.temperature) != (now.model, now.temperature):
        raise DataError.one(
            "D430",
            "the rows were answered by another model than the holdout's",
            hint="label them with this one: recipe predict MODEL ROWS --keep-counts FILE",
        )
    few = min(reference.rows, now.rows)
    if few < FEWEST:
        raise DataError.one(
            "D431", f"{few} rows are too few to compare", hint=f"collect {FEWEST} or more"
        )


def _none(run: StoredRun, why: str) -> RecipeError:
    return RecipeError.one(
        "D432",
        f"the holdout of `{run.name}` cannot be counted: {why}",
        hint="name a file of counts of the holdout's rows instead of the run",
    )
