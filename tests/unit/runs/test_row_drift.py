"""Files of counts, which may be anybody's: what no rows can give is no file of counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError
from engine.runs.row_drift import (
    CONFIDENCE_BINS,
    LENGTH_BINS,
    MOST_LABELS,
    RowCounter,
    counts_text,
    read_counts,
)


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
