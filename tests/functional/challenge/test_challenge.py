"""A newer base model against an accepted one, through the command."""

import json
from pathlib import Path

import pytest

from engine.store.records import Runs, latest_accepted
from support.pico import make_pico_model
from support.project import Project

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pico_model(tmp_path_factory.mktemp("newer") / "model", seed=9)


def run_folder(project: Project) -> Path:
    found = latest_accepted(Runs(project.folder / ".recipe"), "tiny")
    assert found is not None
    return found.folder


def test_an_untouched_model_is_compared_and_nothing_changes(finished: Project, newer: Path) -> None:
    before = {path: path.read_bytes() for path in finished.folder.glob("recipe*")}

    outcome = finished.run("challenge", "recipe.yaml", "--base-model", str(newer))

    assert outcome.code == 0, outcome.err
    assert "untouched (zero_shot), is " in outcome.out
    assert "the accepted model on 40 holdout rows" in " ".join(outcome.out.split())
    assert f"path: {newer}" in outcome.out
    assert "skipped" not in outcome.err
    assert {path: path.read_bytes() for path in finished.folder.glob("recipe*")} == before
    assert len(list((run_folder(finished) / "challenges").glob("*.md"))) == 1


def test_the_same_model_untouched_answers_as_its_baseline(finished: Project) -> None:
    outcome = finished.run(
        "challenge", "recipe.yaml", "--base-model", "base", "--format", "json", "-q"
    )

    found = json.loads(outcome.out)
    report = json.loads((run_folder(finished) / "report.json").read_text(encoding="utf-8"))
    known = {item["name"]: item["scores"]["metrics"] for item in report["baselines"]}
    f1 = {metric["name"]: metric["value"] for metric in known["zero_shot"]}["macro_f1"]
    (line,) = found["lines"]
    assert line["newcomer"] == pytest.approx(f1)
    assert line["accepted"] - line["newcomer"] == pytest.approx(-line["comparison"]["difference"])
    assert 0 < line["comparison"]["p_adjusted"] <= 1
    assert (found["schema"], found["trained"]) == ("challenge.v1", False)
    assert found["edit"] == "base_model:\n  path: base\n"


def test_trained_again_on_the_same_base_it_answers_the_same_and_is_reused(
    finished: Project,
) -> None:
    outcome = finished.run(
        "challenge", "recipe.yaml", "--base-model", "base", "--train", "--format", "json"
    )

    found = json.loads(outcome.out)
    (line,) = found["lines"]
    assert (found["candidate"], line["comparison"]["difference"]) == ("trained", 0)


def test_another_holdout_is_refused(finished: Project, newer: Path) -> None:
    finished.edit(splits__seed=8)

    outcome = finished.run("challenge", "recipe.yaml", "--base-model", str(newer))

    assert outcome.code == 2
    assert "R009" in outcome.err


def test_without_an_accepted_model_there_is_nothing_to_challenge(
    project: Project, newer: Path
) -> None:
    outcome = project.run("challenge", "recipe.yaml", "--base-model", str(newer))

    assert outcome.code == 2
    assert "R008" in outcome.err
    assert "recipe run recipe.yaml" in outcome.err


def test_a_model_that_can_move_or_is_none_is_refused(finished: Project) -> None:
    moving = finished.run("challenge", "recipe.yaml", "--base-model", "owner/model")
    none = finished.run("challenge", "recipe.yaml", "--base-model", "no such model")

    assert (moving.code, none.code) == (2, 2)
    assert "R301" in moving.err
    assert "R010" in none.err
