"""Columns that no template can name: the rows are written anew with other names."""

import json
from pathlib import Path

import pytest

from engine.cli.main import main
from support.project import rows


@pytest.mark.parametrize(
    "columns",
    [
        (" text", "label", "agent"),
        ("text", " label ", "agent"),
        ("text", "label", "an answer {x}"),
    ],
)
def test_rows_are_written_anew_where_a_column_needs_a_name(
    columns: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # The last is of texts, which the draft offers for the input.
    third = "as written by agent {n} in call {n}" if "answer" in columns[2] else "agent"
    lines = [(text, label, third.format(n=n)) for n, (text, label) in enumerate(rows(120))]
    text = "".join(json.dumps(dict(zip(columns, line, strict=True))) + "\n" for line in lines)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")

    assert main(["init", "rows.jsonl", "-o", "draft.yaml"]) == 0

    assert (tmp_path / "draft.rows.jsonl").exists()
    assert main(["data", "--no-tokens", "draft.yaml"]) == 0


def test_a_label_with_a_comma_in_its_name_may_be_absent_in_some_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [
        {"text": t, "City, State": label} if n > 19 else {"text": t}
        for n, (t, label) in enumerate(rows(140))
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    assert main(["init", "rows.jsonl", "--label", "City, State", "-o", "draft.yaml"]) == 0
    assert "20 of 140 rows have no `City, State`" in " ".join(capfd.readouterr().out.split())
    assert main(["data", "--no-tokens", "draft.yaml"]) == 0
