"""The report as JSON and back; `schemas/report.v1.schema.json` describes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.evidence import (
    ExportedFile,
    HoldoutUse,
    Report,
    SplitLengths,
    StageCost,
    StageRecord,
    StageStatus,
    Waived,
    baseline_from_json,
    checkpoint_from_json,
    comparison_from_json,
    curve_from_json,
    data_from_json,
    forgetting_from_json,
    reproduction_from_json,
    rung_from_json,
    scores_from_json,
    seeds_from_json,
    sweep_from_json,
    to_json,
    training_from_json,
    verdict_from_json,
)
from engine.files.reading import parse_json


def _stage(data: dict[str, Any]) -> StageRecord:
    problems = tuple(data["problems"])
    return StageRecord(**{**data, "status": StageStatus(data["status"]), "problems": problems})


_SINGLE: dict[str, Callable[[dict[str, Any]], Any]] = {
    **dict.fromkeys(
        ("holdout", "free", "train_scores", "validation_scores", "quantized", "folds"),
        scores_from_json,
    ),
    "gate": verdict_from_json,
    "verify": verdict_from_json,
    "data": data_from_json,
    "training": training_from_json,
    "holdout_use": lambda data: HoldoutUse(**data),
    "forgetting": forgetting_from_json,
    "sweep": sweep_from_json,
    "seeds": seeds_from_json,
    "reproduction": reproduction_from_json,
}
"""Parts of a report that may be null."""
_SEVERAL: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("next_steps", "labels", "flips", "warnings", "notes", "power"), lambda item: item
    ),
    "stages": _stage,
    "baselines": baseline_from_json,
    "files": lambda data: ExportedFile(**data),
    "waivers": lambda data: Waived(**data),
    "learning_curves": curve_from_json,
    "comparisons": comparison_from_json,
    "ladder": rung_from_json,
    "checkpoints": checkpoint_from_json,
    "costs": lambda data: StageCost(**data),
    "lengths": lambda data: SplitLengths(**data),
}
"""Parts that are lists."""


def render_json(report: Report) -> str:
    """The whole report, indented and ended by a line break; NaN is refused."""
    return json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(text: str) -> Report:
    """A report read back from `render_json`, equal to the one that was written.

    Raises:
        ValueError: it is no JSON, or nested too deep; KeyError, TypeError, AttributeError: it is no report.

    """
    return report_from_json(parse_json(text))


def report_from_json(data: dict[str, Any]) -> Report:
    """A report of JSON data. Raises as `read_json`; the types of single values are not looked at."""
    # parts that are newer than the report are absent, and get their defaults
    read = {
        name: read_part(data[name]) if data[name] else None
        for name, read_part in _SINGLE.items()
        if name in data
    }
    read |= {
        name: tuple(map(read_part, data[name]))
        for name, read_part in _SEVERAL.items()
        if name in data
    }
    return Report(**{**data, **read})
