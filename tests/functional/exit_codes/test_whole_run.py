"""One recipe in, an accepted model out: what stands in the run folder, and that it answers."""

import json
from pathlib import Path

import jsonschema
import pytest

from engine.files.digests import sha256_of
from support.project import GOOD, Project
from support.runs import (
    PLAIN,
    adapter_digests,
    is_whole,
    left_behind,
    report,
    run_folders,
    statuses,
)


@pytest.fixture
def folder(finished: Project) -> Path:
    (folder,) = run_folders(finished.folder / ".recipe")
    return folder


def test_every_stage_ran_and_the_store_is_whole(finished: Project) -> None:
    root = finished.folder / ".recipe"

    assert statuses(root) == dict.fromkeys(PLAIN, "ran")
    assert is_whole(root)
    assert left_behind(root) == []


def test_the_report_is_valid_and_says_what_the_exit_code_says(
    finished: Project, root: Path
) -> None:
    schema = json.loads((root / "schemas" / "report.v1.schema.json").read_text(encoding="utf-8"))
    found = report(finished.folder / ".recipe")

    jsonschema.validate(found, schema)

    assert found["outcome"] == "accepted"
    assert found["summary"].endswith("every threshold, and so does the quantized file")
    assert {found["gate"]["status"], found["verify"]["status"]} == {"pass"}
    assert {baseline["name"] for baseline in found["baselines"]} == {
        "majority",
        "tfidf_svm",
        "zero_shot",
    }


def test_the_run_folder_holds_the_model_in_every_asked_format(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}

    assert {
        "README.md",
        "Modelfile",
        "adapter",
        "events.jsonl",
        "model",
        "model-Q4_K_M.gguf",
        "recipe.yaml",
        "report.html",
        "report.json",
        "report.md",
        "run.json",
        "task.json",
    } <= names
    assert (folder / "model" / "model.safetensors").is_file()
    assert {path.name for path in (folder / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_files_beside_the_model_are_described_by_their_digests(
    finished: Project, folder: Path
) -> None:
    for item in report(finished.folder / ".recipe")["files"]:
        assert item["sha256"] == sha256_of(folder / item["name"]), item["name"]


def test_the_recipe_that_was_kept_is_the_one_that_was_given(
    finished: Project, folder: Path
) -> None:
    assert (folder / "recipe.yaml").read_bytes() == finished.recipe.read_bytes()


def test_the_exported_model_answers_with_a_label(finished: Project) -> None:
    answer = finished.run("try", "tiny", f"the film was {GOOD[0]}", "--format", "json")

    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["label"] in ("negative", "positive")


def test_a_second_run_does_nothing_and_says_the_same(finished: Project) -> None:
    root = finished.folder / ".recipe"
    before = report(root)

    again = finished.run("run", "recipe.yaml")
    after = report(root)

    assert again.code == 0, again.err
    assert len((again.err + again.out).splitlines()) <= 40
    assert statuses(root) == dict.fromkeys(PLAIN, "reused")
    changing = {"costs", "notes", "reproduction", "run_directory", "seconds", "stages", "started"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    assert len(adapter_digests(root)) == 2
