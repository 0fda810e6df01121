"""`calibration.json` beside an exported file: read back as it was written, and refused where it is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.runtime.rendering.task_file import (
    CALIBRATION_FILE,
    FileCalibration,
    read_calibration,
    write_calibration,
)
from engine.values import to_json

KEPT = FileCalibration(form="Q4_0", temperature=1.25, fitted_rows=120, abstain_below=0.8125)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_calibration(tmp_path, KEPT)

    assert read_calibration(tmp_path) == KEPT


def test_a_model_without_one_has_none(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"temperature": 0},
        {"temperature": True},
        {"temperature": 1e999},
        {"abstain_below": 1.5},
        {"abstain_below": "0.5"},
        {"fitted_rows": 1.5},
        {"form": None},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    text = json.dumps({"version": 1, **to_json(KEPT), **change})
    (tmp_path / CALIBRATION_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(StageError) as caught:
        read_calibration(tmp_path)

    assert [problem.code for problem in caught.value.problems] == ["X826"]
