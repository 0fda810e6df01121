"""A second model of a recipe is compared with the one accepted before, through the command."""

from __future__ import annotations

import json
from typing import Any

import pytest
from project import Project


def latest(project: Project) -> dict[str, Any]:
    folders = (project.folder / ".recipe" / "runs" / "tiny").iterdir()
    reports = [folder / "report.json" for folder in folders if folder.is_dir()]
    newest = max(reports, key=lambda file: file.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return found


def gate(project: Project) -> str:
    return next(item["status"] for item in latest(project)["stages"] if item["stage"] == "gate")


@pytest.mark.filterwarnings("ignore:.*invalid escape sequence:SyntaxWarning")
def test_a_model_is_compared_with_the_last_accepted_one_and_never_with_itself(
    project: Project,
) -> None:
    project.edit(
        data__checks={"leakage": "off"},
        acceptance={
            "decide_on": "point",
            "metrics": {"macro_f1": {"min": 0.01}},
            "over_previous": {"macro_f1": {"max_drop": 1.0}},
        },
    )

    first = project.run("run", str(project.recipe))
    alone = latest(project)
    again = project.run("run", str(project.recipe))
    reused = gate(project)
    project.edit(method__seed=11)
    second = project.run("run", str(project.recipe))
    followed = latest(project)

    assert [first.code, again.code, second.code] == [0, 0, 0], second.err
    assert [check["status"] for check in alone["gate"]["checks"]] == ["pass", "warn"]
    assert reused == "reused"
    assert [check["status"] for check in followed["gate"]["checks"]] == ["pass", "pass"]
    assert "previous" in [item["name"] for item in followed["comparisons"]]
