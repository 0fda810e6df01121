"""What the tuned model must keep, each exported form must keep by its own answers."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import Interval, Metric, Verdict
from engine.metrics.verdict import judge, verdict
from engine.recipe.model import MinGain, Threshold
from engine.stages import verify
from engine.values import from_json, replace, to_json
from support.export_bench import Bench, Folder, exporting


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return exporting(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def bench(exported: Bench) -> Bench:
    """A bench of its own, whose settings may be changed, with everything that is made already."""
    return dataclasses.replace(exported, artifacts=dict(exported.artifacts))


def _verify(bench: Bench) -> dict[str, Any]:
    return dict(json.loads((bench.run(verify) / "verify.json").read_text()))


def _right(path: Path) -> float:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(row["label"] == row["target"] for row in rows) / len(rows)


@pytest.mark.parametrize(
    ("formats", "more", "status"),
    [
        (("safetensors", "gguf"), 0.0, "pass"),
        (("gguf",), 0.01, "fail"),
        (("safetensors",), 0.01, "fail"),
    ],
)
def test_bounds_of_the_tuned_model_are_evaluated_on_each_exported_form(
    bench: Bench, formats: tuple[str, ...], more: float, status: str
) -> None:
    names = {"merged.": "merged", "": "quantized"}
    folder = bench.run(verify)
    got = {start: _right(folder / f"predictions.{form}.jsonl") for start, form in names.items()}
    bound = max(got.values()) + more
    bench.metrics = (Threshold(metric="accuracy", direction="min", bound=bound),)
    bench.over_baselines = (MinGain(metric="accuracy", min_gain=bound),)
    bench.formats = formats

    result = _verify(bench)

    checks = {check.name: check for check in from_json(Verdict, result["verdict"]).checks}
    # the baseline has no row right, so the gain over it is the accuracy
    found = {
        start: [checks[f"{start}{name}"] for name in ("accuracy", "over_baselines.accuracy")]
        for start, form in (("merged.", "safetensors"), ("", "gguf"))
        if form in formats
    }
    assert {start: [one.got for one in two] for start, two in found.items()} == {
        start: pytest.approx([got[start]] * 2) for start in found
    }
    assert {one.status.value for two in found.values() for one in two} == {status}
    assert result["exported"] == ("Q8_0" if "gguf" in formats and status == "pass" else None)


def test_with_folds_a_file_is_judged_by_what_it_changes_of_the_gates_checks(bench: Bench) -> None:
    folder = bench.run(verify)
    changed = _right(folder / "predictions.quantized.jsonl") - _right(
        bench.artifacts["evaluate"].file("predictions.holdout.jsonl")
    )
    interval = Interval(low=0.8, high=0.9, confidence=0.95, method="Wilson")
    metrics = {"accuracy": 0.85, "over_baselines.accuracy": 0.3}
    gated = [
        judge(
            Metric(name=name, value=value, n=80, interval=interval), "min", 0.2, decide_on="point"
        )
        for name, value in metrics.items()
    ]
    gate = bench.root / "gate"
    gate.mkdir()
    (gate / "verdict.json").write_text(json.dumps(to_json(verdict(gated))), encoding="utf-8")
    bench.artifacts["gate"] = Folder(gate)
    bench.folds, bench.formats = 5, ("gguf",)
    bench.metrics = (Threshold(metric="accuracy", direction="min", bound=0.2),)

    result = _verify(bench)

    checks = {check.name: check for check in from_json(Verdict, result["verdict"]).checks}
    assert {name: checks[name].got for name in metrics} == {
        name: pytest.approx(value + changed) for name, value in metrics.items()
    }
    assert checks["accuracy"].interval == replace(interval, low=0.8 + changed, high=0.9 + changed)
    assert "of all rows by folds" in checks["accuracy"].note
