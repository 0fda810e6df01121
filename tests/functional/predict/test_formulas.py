"""Cells that a spreadsheet would compute: written as they are, and counted."""

import pytest

from support.project import Project


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
