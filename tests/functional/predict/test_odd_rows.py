"""A model that was not accepted can be queried, is marked in every answer, and goes nowhere else."""

import csv
import io
import json
import re
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


# A text that is longer than what the model reads gets no answer, and a reason.
LONG = "so lovely " * 200
"""More tokens than the 512 that the stand-in model reads."""


def write_rows(path: Path, *texts: str) -> Path:
    path.write_text("\n".join(["text", *texts, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("times", [1, 50])
def test_one_text_longer_than_the_window_is_refused_at_once(finished: Project, times: int) -> None:
    outcome = finished.run("try", NAME, LONG * times)

    assert (outcome.code, outcome.out) == (2, "")
    assert "R449" in outcome.err
    message = r"has [\d,]+ tokens with its instruction, and the model reads 512 at most"
    assert re.search(message, outcome.err)


@pytest.mark.parametrize("form", ["gguf", pytest.param("merged", marks=pytest.mark.thorough)])
def test_rows_longer_than_the_window_have_no_answer_and_are_named(
    finished: Project, form: str
) -> None:
    others = write_rows(finished.folder / "others.csv", "a lovely film", "a dull film")
    rows = write_rows(finished.folder / "new.csv", "a lovely film", LONG, "a dull film")
    alone = finished.run("predict", NAME, str(others), "--form", form)

    outcome = finished.run("predict", NAME, str(rows), "--form", form, "--abstain-below", "0")

    found = [json.loads(line) for line in outcome.out.splitlines()]
    expected = [json.loads(line) for line in alone.out.splitlines()]
    assert outcome.code == 0, outcome.err
    assert [row["prediction"] for row in found] == [
        expected[0]["prediction"],
        None,
        expected[1]["prediction"],
    ]
    assert [row["probability"] is None for row in found] == [False, True, False]
    assert not any(row["abstained"] for row in found)
    message = r"1 without an answer: longer than the 512 tokens that the model reads: new\.csv:3 \([\d,]+ tokens\)"
    assert re.search(message, outcome.err), outcome.err
    assert "blank" not in outcome.err


# Cells that a spreadsheet would compute: written as they are, and counted.
@pytest.mark.parametrize(
    ("text", "name", "is_counted"),
    [
        ("=1+1", "out.csv", True),
        ("@SUM(A1)", "out.tsv", True),
        ("-5.5", "out.csv", False),
        ("=1+1", "out.jsonl", False),
        ("a film = good", "out.csv", False),
    ],
)
def test_rows_with_a_formula_are_counted(
    finished: Project, text: str, name: str, is_counted: bool
) -> None:
    (finished.folder / "new.csv").write_text(f"text,id\nfine,{text}\nfine,x\n", "utf-8")

    outcome = finished.run("predict", "tiny", "new.csv", "-o", name)

    assert outcome.code == 0, outcome.err
    assert text in (finished.folder / name).read_text("utf-8")
    assert ("1 with a cell that a spreadsheet would compute" in outcome.err) is is_counted
