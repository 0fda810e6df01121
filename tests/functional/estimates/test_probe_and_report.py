"""The estimate before a run, sharpened by trial steps, beside what the run took."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.project import Project

pytestmark = pytest.mark.thorough


def estimate(project: Project, root: Path, *words: str) -> dict[str, Any]:
    outcome = project.run(
        "plan", str(project.recipe), "--store", str(root), "--format", "json", *words
    )
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)["estimate"]
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_probe_measures_and_a_later_plan_uses_it(project: Project, root: Path) -> None:
    project.edit(baselines=["majority"])
    before = estimate(project, root)
    probed = estimate(project, root, "--probe")
    later = estimate(project, root)

    assert before["basis"] == "computed"
    assert probed == later
    assert later["basis"] == "probe"
    assert any("the peak of trial steps on this machine" in one["how"] for one in later["derived"])
    assert "counted by the base model's tokenizer" in later["derived"][0]["how"]

    # nothing that trial steps trained is left, and nothing was reused for it
    assert list((root / "scratch").glob("*/launch")) == []
    stages = json.loads(
        project.run("plan", str(project.recipe), "--store", str(root), "--format", "json").out
    )["stages"]
    assert {one["stage"]: one["state"] for one in stages if one["stage"] in ("data", "train")} == {
        "data": "reuse",
        "train": "run",
    }


def test_a_probe_warms_up_and_no_checkpoint_comes_between_the_steps_that_count(
    project: Project, root: Path
) -> None:
    """The step after a checkpoint has to ask for memory again: it would be measured too slow."""
    project.edit(baselines=["majority"])
    estimate(project, root, "--probe")

    (kept,) = (root / "measured").glob("*.json")
    usage = json.loads(kept.read_text(encoding="utf-8"))["usage"]
    assert (usage["first"]["count"], usage["steps"]["count"]) == (1, 2)
    assert (usage["first_save"]["count"], usage["saves"]["count"]) == (1, 0)


def test_the_report_shows_the_estimate_beside_what_was_taken(project: Project, root: Path) -> None:
    project.edit(baselines=["majority"])
    estimate(project, root, "--probe")
    outcome = project.run("run", str(project.recipe), "--store", str(root), "--until", "train")
    assert outcome.code == 0, outcome.err
    (folder,) = (root / "runs" / "tiny").iterdir()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    costs = {cost["stage"]: cost for cost in report["costs"]}
    train = costs["train"]

    assert train["basis"] == "probe"
    assert report["training"]["peak_memory_bytes"] == train["memory_bytes"]
    assert train["estimated_memory_bytes"] / train["memory_bytes"] - 1 == pytest.approx(
        train["memory_error"], abs=1e-4
    )
    assert abs(train["memory_error"]) < 0.1
    assert train["disk_bytes"] > 0
    assert report["costs"] == record["costs"]
    assert "compile" in costs
    for page in ("report.html", "report.md"):
        assert "measured in trial steps" in (folder / page).read_text(encoding="utf-8")

    # the run itself is a measurement for the next plan
    project.edit(method__seed=99)
    assert estimate(project, root)["basis"] == "run"


def test_a_probe_of_another_device_is_refused(project: Project, root: Path) -> None:
    outcome = project.run(
        "plan", str(project.recipe), "--store", str(root), "--probe", "--device", "l4"
    )

    assert outcome.code == 2
    assert "R042" in outcome.err
