"""Two machines that share a store, as two folders with stores of their own: one builds, the other takes all of it."""

import shutil
from pathlib import Path

import pytest

from support.project import Outcome, Project
from support.runs import PLAIN, is_whole, report, statuses

pytestmark = pytest.mark.thorough


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shared store in a folder, which the environment names."""
    pytest.importorskip("obstore", reason="the extra `store` is not installed")
    monkeypatch.setenv("SLM_RECIPE_STORE_REMOTE", str(tmp_path / "shared"))
    return tmp_path / "shared"


def run(project: Project, *words: str) -> Outcome:
    return project.run(
        "run", str(project.recipe), "--store", str(project.folder / ".recipe"), *words
    )


def another_machine(project: Project, folder: Path, *, with_lock: bool) -> Project:
    """The recipe, its rows and its base model in another folder, without a store."""
    left_out = shutil.ignore_patterns(".recipe", *([] if with_lock else ["recipe.lock.json"]))
    shutil.copytree(project.folder, folder, ignore=left_out)
    return Project(folder=folder, run=project.run)


def test_a_second_machine_reuses_everything_and_reproduces_nothing(
    finished: Project, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run(finished)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    new = another_machine(finished, elsewhere / "new", with_lock=False)
    locked = another_machine(finished, elsewhere / "locked", with_lock=True)

    first = run(new)
    second = run(locked, "--frozen")

    assert first.code == 0
    assert statuses(new.folder / ".recipe") == dict.fromkeys(PLAIN, "reused")
    assert is_whole(new.folder / ".recipe")
    found = report(new.folder / ".recipe")
    assert all("taken from the shared store" in stage["reason"] for stage in found["stages"])
    assert found["holdout_use"]["looks"] == 1  # of the machine that decided
    assert second.code == 1
    verdict = report(locked.folder / ".recipe")["reproduction"]["verdict"]
    assert verdict == "reused, not reproduced"


def test_a_frozen_run_is_refused_where_the_shared_store_is_out_of_reach(
    finished: Project, shared: Path
) -> None:
    shared.write_text("no folder", encoding="utf-8")

    alone, frozen = run(finished), run(finished, "--frozen")

    assert alone.code == 0
    assert "X860" in alone.err
    assert frozen.code == 3
    assert "X860" in frozen.err


def test_an_address_with_a_secret_is_refused_before_anything_runs(
    project: Project, shared: Path
) -> None:
    found = run(project, "--store-remote", "s3://key:hunter2@bucket")

    assert found.code == 2
    assert "R436" in found.err
    assert "hunter2" not in found.err + found.out
    assert not (project.folder / ".recipe" / "store").exists()
