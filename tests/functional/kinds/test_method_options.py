"""A whole run with options of the method: planned, trained, merged, exported, and asked again as it leaves."""

import pytest

from support.project import Project
from support.runs import report, statuses

pytestmark = pytest.mark.thorough
OPTIONS = {
    "dora": True,
    "rslora": True,
    "ranks": {"down_proj": 8, "q_proj": 2},
    "layers": "last_1",
    "loraplus_lr_ratio": 4,
}


def test_an_adapter_with_options_is_merged_and_answers_as_it_was_judged(project: Project) -> None:
    project.edit(
        baselines=["majority"], **{f"method__{key}": value for key, value in OPTIONS.items()}
    )

    planned = project.run("plan", "recipe.yaml")
    outcome = project.run("run", "recipe.yaml")

    assert (planned.code, outcome.code) == (0, 0), outcome.err
    assert set(statuses(project.folder / ".recipe").values()) == {"ran"}
    found = report(project.folder / ".recipe")
    assert found["training"]["trainable_parameters"] > 0
