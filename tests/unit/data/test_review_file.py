"""The file in which people mark synthetic rows: drawn, written, read back."""

import json
from pathlib import Path

import pytest

from engine.data.examples.example import Example
from engine.data.synthetic import drawn_for_review, read_marks, review_text
from engine.errors import StageError

ROWS = [
    Example(id=f"{number:016x}", origin=f"synthetic:{number}", input=text, target="bug")
    for number, text in enumerate(["one, two", "=1+1", 'a "quote"\nand a line', "pl\u2028ain"])
]


def test_the_draw_is_by_content_and_keeps_the_order() -> None:
    drawn = drawn_for_review(ROWS, 2, seed=7)

    assert len(drawn) == 2
    assert drawn == [row for row in ROWS if row in drawn]
    assert set(map(id, drawn_for_review(ROWS[::-1], 2, seed=7))) == set(map(id, drawn))
    assert drawn_for_review(ROWS, 9, seed=7) == ROWS


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_marks_are_read_back_by_the_ids(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"look{suffix}"
    text = review_text(ROWS, suffix=suffix)
    file.write_text(text, encoding="utf-8")
    assert read_marks(file, file.name) == {}

    for row, mark in zip(ROWS, ("yes", "No", "1", ""), strict=True):
        if suffix == ".csv":
            text = text.replace(f"{row.id},,", f"{row.id},{mark},")
        else:
            text = text.replace(f'"{row.id}", "ok": ""', f'"{row.id}", "ok": "{mark}"')
    file.write_text(text, encoding="utf-8-sig" if suffix == ".csv" else "utf-8")

    assert read_marks(file, file.name) == {ROWS[0].id: True, ROWS[1].id: False, ROWS[2].id: True}


def test_a_cell_that_a_spreadsheet_would_compute_is_text() -> None:
    assert "'=1+1" in review_text(ROWS, suffix=".csv")
    lines = review_text(ROWS, suffix=".jsonl").splitlines()
    assert json.loads(lines[1])["text"] == "=1+1"


def test_a_file_that_is_not_there_has_no_marks(tmp_path: Path) -> None:
    assert read_marks(tmp_path / "none.csv", "none.csv") is None


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("look.csv", "id,ok\n1,perhaps\n2,yes\n", "`perhaps` is no mark"),
        ("look.csv", "name,mark\n1,yes\n", "no columns `id` and `ok`"),
        ("look.jsonl", '{"id": "1", "ok": "yes"}\nnothing\n', "no JSON object"),
        ("look.csv", b"id,ok\n\xff\xfe,yes\n", "cannot be read"),
    ],
)
def test_what_is_no_mark_is_reported_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(StageError) as raised:
        read_marks(file, name)

    (problem,) = raised.value.problems
    assert problem.code == "X752"
    assert says in problem.message


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_text("id,ok\n1,yes\n", encoding="utf-8")
    (tmp_path / "look.csv").symlink_to(tmp_path / "elsewhere.csv")

    with pytest.raises(StageError, match="cannot be read"):
        read_marks(tmp_path / "look.csv", "look.csv")
