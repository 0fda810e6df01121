"""Estimate beside actual, from artifacts written by hand: no model is trained."""

import json
from pathlib import Path

import pytest

from engine.backends.usage import Spent, Usage
from engine.estimate.actuals import CostTracker
from engine.estimate.measured import find, work_of
from engine.estimate.run import StageForecast
from engine.evidence import StageRecord, StageStatus
from engine.pipeline.plan import UNFINISHED, collect_inputs
from engine.runtime.rendering.key import rendered_key
from engine.store import Artifact, Store, make_key
from engine.values import replace, to_json
from support.estimates import CPU, recipe_in

USAGE = Usage(
    first=Spent(count=1, seconds=3.0, cpu_seconds=3.0, tokens=480),
    steps=Spent(count=4, seconds=8.0, cpu_seconds=8.0, tokens=1920),
    ready_bytes=1_100_000_000,
    peak_bytes=1_500_000_000,
)


def ran(stage: str, seconds: float = 20.0, reason: str = "never built") -> StageRecord:
    return StageRecord(stage=stage, status=StageStatus.RAN, key="", reason=reason, seconds=seconds)


class Bench:
    """A recipe, its store, and the artifacts that a run would have left."""

    def __init__(self, folder: Path, *, resumed: int | None = None) -> None:
        self.recipe = recipe_in(folder)
        self.store = Store(folder / "store")
        self.inputs = collect_inputs(self.recipe, self.store, CPU)
        self.tracker = CostTracker(self.recipe, self.store, self.inputs)
        train: dict[str, object] = {"training.json": {"resumed_from_step": resumed}}
        train["usage.json"] = to_json(USAGE)
        self.artifacts = {"data": self.put("data", {}), "train": self.put("train", train)}

    def put(self, stage: str, files: dict[str, object]) -> Artifact:
        def build(folder: Path) -> None:
            for name, value in files.items():
                (folder / name).write_text(json.dumps(value), encoding="utf-8")
            (folder / "weights").write_bytes(bytes(1000))

        return self.store.put(stage, make_key({"stage": stage}), build)

    def measured(self) -> object:
        rendered = rendered_key(self.recipe, self.artifacts["data"].key, self.inputs.base_model)
        work = work_of(
            self.recipe, CPU, base_model=self.inputs.base_model, rendered=rendered.digest
        )
        return find(self.store.root, work)


def test_what_ran_has_estimate_actual_and_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.tracker.training = StageForecast(
        seconds=25.0, memory_bytes=1_200_000_000, disk_bytes=500, basis="computed"
    )
    data, train = bench.tracker.costs([ran("data"), ran("train")], bench.artifacts)

    assert (
        train.estimated_seconds, train.seconds, train.seconds_error,
    ) == (25.0, 20.0, 0.25)  # fmt: skip
    assert (train.memory_bytes, train.memory_error) == (1_500_000_000, -0.2)
    assert train.disk_bytes > 1000
    assert (train.basis, train.estimated) == ("computed", "before the run")
    assert (data.estimated, data.estimated_seconds, data.memory_bytes) == ("", None, None)


def test_the_last_part_of_a_stage_is_not_set_beside_the_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, resumed=188)
    bench.tracker.training = StageForecast(
        seconds=500.0, memory_bytes=1_200_000_000, disk_bytes=500, basis="computed"
    )
    (cost,) = bench.tracker.costs([ran("train", reason=UNFINISHED)], bench.artifacts)

    assert (cost.estimated_seconds, cost.seconds, cost.seconds_error) == (None, 20.0, None)
    assert (cost.memory_error, cost.estimated_disk_bytes) == (-0.2, 500)


def test_models_of_folds_are_not_looked_for_in_the_artifact_that_judges_them(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    found = StageForecast(seconds=25.0, disk_bytes=625_000_000, basis="computed")
    bench.tracker.before = replace(bench.tracker.before, stages={"resample": found})
    (cost,) = bench.tracker.costs([ran("resample")], {"resample": bench.put("resample", {})})

    assert (cost.seconds_error, cost.estimated_disk_bytes, cost.disk_error) == (0.25, None, None)


def test_the_estimate_of_a_run_is_the_plans(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert bench.tracker.training.basis == "computed"
    assert bench.tracker.training.seconds


@pytest.mark.parametrize("status", [StageStatus.REUSED, StageStatus.FAILED, StageStatus.SKIPPED])
def test_what_did_not_run_took_nothing(tmp_path: Path, status: StageStatus) -> None:
    bench = Bench(tmp_path)
    record = StageRecord(stage="train", status=status, key="", reason="", seconds=0.0)

    assert bench.tracker.costs([record], bench.artifacts) == ()
    bench.tracker.keep(record, bench.artifacts, bench.tracker.recipe)
    assert bench.measured() is None


def test_a_run_is_a_measurement_for_later_plans(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.tracker.keep(ran("train"), bench.artifacts, bench.tracker.recipe)
    found = bench.measured()

    assert found is not None
    assert (found.by, found.usage) == ("run", USAGE)  # type: ignore[attr-defined]
    assert found.operations > 0  # type: ignore[attr-defined]


def test_a_resumed_training_is_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, resumed=3)
    bench.tracker.keep(ran("train"), bench.artifacts, bench.tracker.recipe)

    assert bench.measured() is None


def test_a_training_of_an_older_engine_has_no_peak(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    artifacts = {"train": bench.put("older", {"training.json": {"resumed_from_step": None}})}
    (cost,) = bench.tracker.costs([ran("train")], artifacts)

    assert cost.memory_bytes is None
    bench.tracker.keep(ran("train"), {**bench.artifacts, **artifacts}, bench.tracker.recipe)
    assert bench.measured() is None
