"""`method.seeds`: the recipe trained again with other seeds; only their answers are kept, nothing else decides."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from support.project import Outcome, Project
from support.run_once import RunOnce, run_once
from support.runs import manifests, report, run_folders, statuses

pytestmark = pytest.mark.thorough

LOCK = "recipe.lock.json"


def accepted(project: Project) -> dict[str, Any]:
    whole = json.loads((project.folder / LOCK).read_text(encoding="utf-8"))
    part: dict[str, Any] = whole["accepted"]
    return part


def macro_f1(run: dict[str, Any]) -> float:
    value: float = next(m["value"] for m in run["metrics"] if m["name"] == "macro_f1")
    return value


def seeding(project: Project) -> None:
    project.edit(method__seeds=[8, 9])


@pytest.fixture
def seeded(accepted_run: RunOnce, tmp_path: Path, run: Callable[..., Outcome]) -> Project:
    """An accepted project that was run with two further seeds."""
    done = run_once("seeded", seeding, start=accepted_run)
    assert done.outcome.code == 0, done.outcome.err
    assert "macro_f1 over 3 seeds (7, 8, 9): mean" in done.outcome.err
    return done.copy_to(tmp_path, run)


def test_each_seed_is_trained_and_judged_and_only_its_answers_are_kept(seeded: Project) -> None:
    root = seeded.folder / ".recipe"
    found, part = report(root), accepted(seeded)

    assert {name for name, status in statuses(root).items() if status == "ran"} == {"seeds"}
    runs = found["seeds"]["runs"]
    assert [run["seed"] for run in runs] == [7, 8, 9]
    assert macro_f1(runs[0]) == next(
        m["value"] for m in found["holdout"]["metrics"] if m["name"] == "macro_f1"
    )
    values = [macro_f1(run) for run in runs]
    spread = next(one for one in found["seeds"]["spread"] if one["metric"] == "macro_f1")
    assert spread["mean"] == pytest.approx(fmean(values))
    assert spread["deviation"] == pytest.approx(stdev(values))
    kept = [manifest for manifest in manifests(root) if manifest["stage"] == "seed"]
    assert [[file["name"] for file in one["files"]] for one in kept] == [["predictions.jsonl"]] * 2
    assert not list((root / "scratch").glob("*/result"))
    assert [one["seed"] for one in part["seeds"]] == [8, 9]
    assert part["spread"]["macro_f1"]["deviation"] == pytest.approx(stdev(values), abs=1e-6)
    page = (run_folders(root)[-1] / "report.html").read_text("utf-8")
    assert "Every seed on the holdout" in page
    assert "## Seeds" in (run_folders(root)[-1] / "report.md").read_text("utf-8")


def test_another_list_trains_only_what_is_new_and_the_margin_comes_from_the_seeds(
    seeded: Project,
) -> None:
    root = seeded.folder / ".recipe"
    seeded.edit(method__seeds=[9, 10])
    outcome = seeded.run("run", "recipe.yaml")
    assert outcome.code == 0, outcome.err
    made = [manifest for manifest in manifests(root) if manifest["stage"] == "seed"]
    seeded.edit(method__seed=8, method__seeds=None)

    other = seeded.run("run", "recipe.yaml")

    assert len(made) == 3
    assert other.code == 0, other.err
    (test,) = report(root)["reproduction"]["equivalence"]
    assert "of 3 seeds" in test["margin_from"]
    assert "further seeds" in report(root)["reproduction"]["agreement_from"]
