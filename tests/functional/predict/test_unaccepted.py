"""A model that was not accepted can be queried, is marked in every answer, and goes nowhere else."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from support.project import Project
from support.runs import report, run_folders

NAME = "tiny"


@pytest.fixture
def refused(finished: Project) -> Project:
    """The project after a run whose model was not accepted, and which is the latest."""
    finished.edit(acceptance__metrics={"macro_f1": {"min": 1.0}}, lock=None)
    for run in run_folders(finished.folder / ".recipe"):
        for file in run.glob("*.gguf"):
            file.unlink()
    finished.run("run", "recipe.yaml")
    assert report(finished.folder / ".recipe")["outcome"] in ("refused", "inconclusive")
    return finished


def holdout(project: Project) -> list[dict[str, Any]]:
    """What `evaluate` found for the rows of the holdout, with their texts."""
    store = project.folder / ".recipe" / "store"
    texts = {
        row["id"]: row["input"]
        for path in store.rglob("holdout.jsonl")
        for row in map(json.loads, path.read_text("utf-8").splitlines())
        if "input" in row
    }
    answers = next(store.rglob("predictions.holdout.jsonl")).read_text("utf-8")
    return [{**row, "text": texts[row["id"]]} for row in map(json.loads, answers.splitlines())]


def test_its_answers_are_those_that_were_judged_and_each_is_marked(refused: Project) -> None:
    expected = holdout(refused)
    rows, output = refused.folder / "new.csv", refused.folder / "out.csv"
    with rows.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text",), *((row["text"],) for row in expected)])

    outcome = refused.run("predict", NAME, str(rows), "--unaccepted", "-o", str(output))

    assert outcome.code == 0, outcome.err
    found = [*csv.DictReader(io.StringIO(output.read_text("utf-8")))]
    assert [row["prediction"] for row in found] == [row["label"] for row in expected]
    assert {row["accepted"] for row in found} == {"false"}
    assert "the model was not accepted" in outcome.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_try_answers_as_judged_and_marked(refused: Project, form: str) -> None:
    row = holdout(refused)[0]

    outcome = refused.run("try", NAME, row["text"], "--unaccepted", "--format", form)

    assert outcome.code == 0, outcome.err
    if form == "text":
        assert outcome.out.strip() == f"not accepted: {row['label']}"
    else:
        fields = json.loads(outcome.out)
        assert (fields["label"], fields["accepted"]) == (row["label"], False)


def test_without_the_flag_nothing_uses_it_and_one_line_names_the_flag(
    refused: Project, tmp_path: Path
) -> None:
    rows = refused.folder / "new.csv"
    rows.write_text("text\na film\n", encoding="utf-8")

    for words in (["try", NAME, "a film"], ["predict", NAME, str(rows)], ["serve", NAME]):
        outcome = refused.run(*words)
        assert outcome.code == 2
        assert "was not accepted" in outcome.err
        assert "--unaccepted" in outcome.err
    shown = refused.run("publish", NAME, "--to", "folder", "--name", str(tmp_path / "out"))
    assert "R421" in shown.err


@pytest.mark.thorough
def test_an_accepted_model_answers_as_without_the_flag(finished: Project) -> None:
    words = ["try", NAME, "a lovely film", "--format", "json"]

    assert finished.run(*words, "--unaccepted").out == finished.run(*words).out
