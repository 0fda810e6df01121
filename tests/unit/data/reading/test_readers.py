"""Rows of files, whole and broken."""

import gzip
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.reading.readers import read_rows
from engine.errors import DataError
from engine.recipe.text.paths import format_of
from support.source_files import codes, origins, problems, read, source

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": partial(pa.compress, codec="zstd", asbytes=True),
}
TWO = [{"text": "fine", "label": "good"}, {"text": "näh", "label": "bad"}]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.jsonl", '{"text":"fine","label":"good"}\n\n{"text":"näh","label":"bad"}'),
        ("r.json", json.dumps(TWO, indent=1)),
        ("r.json", json.dumps({"version": 1, "rows": TWO})),
        ("r.csv", "text,label\r\nfine,good\r\nnäh,bad\r\n"),
        ("r.csv", "\ufefftext,label\nfine,good\nnäh,bad"),
        ("r.csv", "text,label\rfine,good\rnäh,bad\r"),
        ("r.tsv", "text\tlabel\nfine\tgood\nnäh\tbad\n"),
    ],
)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, text: str, suffix: str
) -> None:
    assert read(tmp_path, name + suffix, PACK[suffix](text.encode())) == TWO


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(TWO), tmp_path / "r.parquet")
    rows = list(read_rows(tmp_path / "r.parquet", source()))

    assert [dict(row.values) for row in rows] == TWO
    assert [row.origin for row in rows] == ["r.parquet#1", "r.parquet#2"]


def test_compression_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    content = gzip.compress(b"text,label\na,b\n")

    assert read(tmp_path, "r.csv", content) == [{"text": "a", "label": "b"}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.CSV", "csv"),
        ("a.tsv.gz", "tsv"),
        ("a.ndjson.zst", "jsonl"),
        ("a.pq", "parquet"),
        ("a.txt.bz2", "lines"),
        ("a.xml.gz", "xml"),
        ("a.md", None),
        ("a", None),
        ("a.gz", None),
    ],
)
def test_the_name_tells_the_format(name: str, expected: str | None) -> None:
    assert format_of(name, "auto") == expected
    assert format_of(name, "tsv") == "tsv"


def test_header_names_the_columns_of_a_file_without_one(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.txt", b"good\tfine\n", format="tsv", header=("label", "text"))

    assert rows == [{"label": "good", "text": "fine"}]


def test_header_names_the_values_of_json_arrays(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.json", b'[["fine", "good"]]', header=("text", "label"))

    assert rows == [{"text": "fine", "label": "good"}]


def test_a_quoted_field_keeps_its_line_breaks_and_the_row_its_first_line(tmp_path: Path) -> None:
    content = b'text,label\r\n"one\r\ntwo\n\nthree",a\r\n"say ""hi""",b\r\n'

    assert read(tmp_path, "r.csv", content)[0]["text"] == "one\r\ntwo\n\nthree"
    assert read(tmp_path, "r.csv", content)[1]["text"] == 'say "hi"'
    assert origins(tmp_path, "r.csv", content) == ["r.csv:2", "r.csv:6"]


def test_another_delimiter_divides_the_columns(tmp_path: Path) -> None:
    content = b'text;label\n"a; b, c";x\n'

    assert read(tmp_path, "r.csv", content, delimiter=";") == [{"text": "a; b, c", "label": "x"}]


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    assert read(tmp_path, "r.csv", b",a\n0,x\n") == [{"column_1": "0", "a": "x"}]


def test_tsv_takes_quotes_as_they_are(tmp_path: Path) -> None:
    content = b'label\ttext\nham\t"unclosed \r quote\n'

    assert read(tmp_path, "r.tsv", content) == [{"label": "ham", "text": '"unclosed \r quote'}]


QUOTED_TSV = b'text\tlabel\nfine\tham\n"say ""x"""\tham\n"a b"\tspam\n'
"""As pandas and spreadsheets write cells with quotes."""


def test_tsv_that_was_written_with_quotes_is_not_read_without(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "r.tsv", QUOTED_TSV)

    assert (problem.code, problem.place and problem.place.line) == ("D324", 3)
    assert "add `quoting: double` to the source" in (problem.hint or "")
    quoted, plain = (
        read(tmp_path, "r.tsv", QUOTED_TSV, quoting=one)[1] for one in ("double", "none")
    )
    assert (quoted["text"], plain["text"]) == ('say "x"', '"say ""x"""')


@pytest.mark.parametrize(
    "rows",
    [
        b'"say ""x"""\tham\n5" pipe\tham\n',  # a cell that is not quoted
        b'"fine"\tham\n',  # none is doubled
        b'""\tham\n',
    ],
)
def test_quotes_that_need_not_be_those_of_a_writer_are_text(tmp_path: Path, rows: bytes) -> None:
    assert read(tmp_path, "r.tsv", b"text\tlabel\n" + rows)[0]["text"] in rows.decode()


def test_quotes_are_seen_in_many_rows_too(tmp_path: Path) -> None:
    many = b"text\tlabel\n" + b"fine\tham\n" * 100_000
    (problem,) = problems(tmp_path, "r.tsv", many + b'"say ""x"""\tham\n')

    assert problem.place is not None
    assert problem.place.line == 100_002


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    content = b"text,label\n  spaced ,007\nNaN,1e3\nnull,\n"

    assert read(tmp_path, "r.csv", content) == [
        {"text": "  spaced ", "label": "007"},
        {"text": "NaN", "label": "1e3"},
        {"text": "null", "label": ""},
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,2\n3\n4,5,6\n", [("D324", 3), ("D324", 4)]),
        (b"a,b\n1,2,\n3,4,\n5,6,\n", [("D324", 2)]),
        (b"a,b\n1,2,\n3,4,\n5,6\n", [("D324", 2), ("D324", 3)]),
        (b"a,b\n1,2,\n3,4,\n5,6,7\n", [("D324", 2), ("D324", 3), ("D324", 4)]),
        (b"a,a\n1,2\n", [("D324", 1)]),
        (b"a;b\n1;2\n", [("D324", 1)]),
        (b",\n1,2\n", [("D324", 1)]),
        (b"a\tb\n1\t2\n", [("D324", 1)]),
        (b'a,b\n1,2\n"3,4\n5,6\n', [("D324", 3)]),
        (b'a,b\n"1"x,2\n3,4\n', [("D324", 2)]),
        (b"a,b\n", [("D321", None)]),
        (b"", [("D321", 1)]),
        (b"\n\n", [("D321", None)]),
        (b"a,b\nx,\xff\n", [("D322", 2)]),
        (b"\xff\xfea\x00,\x00b\x00", [("D322", 1)]),
        (b"a\x00,\x00b\x00\n\x00c\x00", [("D322", 1)]),
        (b"a,b\nc,d\x00\n", [("D323", 2)]),
        (b"PK\x03\x04rest", [("D323", None)]),
        (b"SQLite format 3\x00rest", [("D323", 1)]),
        (bytes(257) + b"ustar", [("D323", 1)]),
        (gzip.compress(b"a,b\n" * 9000)[:-20], [("D329", None)]),
        (b"\x28\xb5\x2f\xfdnot really", [("D329", None)]),
    ],
)
def test_broken_tables_are_reported_with_their_lines(
    tmp_path: Path, content: bytes, expected: list[tuple[str, int | None]]
) -> None:
    assert codes(tmp_path, "r.csv", content) == expected


@pytest.mark.parametrize(
    ("name", "sign", "word", "rows"),
    [("r.csv", ",", "comma", 30), ("r.tsv", "\t", "tab", 30), ("r.csv", ",", "comma", 10_500)],
)
def test_a_delimiter_at_the_end_of_every_row_is_one_error(
    tmp_path: Path, name: str, sign: str, word: str, rows: int
) -> None:
    content = f"a{sign}b\n" + f"1{sign}2{sign}\n" * rows

    (problem,) = problems(tmp_path, name, content.encode())

    assert problem.message == f"every row ends with a {word} that the header has not"
    assert problem.hint == "take it off the rows, or add one to the end of the header"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "D325"),
        (b"{'a': 1}", "D325"),
        (b'{"a": 1} x', "D325"),
        (b'{"a": "\t"}', "D325"),
        (b'{"a": 01}', "D325"),
        (b"[1]", "D326"),
        (b"3", "D326"),
        (b"null", "D326"),
        (b'{"a": NaN}', "D326"),
        (b'{"a": -Infinity}', "D326"),
        (b'{"a": 1e999}', "D326"),
        (b'{"a": 1, "a": 2}', "D326"),
        (b'{"a": {"b": 1, "b": 1}}', "D326"),
        (b'{"a": "\\ud800"}', "D326"),
        (b'{"a": ' + b"9" * 5000 + b"}", "D326"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "D326"),
    ],
)
def test_json_that_is_broken_or_ambiguous_is_reported_with_its_line(
    tmp_path: Path, line: bytes, code: str
) -> None:
    lines = b'{"a": "x"}\n' + line + b'\n{"a": "y"}\n'
    array = b'[{"a": "x"},\n' + line + b',\n{"a": "y"}]'

    assert codes(tmp_path, "r.jsonl", lines) == [(code, 2)]
    assert codes(tmp_path, "r.json", array)[0] == (code, 2)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[", "D325"),
        (b'[{"a": 1}', "D325"),
        (b'[{"a": 1},]', "D325"),
        (b'[{"a": 1} {"a": 2}]', "D325"),
        (b'[{"a": 1}] x', "D325"),
        (b"[]", "D321"),
        (b"  ", "D321"),
        (b"3", "D326"),
        (b'{"a": 1}', "D326"),
        (b'{"a": [], "b": []}', "D333"),
        (b'{"a": {"b": []}}', "D333"),
        (b'{"a": [{"b": 1}]', "D325"),
        (b'{"a": [], "a": 1}', "D326"),
        (b'{"a" 1}', "D325"),
        (b"{a: 1}", "D325"),
        (b'{"a": 1,}', "D325"),
    ],
)
def test_json_files_that_are_no_array_of_rows_are_reported(
    tmp_path: Path, content: bytes, code: str
) -> None:
    assert codes(tmp_path, "r.json", content)[0][0] == code


def test_json_values_that_cross_the_pieces_that_are_read_stay_whole(tmp_path: Path) -> None:
    rows = [{"text": "é" * 70_000 + str(number), "label": "x"} for number in range(30)]

    assert read(tmp_path, "r.json", json.dumps(rows, ensure_ascii=False).encode()) == rows
    assert read(tmp_path, "r.json", json.dumps(rows, indent=2).encode()) == rows


def test_text_that_crosses_the_pieces_that_are_read_stays_whole(tmp_path: Path) -> None:
    lines = [json.dumps({"a": "é𝄞" * 3000 + str(n)}, ensure_ascii=False) for n in range(200)]

    rows = read(tmp_path, "r.jsonl", "\n".join(lines).encode())

    assert rows == [json.loads(line) for line in lines]


def test_a_wrong_byte_is_reported_with_its_offset_and_a_fix(tmp_path: Path) -> None:
    content = b"a,b\n" + b"x,y\n" * 400_000 + b"caf\xe9,z\n"
    (problem,) = problems(tmp_path, "r.csv", content)

    assert problem.code == "D322"
    assert "byte 0xe9 at offset 1,600,007" in problem.message
    assert problem.hint is not None
    assert "encoding: cp1252" in problem.hint
    assert read(tmp_path, "r.csv", content, encoding="latin-1")[-1] == {"a": "café", "b": "z"}


def test_a_character_that_the_end_cuts_off_is_reported(tmp_path: Path) -> None:
    assert codes(tmp_path, "r.csv", "a,b\nx,é".encode()[:-1]) == [("D322", 2)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encodings_are_read_when_they_are_named(tmp_path: Path, encoding: str) -> None:
    content = "text,label\nfine,good\n".encode(encoding)

    assert read(tmp_path, "r.csv", content, encoding=encoding) == [TWO[0]]


def test_twenty_problems_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    found = problems(tmp_path, "r.csv", b"a,b\n" + b"1\n" * 1234)

    assert len(found) == 21
    assert found[-1].message == "and 1,214 more problems in this file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "r.csv").chmod(0)
    with pytest.raises(DataError, match="permission denied"):
        list(read_rows(tmp_path / "r.csv", source()))


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.parquet"])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"D320.*no such file"):
        list(read_rows(tmp_path / name, source()))


def test_an_unknown_suffix_asks_for_the_format(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "r.data", b"a,b\n1,2\n")

    assert problem.code == "D327"
    assert problem.hint is not None
    assert "format: " in problem.hint


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "D321"), (b"a,b\n", "D328"), (b"PAR1 cut off", "D328"), (gzip.compress(b"x"), "D328")],
)
def test_a_broken_parquet_file_is_reported(tmp_path: Path, content: bytes, code: str) -> None:
    assert codes(tmp_path, "r.parquet", content) == [(code, None)]


ROW = '{"text": "a", "label": "b"}'


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("r.jsonl", f"[{ROW}, {ROW}]\n", "`format: json`"),
        ("r.jsonl", f"[\n{ROW}\n]\n", "`format: json`"),
        ("r.jsonl", f"{ROW},\n{ROW}\n", "take the comma off the end of each line"),
        ("r.jsonl", '["a", "b"]\n', "`header: [...]`"),
        ("r.json", f"{ROW}\n{ROW}\n", "`format: jsonl`"),
        ("r.csv", "PAR1\0\0", "`format: parquet`"),
        ("r.csv", "text,label\none, two,b\n", "stands in quotes"),
        ("r.tsv", 'text\tlabel\n"one\ttwo"\tb\n', "write `quoting: double`"),
        ("r.csv", 'text,label\n"one "two" three",b\n', "is written twice"),
        ("r.jsonl", "{'text': 'a', 'label': 'b'}\n", "write each row with json.dumps"),
    ],
)
def test_a_file_of_another_layout_than_it_says_is_reported_with_the_fix(
    tmp_path: Path, name: str, content: str, hint: str
) -> None:
    first = problems(tmp_path, name, content.encode())[0]

    assert first.hint is not None
    assert hint in first.hint
