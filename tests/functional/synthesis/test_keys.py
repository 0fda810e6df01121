"""Which stages synthetic rows run, and what of them gives which stage another key."""

from typing import Any

import pytest

from engine.recipe import load_recipe
from engine.recipe.text.dump import recipe_digest, resolved_mapping
from functional.test_reruns import changed, keys
from support.project import Project

WRITTEN = {"teacher": {"path": "base", "name": "own"}, "rows": 6, "review": "look.csv"}
TRAINED = {"compile", "train", "evaluate", "gate", "merge", "quantize", "verify"}


def with_rows(project: Project) -> None:
    project.edit(data__synthesize=WRITTEN, acceptance__synthetic={"reviewed": {"min": 5}})


def test_rows_change_what_trains_on_them_and_leave_data_and_baselines(project: Project) -> None:
    before = keys(project)
    with_rows(project)
    after = keys(project)

    assert changed(before, after) == {"synthesize", *TRAINED}
    project.edit(data__synthesize=None, acceptance__synthetic=None)
    assert keys(project) == before


@pytest.mark.parametrize(
    ("change", "reruns"),
    [
        ({"acceptance__synthetic__wrong": {"max": 0.1}}, set()),
        ({"data__synthesize__seed": 8}, {"synthesize"}),
        ({"data__synthesize__keep": {"agreement": {"votes": 0}}}, {"synthesize"}),
        # `resample`, which it adds, has no key either before the rows are counted
        ({"acceptance__over_without_synthetic": {"macro_f1": {"min_gain": 0.0}}}, set()),
    ],
    ids=str,
)
def test_a_change_asks_again_only_where_it_can_change_rows(
    project: Project, change: dict[str, Any], reruns: set[str]
) -> None:
    with_rows(project)
    before = keys(project)
    project.edit(**change)

    # what trains has no key before the rows are counted
    assert changed(before, keys(project)) - TRAINED == reruns - TRAINED
    assert ("synthesize" in reruns) == (before["synthesize"] != keys(project)["synthesize"])


def test_a_review_file_counts_once_it_has_a_mark(project: Project) -> None:
    with_rows(project)
    before = keys(project)["synthesize"]
    file = project.folder / "look.csv"
    file.write_text("id,ok,text\n0123456789abcdef,,a\n", encoding="utf-8")
    unmarked = keys(project)["synthesize"]
    file.write_text("id,ok,text\n0123456789abcdef,no,a\n", encoding="utf-8")

    assert unmarked == before
    assert keys(project)["synthesize"] != before


def test_a_recipe_without_synthetic_rows_keeps_its_digest(project: Project) -> None:
    recipe, _ = load_recipe(project.recipe)
    resolved = resolved_mapping(recipe)

    assert "synthesize" not in resolved["data"]
    assert not {"synthetic", "over_without_synthetic"} & set(resolved["acceptance"])
    with_rows(project)
    changed_recipe, _ = load_recipe(project.recipe)
    assert recipe_digest(resolved_mapping(changed_recipe)) != recipe_digest(resolved)
