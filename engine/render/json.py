"""The report as JSON and back; `schemas/report.v1.schema.json` describes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.evidence import (
    ExportedFile,
    HoldoutUse,
    Report,
    Scores,
    SplitLengths,
    StageCost,
    StageRecord,
    StageStatus,
    Verdict,
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


def _cost(data: dict[str, Any]) -> StageCost:
    return StageCost(**data)


def _length(data: dict[str, Any]) -> SplitLengths:
    return SplitLengths(**data)


_SCORES = ("holdout", "free", "train_scores", "validation_scores", "quantized", "folds")
_PARTS: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
    ("learning_curves", curve_from_json),
    ("comparisons", comparison_from_json),
    ("ladder", rung_from_json),
    ("checkpoints", checkpoint_from_json),
    ("costs", _cost),
    ("lengths", _length),
)
"""Newer than the first reports: absent in those."""
_VERDICTS = ("gate", "verify")
_TUPLES = ("next_steps", "labels", "flips", "warnings", "notes")


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
    read: dict[str, Any] = dict(data)
    read |= {name: tuple(data[name]) for name in _TUPLES}
    read |= {name: _scores(data.get(name)) for name in _SCORES}
    read |= {name: _verdict(data[name]) for name in _VERDICTS}
    read["stages"] = tuple(_stage(item) for item in data["stages"])
    read["data"] = data_from_json(data["data"]) if data["data"] else None
    read["baselines"] = tuple(baseline_from_json(item) for item in data["baselines"])
    read["training"] = training_from_json(data["training"]) if data["training"] else None
    read["holdout_use"] = HoldoutUse(**used) if (used := data.get("holdout_use")) else None
    read |= {
        name: tuple(from_json(item) for item in data.get(name, ())) for name, from_json in _PARTS
    }
    read["power"] = tuple(data.get("power", ()))
    forgotten = data.get("forgetting")
    read["forgetting"] = forgetting_from_json(forgotten) if forgotten else None
    read["waivers"] = tuple(Waived(**item) for item in data.get("waivers", ()))
    seeds, repeated = data.get("seeds"), data.get("reproduction")
    swept = data.get("sweep")
    read["sweep"] = sweep_from_json(swept) if swept else None
    read["seeds"] = seeds_from_json(seeds) if seeds else None
    read["reproduction"] = reproduction_from_json(repeated) if repeated else None
    read["files"] = tuple(ExportedFile(**item) for item in data["files"])
    return Report(**read)


def _scores(data: dict[str, Any] | None) -> Scores | None:
    return scores_from_json(data) if data else None


def _verdict(data: dict[str, Any] | None) -> Verdict | None:
    return verdict_from_json(data) if data else None


def _stage(data: dict[str, Any]) -> StageRecord:
    problems = tuple(data["problems"])
    return StageRecord(**{**data, "status": StageStatus(data["status"]), "problems": problems})
