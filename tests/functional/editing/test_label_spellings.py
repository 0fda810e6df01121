"""Labels that stand in several spellings: a draft takes them for one, and tells how often each stands there."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main


def draft(
    labels: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Any], str]:
    """Draft from 120 rows with these labels in turn; return the recipe, and the message in one line."""
    found = [
        {"text": f"a long message of customer number {n}", "tags": labels[n % len(labels)]}
        for n in range(120)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in found)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    code = main(["init", str(folder / "rows.jsonl"), "-o", str(folder / "rows.yaml")])
    message = capsys.readouterr()
    text = (folder / "rows.yaml").read_text(encoding="utf-8") if not code else "{}"
    return yaml.safe_load(text), " ".join((message.out + message.err).split())


def test_spellings_of_a_label_are_counted_and_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, message = draft(["yes", "yes", "Yes", "YES ", " yes", "no"], tmp_path, capsys)

    assert recipe["task"]["labels"] == ["no", "yes"]
    assert recipe["data"]["label"]["relabel"] == {"Yes": "yes", "YES ": "yes", " yes": "yes"}
    assert "taken for `yes`: `yes` 40, `Yes` 20, `YES ` 20, ` yes` 20" in message
    assert "`data.label.relabel` merges them" in message


@pytest.mark.parametrize(
    ("labels", "relabel", "counts"),
    [
        (
            ["bug,Login", "bug,cost", "Bug,cost", "Login", "login,cost", "bug"],
            {"Bug": "bug", "login": "Login"},
            "`bug` 60, `Bug` 20",
        ),
        (
            [["bug", "cost"], ["bug"], [" bug", "cost"], ["cost"]],
            {" bug": "bug"},
            "`bug` 60, ` bug` 30",
        ),
    ],
)
def test_those_of_several_labels_a_row_are_merged_too(
    labels: list[Any], relabel: dict[str, str], counts: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recipe, message = draft(labels, tmp_path, capsys)

    assert recipe["task"]["kind"] == "multilabel"
    assert recipe["data"]["label"]["relabel"] == relabel
    assert counts in message


def test_labels_that_only_look_the_same_are_named_by_their_code_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, message = draft(["no", "no", "n\u043e", "yes"], tmp_path, capsys)

    assert recipe["data"]["label"]["relabel"] == {"n\u043e": "no"}
    assert "`n\u043e` (U+043E) 30" in message


def test_one_label_in_two_spellings_sorts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, message = draft(["yes", "Yes"], tmp_path, capsys)

    assert "says the same in every row, in 2 spellings" in message


def test_labels_of_one_spelling_each_are_left_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, message = draft(["yes", "no"], tmp_path, capsys)

    assert "relabel" not in recipe["data"]["label"]
    assert "spelling that is taken" not in message
