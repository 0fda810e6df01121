"""`recipe report --mistakes`: the wrong validation rows of a run, whole; none of the holdout."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

from support.project import Project


def lines(folder: Path, pattern: str) -> list[dict[str, Any]]:
    texts = (file.read_text(encoding="utf-8") for file in folder.glob(pattern))
    return [json.loads(line) for text in texts for line in text.splitlines()]


def wrong_in_the_store(folder: Path, split: str) -> dict[str, str]:
    """The texts of the rows whose label is not the true one, read from the files of the stages themselves."""
    (run,) = (folder / ".recipe" / "runs" / "tiny").iterdir()
    stages = json.loads((run / "run.json").read_text(encoding="utf-8"))["stages"]
    store = folder / ".recipe" / "store"
    evaluate = stages["evaluate"]["key"]
    answers = lines(store, f"*/{evaluate}/files/predictions.{split}.jsonl")
    rows = lines(store, f"*/*/files/{split}.jsonl")
    texts = {row["id"]: row["input"] for row in rows if "input" in row}
    return {row["id"]: texts[row["id"]] for row in answers if row["label"] != row["target"]}


def test_every_wrong_row_of_a_run_is_shown_the_most_confident_first(finished: Project) -> None:
    outcome = finished.run("report", "tiny", "--mistakes", "--format", "csv")

    shown = list(csv.DictReader(io.StringIO(outcome.out)))
    confident = [float(row["confidence"]) for row in shown]
    assert outcome.code == 0, outcome.err
    assert shown
    assert {row["id"]: row["text"] for row in shown} == wrong_in_the_store(
        finished.folder, "validation"
    )
    assert confident == sorted(confident, reverse=True)


def test_the_report_shows_wrong_validation_rows_and_none_of_the_holdout(finished: Project) -> None:
    page = finished.run("report", "tiny", "--format", "html").out
    text = finished.run("report", "tiny", "--mistakes").out
    held = wrong_in_the_store(finished.folder, "holdout").values()
    shown = wrong_in_the_store(finished.folder, "validation").values()

    assert held
    assert all(one in page and one in " ".join(text.split()) for one in shown)
    assert not any(one in page for one in held)
    assert "Holdout rows are not shown" in page


def test_a_run_whose_answers_the_store_lost_is_named(finished: Project) -> None:
    shutil.rmtree(finished.folder / ".recipe" / "store")

    outcome = finished.run("report", "tiny", "--mistakes")

    assert (outcome.code, "R031" in outcome.err) == (2, True)


def test_a_recipes_file_means_its_latest_run(finished: Project) -> None:
    by_name, by_file = (
        finished.run("report", run, "--format", "text") for run in ("tiny", "recipe.yaml")
    )

    assert (by_file.code, by_file.out) == (0, by_name.out)


def test_a_report_that_is_none_is_named(finished: Project) -> None:
    (run,) = (finished.folder / ".recipe" / "runs" / "tiny").iterdir()
    (run / "report.json").write_text("{}", encoding="utf-8")

    outcome = finished.run("report", "tiny", "--format", "text")

    assert outcome.code != 0
    assert "E758" in outcome.err
