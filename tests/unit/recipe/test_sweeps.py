"""`sweep` read, written back, and put in words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.recipe import dump_resolved, load_recipe
from engine.recipe.model import Recipe
from engine.recipe.sweeps import (
    MOST,
    count_of,
    named,
    setting_words,
    settled,
    sweep_words,
    value_words,
    values_of,
    varied,
    written_settings,
)
from support.paths import EXAMPLES

VALID = EXAMPLES / "valid" / "minimal.yaml"


def recipe(tmp_path: Path, sweep: dict[str, Any], **method: Any) -> Recipe:
    fields = yaml.safe_load(VALID.read_text("utf-8"))
    fields["method"] |= method
    fields["sweep"] = sweep
    folder = tmp_path / "valid"
    folder.mkdir()
    (tmp_path / "data").symlink_to(VALID.parents[1] / "data")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields, sort_keys=False), "utf-8")
    found, problems = load_recipe(folder / "recipe.yaml")
    assert [problem.code for problem in problems if problem.code.startswith("R28")] == []
    return found


def test_a_grid_is_every_combination_and_the_last_key_varies_fastest(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"grid": {"rank": [8, 16], "epochs": [1, 2]}}).sweep

    assert found is not None
    assert [(one.rank, one.epochs) for one in found.settings] == [(8, 1), (8, 2), (16, 1), (16, 2)]
    assert varied(found) == ("rank", "alpha", "epochs")
    assert found.choose_by == "macro_f1"
    assert sweep_words(found).startswith("4 settings of rank, alpha and epochs, chosen by ")


def test_what_is_worked_out_from_a_value_follows_it(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"list": [{"rank": 4}, {"kind": "full"}, {"batch_size": 32}]}).sweep

    assert found is not None
    adapter, full, large = found.settings
    assert (adapter.alpha, full.learning_rate, large.micro_batch_size) == (8, 7e-5, 32)


def test_a_written_alpha_stays(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"grid": {"rank": [8, 16]}}, alpha=32).sweep

    assert found is not None
    assert {one.alpha for one in found.settings} == {32}


@pytest.mark.parametrize(
    "sweep",
    [
        {"grid": {"rank": [8, 16], "learning_rate": [1e-4, 5e-4]}},
        {"list": [{"kind": "full"}, {"rank": 8}, {"early_stopping": {"patience": 2}}]},
        {"grid": {"target_modules": ["attention", ["q_proj", "v_proj"]]}, "choose_by": "accuracy"},
    ],
)
def test_a_resolved_sweep_is_the_same_sweep(tmp_path: Path, sweep: dict[str, Any]) -> None:
    found = recipe(tmp_path, sweep)
    again = found.file.with_name("resolved.yaml")
    again.write_text(dump_resolved(found), encoding="utf-8")

    assert load_recipe(again)[0].sweep == found.sweep


def test_a_recipe_with_a_setting_has_its_method(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"grid": {"rank": [8, 16]}})

    assert settled(found, 1).method.rank == 16
    assert settled(settled(found, 1), 0).method.rank == 8


def test_a_setting_in_words(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        {"list": [{"learning_rate": 5e-4, "gradient_checkpointing": True}, {"kind": "full"}]},
    ).sweep

    assert found is not None
    keys = ("kind", "rank", "learning_rate", "gradient_checkpointing")
    words = [setting_words(values_of(one, keys)) for one in found.settings]
    assert words == [
        "kind lora, rank 16, learning_rate 0.0005, gradient_checkpointing true",
        "kind full, learning_rate 7e-05, gradient_checkpointing false",
    ]


def test_a_grid_that_is_far_too_large_is_counted_and_not_laid_out() -> None:
    sweep = {"grid": {f"key{number}": list(range(32)) for number in range(18)}}

    assert count_of(sweep) == 32**18
    assert len(written_settings(sweep)) == MOST


@pytest.mark.parametrize("sweep", [{}, {"grid": {}}, {"grid": {"rank": 8}}, {"list": []}])
def test_what_breaks_the_schema_has_no_settings(sweep: dict[str, Any]) -> None:
    assert (count_of(sweep), written_settings(sweep)) == (0, [])


def test_a_setting_says_all_in_which_it_is_another_than_method(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"grid": {"rank": [8], "learning_rate": [1e-4, 5e-4]}}, rank=4)

    assert found.sweep is not None
    assert varied(found.sweep) == ("learning_rate",)
    assert named(found.sweep, found.method) == ("rank", "alpha", "learning_rate")


def test_a_setting_of_full_training_makes_no_difference_of_the_adapter(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"list": [{"kind": "full"}, {"early_stopping": {"patience": 2}}]})

    assert found.sweep is not None
    # early stopping keeps the best checkpoint where nothing is written
    expected = ("kind", "learning_rate", "early_stopping", "keep")
    assert varied(found.sweep) == named(found.sweep, found.method) == expected


@pytest.mark.parametrize("value", [5e-4, 0.00012345678, 2.0, 1e-7])
def test_a_number_in_words_is_the_number(value: float) -> None:
    assert float(value_words(value)) == value


def test_an_option_that_a_setting_switches_off_is_written_back(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"list": [{"rank": 8}, {"dora": False}]}, dora=True, rank=4)

    assert found.sweep is not None
    assert named(found.sweep, found.method) == ("rank", "alpha", "dora")
    keys = varied(found.sweep)
    words = [setting_words(values_of(one, keys)) for one in found.sweep.settings]
    assert words == ["rank 8, alpha 16, dora true", "rank 4, alpha 8, dora false"]
    again = yaml.safe_load(dump_resolved(found))["sweep"]["list"]
    assert [one["dora"] for one in again] == [True, False]
