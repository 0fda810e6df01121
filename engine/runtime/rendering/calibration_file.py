"""`calibration.json`: how sure an exported model's answers are, beside the file; written by `verify`.

A temperature that turns its shares of labels into probabilities, and the threshold below which it gives no answer.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from engine.errors import StageError
from engine.files.reading import read_json
from engine.values import Value, to_json

FILE = "calibration.json"
VERSION = 1


class FileCalibration(Value):
    """What `calibration.json` holds."""

    form: str
    """The quantization of the file that was asked; `adapter` for the model before it."""
    temperature: float
    """1 where none was fitted."""
    fitted_rows: int
    """Validation rows."""
    abstain_below: float | None
    """Of the calibrated probability; None where every row is answered."""


def write_calibration(folder: Path, found: FileCalibration) -> None:
    """Write `calibration.json` into `folder`."""
    text = json.dumps({"version": VERSION, **to_json(found)}, indent=2)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read_calibration(folder: Path) -> FileCalibration | None:
    """Read `calibration.json` of `folder`; None where there is none. StageError X826 where it is damaged."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        data = read_json(path)
        return _checked(data.pop("version"), FileCalibration(**data))
    # the file may come from anybody: whatever shape it has, the answer is the same
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError.one(
            "X826",
            f"`{FILE}` beside the model is damaged, so its probabilities mean nothing",
            hint="take it back from the run, or name the run instead of the file",
        ) from error


def _checked(version: object, found: FileCalibration) -> FileCalibration:
    """Return it; ValueError for values that no calibration has."""
    if version != VERSION:
        raise ValueError(version)
    numbers: tuple[Any, ...] = (found.temperature, found.abstain_below or 0.0)
    if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers):
        raise ValueError("a number")
    if found.temperature <= 0 or not 0 <= numbers[1] <= 1:
        raise ValueError("a range")
    if type(found.fitted_rows) is not int or not isinstance(found.form, str):
        raise ValueError("a type")
    return found
