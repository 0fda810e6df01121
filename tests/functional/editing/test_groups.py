"""Columns that say whose a row is: a draft keeps their rows in one split, or says what would."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import main
from support.project import rows

KEEPS = "keeps them in one split"


def draft(
    columns: dict[str, list[str]],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    kind: str,
    label: str = "",
) -> tuple[Any, str]:
    """Draft from 240 rows with these columns beside their texts; return `splits.by`, and the output in one line."""
    file, target = folder / "rows.csv", folder / "rows.yaml"
    found = [
        (text, label, *(values[n] for values in columns.values()))
        for n, (text, label) in enumerate(rows(240))
    ]
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "mood", *columns), *found])
    named = ["--kind", kind, "--text", "text", *(["--label", label] if label else [])]
    assert main(["init", str(file), *named, "-o", str(target)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    return yaml.safe_load(target.read_text(encoding="utf-8"))["splits"]["by"], output


def numbered(name: str, groups: int) -> list[str]:
    return [f"{name}{n % groups}" for n in range(240)]


@pytest.mark.parametrize("kind", ["classification", "text"])
@pytest.mark.parametrize("name", ["user_id", "session", "Patient ID", "customerId"])
def test_rows_of_one_person_are_drafted_into_one_split(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by, output = draft({name: numbered("u", 60)}, tmp_path, capsys, kind=kind)

    assert by == {"group": name}
    assert f"those of one `{name}` stay together" in output


def test_sessions_of_a_user_stay_with_the_user_and_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {
        "session": numbered("s", 120),
        "order_id": numbered("o", 70),
        "user": numbered("u", 60),
    }

    by, output = draft(columns, tmp_path, capsys, kind="classification")

    assert by == {"group": "user"}
    assert output.count(KEEPS) == 1
    assert "170 rows have the `order_id` of an earlier row" in output
    assert "{group: order_id} in place of `user` keeps" in output


def test_a_column_with_empty_rows_is_named_and_not_drafted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patients = ["", "", *numbered("p", 60)[2:]]

    by, output = draft({"patient": patients}, tmp_path, capsys, kind="classification")

    assert by == "stratified"
    assert f"{{group: patient}} {KEEPS}, once its 2 empty rows are filled" in output


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", numbered("", 240)),
        ("customer", numbered("c", 240)),
        ("user", numbered("u", 5)),
        ("agent", numbered("a", 60)),
        ("user_rating", numbered("", 60)),
    ],
    ids=["a number for each row", "each its own", "few", "who answered", "another thing"],
)
def test_other_columns_divide_nothing(
    name: str, values: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by, output = draft({name: values}, tmp_path, capsys, kind="classification")

    assert by == "stratified"
    assert KEEPS not in output


def test_a_label_of_one_user_alone_is_divided_as_without_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Whole users leave two of the splits without it.
    labels = ["rare" if n % 20 == 0 else "mostly" for n in range(240)]
    columns = {"user": numbered("u", 20), "label": labels}

    by, output = draft(columns, tmp_path, capsys, kind="classification", label="label")

    assert by == "stratified"
    assert f"splits.by: {{group: user}} {KEEPS}" in output
