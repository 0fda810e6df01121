"""Every real data set that fits a task goes through `recipe data` with a short recipe."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.paths import EXAMPLES, SHARED_DATA
from support.project import Outcome

RECIPES = sorted((EXAMPLES / "shared").glob("*.yaml"))
MOST_LINES = 30
NO_TASK = {
    "blimp_small",  # probes of the model, not examples of a task
    "probes_dev",
    "csv_spectrum",  # hostile files: see tests/unit/data
    "ftfy_mojibake",
    "json_test_suite",
    "naughty_strings",
}
LARGE = {
    "banking77",
    "clinc150",
    "gsm8k",
    "indonlu_emot_id",
    "naijasenti_pcm",
    "nl2bash",
    "sarcasm_headlines",
    "snips",
    "snips_slots",
    "tinyshakespeare",
    "vader_tweets",
}
MARKED = [
    pytest.param(recipe, marks=pytest.mark.slow if recipe.stem in LARGE else ())
    for recipe in RECIPES
]

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared data sets are not here"),
]


def look(recipe: Path, folder: Path, run: Callable[..., Outcome]) -> Outcome:
    """Run `recipe data` on a copy of a recipe that finds the data sets where they are."""
    where = os.path.relpath(SHARED_DATA, folder)
    copy = folder / recipe.name
    copy.write_text(recipe.read_text(encoding="utf-8").replace("DATA/", f"{where}/"), "utf-8")
    return run("data", str(copy), "--no-tokens", "--format", "json")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_short_recipe_is_enough(recipe: Path) -> None:
    assert len(recipe.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_set_that_fits_a_task_has_a_recipe() -> None:
    text = "".join(recipe.read_text(encoding="utf-8") for recipe in RECIPES)
    sets = {folder.name for folder in SHARED_DATA.iterdir() if folder.is_dir()} - NO_TASK

    assert [name for name in sorted(sets) if f"DATA/{name}/" not in text] == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("recipe", MARKED, ids=lambda path: path.stem)
def test_the_set_is_read_checked_and_divided(
    recipe: Path, tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    outcome = look(recipe, tmp_path, run)

    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)["summary"]
    rows = {split["name"]: split["rows"] for split in data["splits"]}
    assert rows["train"] > 0
    assert rows["holdout"] > 0
    assert data["firewall"]["left_exact"] == data["firewall"]["left_near"] == 0
