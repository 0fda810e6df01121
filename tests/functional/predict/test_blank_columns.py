"""Rows with a blank column: what training had and the holdout judged is answered by every verb."""

import csv
import json
from pathlib import Path

import pytest

from support.project import Project, rows
from support.run_once import RunOnce, run_once

pytestmark = pytest.mark.thorough


def _with_an_optional_column(project: Project) -> None:
    with (project.folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("text", "more", "label"))
        table.writerows(
            (text, "and more" if at % 2 else "", label)
            for at, (text, label) in enumerate(rows(140))
        )
    project.edit(
        task__input="{text}; {more}",
        data__checks__empty="warn",
        export={"formats": ["gguf"], "quantization": "Q8_0"},
    )


@pytest.fixture(scope="module")
def answering() -> RunOnce:
    done = run_once("an optional column", _with_an_optional_column)
    assert done.outcome.code == 0, done.outcome.err
    return done


def test_the_finding_says_that_a_column_is_blank_and_not_the_text(
    answering: RunOnce, project: Project
) -> None:
    shown = project.run("data", str(answering.folder / "recipe.yaml"))

    assert "70 rows have a blank column in `task.input`" in " ".join(shown.out.split())


@pytest.mark.parametrize("form", ["gguf", "merged"])
def test_a_file_of_such_rows_is_answered(
    answering: RunOnce, project: Project, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(answering.folder)
    asked = [
        {"text": "a good film", "more": ""},
        {"text": "a bad film", "more": None},
        {"text": "", "more": " "},
    ]
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in asked), encoding="utf-8")

    outcome = project.run("predict", "tiny", str(file), "--form", form, "--quiet")

    found = [json.loads(line)["prediction"] for line in outcome.out.splitlines()]
    assert [one is None for one in found] == [False, False, True], outcome.err
