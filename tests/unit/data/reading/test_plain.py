"""Lines as rows, files as rows, and files side by side."""

import csv
import gzip
from pathlib import Path

import pytest

from engine.data.reading.readers import read_rows
from engine.errors import DataError
from support.source_files import codes, origins, problems, read, source


def test_each_line_is_a_row_and_blank_ones_too(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.txt", "one\r\n\n  two \nthree\x0cfour\u2028five\n".encode())

    assert [row["text"] for row in rows] == ["one", "", "  two ", "three\x0cfour\u2028five"]
    assert origins(tmp_path, "r.txt", b"one\n\ntwo") == ["r.txt:1", "r.txt:2", "r.txt:3"]


def test_the_whole_file_is_a_row_not_a_character_changed(tmp_path: Path) -> None:
    text = "\ta line\r\n\nand another \n"

    assert read(tmp_path, "r.md", text.encode(), format="text") == [{"text": text}]
    assert codes(tmp_path, "r.md", b"", format="text") == [("D321", 1)]


def test_files_beside_a_source_are_its_columns(tmp_path: Path) -> None:
    (tmp_path / "label").write_bytes(gzip.compress(b"good\nbad\n"))
    (tmp_path / "tags").write_bytes(b"A B\n\n")
    (tmp_path / "seq.in").write_bytes("fine\nnäh".encode())
    beside = {"label": tmp_path / "label", "tags": tmp_path / "tags"}

    rows = read_rows(tmp_path / "seq.in", source(format="lines"), beside=beside)

    assert [dict(row.values) for row in rows] == [
        {"text": "fine", "label": "good", "tags": "A B"},
        {"text": "näh", "label": "bad", "tags": ""},
    ]


@pytest.mark.parametrize(("lines", "labels"), [(3, 2), (2, 5000), (1, 2)])
def test_unequal_numbers_of_lines_are_reported_with_both_files(
    tmp_path: Path, lines: int, labels: int
) -> None:
    (tmp_path / "text").write_bytes(b"a\n" * lines)
    (tmp_path / "label").write_bytes(b"b\n" * labels)

    beside = {"label": tmp_path / "label"}
    with pytest.raises(DataError) as caught:
        list(read_rows(tmp_path / "text", source(format="lines"), beside=beside))

    (problem,) = caught.value.problems
    assert problem.code == "D330"
    assert f"`text` has {lines:,}, `label` has {labels:,}" in problem.message


def test_a_broken_file_beside_a_source_is_reported_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a\nb\n")
    (tmp_path / "label").write_bytes(b"x\n\xff\n")

    beside = {"label": tmp_path / "label"}
    with pytest.raises(DataError, match=r"label:2 .*D322"):
        list(read_rows(tmp_path / "text", source(format="lines"), beside=beside))


@pytest.mark.parametrize(
    ("reader", "form", "content", "message"),
    [
        ("text", "text", b"x" * 11, "more than 10 characters"),
        ("tables", "csv", b'a,b\n"' + b"x,y,z\n" * 9, "is a quote never closed?"),
    ],
)
def test_of_a_text_too_long_to_be_one_row_nothing_else_is_reported(
    reader: str,
    form: str,
    content: bytes,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"engine.data.reading.{reader}.MAX_LINE", 10)
    (problem,) = problems(tmp_path, f"r.{form}", content, format=form)
    csv.field_size_limit(1 << 17)  # as it is in a new process

    assert message in problem.message


def test_a_row_may_end_at_blank_lines(tmp_path: Path) -> None:
    plain = b"\n\nKING:\r\nWho is there?\n \t\n\nFOOL:\n  I, my lord.\n\n"

    assert read(tmp_path, "r.txt", plain, split_at="blank_lines") == [
        {"text": "KING:\nWho is there?"},
        {"text": "FOOL:\n  I, my lord."},
    ]
    rows = read_rows(tmp_path / "r.txt", source(split_at="blank_lines"))
    assert [row.origin for row in rows] == ["r.txt:3", "r.txt:7"]
