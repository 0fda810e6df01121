"""A text that is longer than what the model reads gets no answer, and a reason."""

import json
import re
from pathlib import Path

import pytest

from support.project import Project

NAME = "tiny"
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
