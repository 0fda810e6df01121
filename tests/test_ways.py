"""Recipes of the benchmarks of ways and of single methods: each is valid, and rows stand where they should."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.recipe import check_recipe
from support.results import SharedSources, made_case

# after `support.results`, which says where they are
import methods  # isort: skip
from results_cases import Settings, quickstart_base  # isort: skip
from ways_recipes import MODELS, TEACHER, WAYS, Sizes, Way, recipe_of, speed_recipe, write_rows  # isort: skip

SIZES = Sizes(
    gold=8, validation=4, holdout=6, tuning=8, pool=6, synthetic=2, timed=3, steps=2, batch=4
)
CASE = made_case()
SETTINGS = Settings(base=quickstart_base(), backend={"name": "trl"})


def rows_of(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_recipe_of_a_way_is_valid(way: Way, tmp_path: Path) -> None:
    labels = write_rows(CASE, SharedSources(data=tmp_path, packages=tmp_path), SIZES, tmp_path)
    (tmp_path / MODELS / TEACHER).mkdir(parents=True)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_of(way, CASE, labels=labels, sizes=SIZES, settings=SETTINGS), "utf-8")

    # it measures, and accepts whatever comes out
    assert [one.code for one in check_recipe(recipe)[1]] == ["R466"]


def test_the_recipe_that_measures_speed_is_valid(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    names = [way.name for way in WAYS]
    for name in names:
        (tmp_path / MODELS / name).mkdir(parents=True)
    write_rows(CASE, SharedSources(data=tmp_path, packages=tmp_path), SIZES, tmp_path)
    recipe.write_text(speed_recipe(names, CASE, labels=("a", "b"), settings=SETTINGS), "utf-8")

    # it measures, and accepts whatever comes out
    assert [one.code for one in check_recipe(recipe)[1]] == ["R466"]


def test_all_ways_are_judged_on_the_same_rows_and_train_on_others(tmp_path: Path) -> None:
    write_rows(CASE, SharedSources(data=tmp_path, packages=tmp_path), SIZES, tmp_path)
    gold, tuning = rows_of(tmp_path / "gold.jsonl"), rows_of(tmp_path / "tuning.jsonl")
    pool = rows_of(tmp_path / "pool.jsonl")
    trained = [{row["text"] for row in part if row["split"] == "train"} for part in (gold, tuning)]
    judging = [[row for row in part if row["split"] != "train"] for part in (gold, tuning)]
    judged = {row["text"] for row in judging[0]}

    assert judging[0] == judging[1]
    assert len(judging[0]) == SIZES.validation + SIZES.holdout
    assert [len(part) for part in trained] == [SIZES.gold, SIZES.tuning]
    assert not trained[0] & trained[1]
    assert not (trained[0] | trained[1] | {row["text"] for row in pool}) & judged
    assert all(set(row) == {"text"} for row in pool)


def test_too_few_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 of 99 rows"):
        write_rows(
            CASE,
            SharedSources(data=tmp_path, packages=tmp_path),
            Sizes(gold=75, validation=4, holdout=6, tuning=8, pool=6),
            tmp_path,
        )


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["scratch", "packing", "preference", "replay"])
def test_the_recipe_of_a_method_is_valid(method: str, shared_data: Path, tmp_path: Path) -> None:
    def command(words: Sequence[str], folder: Path) -> tuple[int, str]:
        del folder
        return 2, " ".join(problem.message for problem in check_recipe(Path(words[1]))[1])

    with pytest.raises(SystemExit) as ended:
        methods.main([method, "--data", str(shared_data), "--work", str(tmp_path)], command=command)

    # the first recipe, of which nothing was run
    assert str(ended.value).partition(": ")[2] == "exit code 2"
