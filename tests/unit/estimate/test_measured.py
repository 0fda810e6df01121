"""Measurements of trainings, kept and found again."""

from pathlib import Path
from typing import Any

import pytest

from engine.backends.usage import Spent, Usage
from engine.estimate.measured import Measurement, find, find_like, keep, machine_of, work_of
from engine.estimate.run import bits, disk_of, past_seconds
from engine.recipe.model import Recipe
from engine.store.runs import Runs
from engine.values import replace
from support.estimates import CPU, recipe_in, shape

USAGE = Usage(steps=Spent(count=1, seconds=2.0, cpu_seconds=2.0, tokens=100), peak_bytes=5)


def work(recipe: Recipe, rendered: str = "rows") -> dict[str, object]:
    return work_of(recipe, CPU, base_model={"sha256": "1"}, rendered=rendered)


def measured(recipe: Recipe, created: str = "2026-11-25T01:00:00+00:00") -> Measurement:
    return Measurement(by="probe", created=created, usage=USAGE, work=work(recipe), operations=1.0)


def test_a_measurement_is_found_by_its_work(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    keep(tmp_path, measured(recipe))
    found = find(tmp_path, work(recipe))

    assert found is not None
    assert (found.usage, found.by) == (USAGE, "probe")


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
