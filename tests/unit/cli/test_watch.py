"""What a run says of a finished stage, read from what the stage left."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.cli.watch import Console
from engine.evidence import Report, StageRecord, StageStatus
from engine.recipe.metrics import headline
from engine.values import to_json
from support import reports


def stage_lines(
    stage: str, left: dict[str, Any], task: dict[str, str], tmp_path: Path, verbose: bool = False
) -> str:
    """The lines of one stage, which left these JSON files."""
    for name, data in left.items():
        (tmp_path / name).write_text(json.dumps(data), encoding="utf-8")
    artifact = SimpleNamespace(file=lambda name: tmp_path / name, path=tmp_path)
    recipe = SimpleNamespace(
        headline=headline(task["kind"], (), answer_pattern=task.get("answer_pattern", "")),
        export=SimpleNamespace(quantizations=("Q4_K_M",)),
        splits=SimpleNamespace(folds=0),
    )
    record = StageRecord(stage=stage, status=StageStatus.RAN, key="", reason="", seconds=1.0)
    stream = io.StringIO()
    Console(stream, quiet=False, verbose=verbose).ended(record, {stage: artifact}, recipe)  # type: ignore[arg-type,dict-item]
    return stream.getvalue()


def verified(report: Report) -> dict[str, Any]:
    return {
        "ladder": [to_json(rung) for rung in report.ladder],
        "verdict": to_json(report.verify),
        "scores": {"quantized": to_json(report.quantized)},
        "agreement": 0.987,
    }


def test_verify_tells_the_main_metric_of_the_kind_form_by_form(tmp_path: Path) -> None:
    left = verified(reports.extraction())

    shown = stage_lines("verify", {"verify.json": left}, {"kind": "extraction"}, tmp_path)

    assert "adapter 0.881 · merged 0.881 · f16 0.881 · Q4_K_M 0.877   field F1" in shown
    assert "Q4_K_M agrees on 293 of 300 rows" in shown
    assert "pass: 8 checks hold" in shown


@pytest.mark.parametrize("verbose", [False, True])
def test_a_stage_takes_three_lines_unless_everything_is_shown(
    verbose: bool, tmp_path: Path
) -> None:
    report = reports.extraction()

    shown = stage_lines(
        "verify", {"verify.json": verified(report)}, {"kind": "extraction"}, tmp_path, verbose
    )

    assert report.verify is not None
    rows = [line for line in shown.splitlines() if line.rstrip().endswith("pass")]
    assert len(rows) == (len(report.verify.checks) if verbose else 0)
    assert (len(shown.splitlines()) <= 3) is not verbose


def test_a_training_without_synthetic_rows_is_named(tmp_path: Path) -> None:
    left: dict[str, Any] = {"predictions.without_synthetic.jsonl": {}}

    shown = stage_lines("resample", left, {"kind": "classification"}, tmp_path)

    assert "trained without the synthetic rows as well" in shown


@pytest.mark.parametrize(
    ("report", "task", "expected"),
    [
        (reports.chat(), {"kind": "chat"}, "bits per byte: train 0.642 · holdout 0.793"),
        (
            reports.generation(),
            {"kind": "generation", "answer_pattern": "#"},
            "answer match: train 0.110 · holdout 0.037",
        ),
        (reports.rich(), {"kind": "classification"}, "macro-F1: train 0.965 · holdout 0.897"),
    ],
)
def test_evaluate_tells_the_main_metric_of_the_kind(
    report: Report, task: dict[str, str], expected: str, tmp_path: Path
) -> None:
    left = {"train": to_json(report.train_scores), "holdout": to_json(report.holdout), "free": None}

    assert expected in stage_lines("evaluate", {"scores.json": left}, task, tmp_path)
