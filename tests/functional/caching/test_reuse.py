"""Nothing twice: what a second run, a changed threshold, `--until` and `--force` do, and damaged results."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from engine.pipeline import loop
from engine.progress import Progress, note_waiting
from engine.store import Store
from support.project import Project
from support.runs import (
    AFTER_GATE,
    PLAIN,
    adapter_digests,
    forget,
    is_whole,
    manifests,
    only,
    report,
    statuses,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def root(finished: Project) -> Path:
    return finished.folder / ".recipe"


def file_of(root: Path, stage: str, name: str) -> Path:
    """A file of the only artifact of a stage."""
    (key,) = [manifest["key"] for manifest in manifests(root) if manifest["stage"] == stage]
    return Store(root).folder(key) / "files" / name


def test_a_changed_threshold_evaluates_model_and_file_again_and_nothing_else(
    finished: Project, root: Path
) -> None:
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.02}})

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert statuses(root) == only("gate") | {"verify": "ran"}
    assert report(root)["gate"]["checks"][0]["bound"] == 0.02


def test_a_run_that_waits_for_another_one_says_so(
    finished: Project, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = [manifest["key"] for manifest in manifests(root) if manifest["stage"] == "gate"]
    held, free = Event(), Event()

    def hold() -> None:
        with Store(root).lock(key):
            held.set()
            free.wait(60)

    def note(progress: Progress) -> None:
        note_waiting(progress)
        free.set()

    monkeypatch.setattr(loop, "note_waiting", note)
    forget(root, "gate")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait(60)
        outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert outcome.err.count("another run is making this result: waiting for its end") == 1


def test_a_threshold_that_flips_the_verdict_stops_before_the_merge(
    finished: Project, root: Path
) -> None:
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.99}})

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 1, outcome.err
    assert report(root)["outcome"] == "refused"
    assert statuses(root) == only("gate") | dict.fromkeys(AFTER_GATE, "skipped")
    assert report(root)["files"] == []


def test_a_bound_that_the_rows_cannot_decide_is_inconclusive(finished: Project, root: Path) -> None:
    value, interval = next(
        (metric["value"], metric["interval"])
        for metric in report(root)["holdout"]["metrics"]
        if metric["name"] == "macro_f1"
    )
    bound = round((interval["low"] + value) / 2, 3)
    finished.edit(acceptance__metrics={"macro_f1": {"min": bound}})

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 1, outcome.err
    assert report(root)["outcome"] == "inconclusive"
    assert {statuses(root)[stage] for stage in AFTER_GATE} == {"skipped"}


def test_a_verdict_that_flips_back_finds_everything_still_there(
    finished: Project, root: Path
) -> None:
    recipe = finished.recipe.read_text(encoding="utf-8")
    finished.edit(acceptance__metrics={"macro_f1": {"min": 0.99}})
    assert finished.run("run", "recipe.yaml").code == 1

    finished.recipe.write_text(recipe, encoding="utf-8")
    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert statuses(root) == dict.fromkeys(PLAIN, "reused")


def test_a_baseline_that_is_enough_ends_a_run_that_was_trained_before(
    finished: Project, root: Path
) -> None:
    finished.edit(stop_if_baseline_passes=True)

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 5, outcome.err
    assert statuses(root) == {
        name: "reused" if name in ("data", "baseline") else "skipped" for name in PLAIN
    }


def test_until_stops_after_its_stage_and_the_next_run_goes_on(project: Project) -> None:
    root = project.folder / ".recipe"

    first = project.run("run", "recipe.yaml", "--until", "compile")
    before = report(root)
    second = project.run("run", "recipe.yaml", "--until", "gate")

    assert (first.code, second.code) == (0, 0), second.err
    assert before["outcome"] == "stopped"
    assert {record["status"] for record in before["stages"][3:]} == {"skipped"}
    assert statuses(root) == {
        **dict.fromkeys(("data", "baseline", "compile"), "reused"),
        **dict.fromkeys(("train", "evaluate", "gate"), "ran"),
        **dict.fromkeys(AFTER_GATE, "skipped"),
    }


def test_force_runs_a_stage_again_and_keeps_what_it_replaces(finished: Project, root: Path) -> None:
    before = adapter_digests(root)

    outcome = finished.run("run", "recipe.yaml", "--force", "train")

    assert outcome.code == 0, outcome.err
    assert statuses(root) == only("train")
    assert adapter_digests(root) == before
    assert is_whole(root)


def test_a_damaged_holdout_is_built_again_with_the_same_rows(finished: Project, root: Path) -> None:
    path = file_of(root, "holdout", "holdout.jsonl")
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])

    outcome = finished.run("run", "recipe.yaml")

    assert outcome.code == 0, outcome.err
    assert file_of(root, "holdout", "holdout.jsonl").read_bytes() == good
    assert is_whole(root)


def test_a_store_that_was_moved_is_reused(finished: Project, root: Path) -> None:
    root.rename(finished.folder / "elsewhere")

    outcome = finished.run("run", "recipe.yaml", "--store", "elsewhere")

    assert outcome.code == 0, outcome.err
    assert statuses(finished.folder / "elsewhere") == dict.fromkeys(PLAIN, "reused")


def test_json_says_the_whole_report(finished: Project) -> None:
    outcome = finished.run("run", "recipe.yaml", "--format", "json")

    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["outcome"] == "accepted"
