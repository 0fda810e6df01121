"""Counts of rows say that they changed where they did, and hold no text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import DataError
from engine.evidence import RowCounts
from engine.runs.row_drift import (
    CONFIDENCE_BINS,
    LENGTH_BINS,
    MOST_LABELS,
    RowCounter,
    counts_text,
    differences,
    read_counts,
)
from engine.values import replace


def counts(
    rows: int, *, seed: int, positive: float = 0.5, sure: float = 8.0, words: int = 40
) -> RowCounts:
    """Rows drawn anew: how many are positive, how sure answers are, how long texts."""
    random = np.random.default_rng(seed)
    counter = RowCounter(("positive", "negative"))
    for _ in range(rows):
        label = "positive" if random.random() < positive else "negative"
        text = "x" * int(random.integers(1, words * 5))
        counter.add(text, label, float(random.beta(sure, 2)), abstain_below=0.6)
    return counter.counts(model="m", temperature=1.0, abstain_below=0.6)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"positive": 0.8}, {"labels"}),
        ({"sure": 2.0}, {"confidence", "abstained"}),
        ({"words": 400}, {"characters"}),
    ],
    ids=["nothing", "labels", "confidence", "lengths"],
)
def test_what_changed_is_found_and_nothing_else(change: dict[str, float], found: set[str]) -> None:
    reference = counts(400, seed=1)

    seen = differences(reference, counts(600, seed=2, **change))  # type: ignore[arg-type]

    assert {one.what for one in seen} == {"labels", "confidence", "characters", "abstained"}
    assert {one.what for one in seen if one.differs} == found
    assert all(one.p_value <= one.p_adjusted <= 1 for one in seen)


def test_rows_that_are_like_no_training_row_are_found() -> None:
    def near(*similarities: float) -> RowCounts:
        counter = RowCounter(())
        for one in similarities:
            counter.add("x" * 9, None, None, abstain_below=None, similarity=one)
        return counter.counts(model="m", temperature=1.0, abstain_below=None)

    reference, strange = near(*[0.7, 0.8, 1.0] * 30), near(*[0.1, 0.2, 0.7] * 30)

    seen = {one.what: one for one in differences(reference, strange)}

    assert (seen["similarity"].differs, seen["characters"].differs) == (True, False)
    assert seen["similarity"].effect == pytest.approx(2 / 3)
    # of a file without its run it is not known
    unknown = [one.what for one in differences(reference, replace(strange, similarity=()))]
    assert unknown == ["characters"]


def test_the_effect_on_labels_is_the_share_of_rows_that_is_elsewhere() -> None:
    one = replace(counts(100, seed=1), labels=(("positive", 80), ("negative", 20)))
    two = replace(counts(100, seed=1), labels=(("positive", 50), ("negative", 50)))

    (labels, *_) = differences(one, two)

    assert labels.effect == pytest.approx(0.3)


def test_equal_rows_differ_in_at_most_the_stated_share() -> None:
    wrong = sum(
        any(one.differs for one in differences(counts(80, seed=n), counts(90, seed=1000 + n)))
        for n in range(40)
    )

    assert wrong <= 6  # 2 are expected; more than 6 of 40 by chance in 3 of 1,000


def test_other_thresholds_are_not_compared() -> None:
    seen = differences(counts(60, seed=1), replace(counts(60, seed=2), abstain_below=0.7))

    assert "abstained" not in {one.what for one in seen}


def test_a_label_that_the_task_does_not_have_is_not_kept() -> None:
    counter = RowCounter(("positive",))

    counter.add("a text", "a name somebody wrote", 0.9, abstain_below=None)

    assert counter.counts(model="m", temperature=1.0, abstain_below=None) == RowCounts(
        model="m",
        temperature=1.0,
        abstain_below=None,
        rows=1,
        abstained=0,
        labels=(("positive", 0),),
        confidence=(0,) * 18 + (1, 0),
        characters=(0, 0, 0, 1) + (0,) * 20,
    )


# Files of counts, which may be anybody's: what no rows can give is no file of counts.
def text_of(**changes: Any) -> str:
    counter = RowCounter(["a", "b"])
    for at in range(40):
        counter.add("x" * at, "ab"[at % 2], at / 40, abstain_below=0.5, similarity=0.3)
    text = counts_text(counter.counts(model="m", temperature=1.0, abstain_below=0.5))
    whole = json.loads(text)
    return json.dumps({**whole, "counts": {**whole["counts"], **changes}})


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": [10**30] * CONFIDENCE_BINS},
        {"confidence": [2**62] * CONFIDENCE_BINS, "rows": 2**62},
        {"confidence": [-1] * CONFIDENCE_BINS},
        {"confidence": [1] * 3},
        {"characters": [0] * (LENGTH_BINS + 1)},
        {"similarity": [1]},
        {"labels": [["a", -5], ["b", 7]]},
        {"labels": [[f"{at}", 0] for at in range(MOST_LABELS + 1)]},
        {"abstained": 41},
        {"abstained": -1},
        {"rows": 10**12},
        {"rows": 39},
    ],
    ids=str,
)  # fmt: skip
def test_counts_that_no_rows_give_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Labels without number took 32 GB, numbers beyond 64 bits ended in a bug report."""
    path = tmp_path / "counts.json"
    path.write_text(text_of(**changes), encoding="utf-8")

    with pytest.raises(DataError, match="D429"):
        read_counts(path)


def test_a_file_that_is_not_there_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"D429.*there is no file") as caught:
        read_counts(tmp_path / "counts.json")

    assert caught.value.problems[0].hint is not None


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text(text_of(), encoding="utf-8")

    assert (read_counts(path).rows, read_counts(path).labels) == (40, (("a", 20), ("b", 20)))
