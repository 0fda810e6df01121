"""Estimate beside actual, from artifacts written by hand: no model is trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.backends.usage import Spent, Usage
from engine.estimate.actuals import CostTracker
from engine.estimate.measured import Measurement, find, find_like, keep, machine_of, work_of
from engine.estimate.run import StageForecast, bits, disk_of, past_seconds
from engine.evidence import StageRecord, StageStatus
from engine.pipeline.plan import UNFINISHED, collect_inputs
from engine.recipe.model import Recipe
from engine.runtime.rendering.key import rendered_key
from engine.store import Artifact, Store, make_key
from engine.store.records import Runs
from engine.values import replace, to_json
from support.estimates import CPU, recipe_in, shape

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


# Measurements of trainings, kept and found again.
USAGE_MEASURED = Usage(steps=Spent(count=1, seconds=2.0, cpu_seconds=2.0, tokens=100), peak_bytes=5)


def work(recipe: Recipe, rendered: str = "rows") -> dict[str, object]:
    return work_of(recipe, CPU, base_model={"sha256": "1"}, rendered=rendered)


def measured(recipe: Recipe, created: str = "2026-11-25T01:00:00+00:00") -> Measurement:
    return Measurement(
        by="probe", created=created, usage=USAGE_MEASURED, work=work(recipe), operations=1.0
    )


@pytest.mark.parametrize("change", [{"epochs": 5}, {"learning_rate": 0.1}, {"seed": 3}])
def test_what_a_step_does_not_depend_on_keeps_it(tmp_path: Path, change: dict[str, Any]) -> None:
    keep(tmp_path, measured(recipe_in(tmp_path)))

    assert find(tmp_path, work(recipe_in(tmp_path, **change))) is not None


@pytest.mark.parametrize(
    "change",
    [{"rank": 8}, {"batch_size": 4}, {"kind": "full"}, {"dropout": 0.1}, {"max_length": 32},
     {"gradient_checkpointing": True}],
)  # fmt: skip
def test_what_a_step_depends_on_does_not(tmp_path: Path, change: dict[str, Any]) -> None:
    keep(tmp_path, measured(recipe_in(tmp_path, dropout=0)))

    assert find(tmp_path, work(recipe_in(tmp_path, **change))) is None


def test_other_rows_and_other_machines_are_other_work(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    keep(tmp_path, measured(recipe))
    other = replace(CPU, cores=8)

    assert find(tmp_path, work(recipe, "others")) is None
    assert (
        find(tmp_path, work_of(recipe, other, base_model={"sha256": "1"}, rendered="rows")) is None
    )
    assert find_like(tmp_path, machine_of(recipe, other)) is None


def test_the_newest_of_the_machine_says_how_fast_it_is(tmp_path: Path) -> None:
    first, second = recipe_in(tmp_path), recipe_in(tmp_path, rank=8)
    keep(tmp_path, measured(first, "2026-11-25T02:00:00+00:00"))
    keep(tmp_path, measured(second, "2026-11-25T01:00:00+00:00"))
    found = find_like(tmp_path, machine_of(recipe_in(tmp_path, rank=2), CPU))

    assert found is not None
    assert found.created == "2026-11-25T02:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "measured.v0"}', '{"schema": "measured.v1"}']
)
def test_a_file_that_is_none_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "x.json").write_text(text, encoding="utf-8")

    assert find_like(tmp_path, machine_of(recipe_in(tmp_path), CPU)) is None


def test_files_take_bits_times_weights_and_odd_widths_take_more() -> None:
    assert bits("Q8_0", shape()) == 8.5
    assert bits("Q4_K_M", shape(hidden_size=512)) < bits("Q4_K_M", shape(hidden_size=576))


def test_merge_and_quantize_leave_files_of_the_models_size(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    export = replace(recipe.export, formats=("gguf",), quantizations=("Q8_0",))
    found = shape(hidden_size=512)

    assert 2 * found.total_parameters == disk_of("merge", recipe, found)
    assert disk_of("quantize", recipe, found) is None
    assert round(24.5 * found.total_parameters / 8) == disk_of(
        "quantize", replace(recipe, export=export), found
    )
    assert disk_of("merge", recipe, None) is None


def test_a_stage_took_what_its_last_run_took(tmp_path: Path) -> None:
    newer = '{"stage": "gate", "status": "reused", "seconds": 0}'
    newer += ',{"stage": "data", "status": "ran", "seconds": 7}'
    older = '{"stage": "gate", "status": "ran", "seconds": 3}'
    for name, stages in (("2026-11-24-000000-a", older), ("2026-11-25-000000-b", newer)):
        folder = tmp_path / "runs" / "t" / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(f'{{"stages": [{stages}]}}', encoding="utf-8")
        Runs(tmp_path).record(folder, {"recipe": "t"})

    assert past_seconds(Runs(tmp_path), "t") == {"gate": 3.0, "data": 7.0}
    assert past_seconds(Runs(tmp_path), "other") == {}
