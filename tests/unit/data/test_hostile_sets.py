"""Published collections of hostile files: exact values, or a refusal that says why."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.reading.readers import read_rows
from engine.data.row_index import TextColumn
from engine.errors import DataError, Problem
from support.source_files import read, source

OTHER_VALUES = {
    # Its JSON names another phone number (1234567890) than the table (2095257564).
    "location_coordinates",
    # Its JSON says \r\n, its table was stored with \n; we give what stands in the file.
    "newlines_crlf",
}


def rows_of(path: Path, **changes: Any) -> list[dict[str, Any]]:
    return [dict(row.values) for row in read_rows(path, source(**changes))]


def test_the_csv_spectrum_is_read_as_its_json_says(shared_data: Path) -> None:
    folder = shared_data / "csv_spectrum"
    differs = {}
    for path in sorted((folder / "csvs").glob("*.csv")):
        expected = json.loads((folder / "json" / f"{path.stem}.json").read_text("utf-8"))
        if rows_of(path) != expected:
            differs[path.stem] = rows_of(path)

    assert set(differs) == OTHER_VALUES
    assert differs["location_coordinates"][0]["Contact Phone Number"] == "2095257564"
    assert differs["newlines_crlf"][1]["a"] == "Once upon \na time"


def judged(path: Path) -> tuple[list[dict[str, Any]], tuple[Problem, ...]]:
    try:
        return rows_of(path, format="json"), ()
    except DataError as error:
        return [], error.problems


def is_no_row(problem: Problem) -> bool:
    words = ("not an object", "not an array of rows", "without an array of rows", "has no rows")
    return any(word in problem.message for word in words)


def test_every_right_file_of_the_json_test_suite_is_read_or_is_no_row(shared_data: Path) -> None:
    refused: Counter[str] = Counter()
    for path in sorted((shared_data / "json_test_suite" / "test_parsing").glob("y_*.json")):
        _, problems = judged(path)
        if problems and not all(map(is_no_row, problems)):
            refused[path.stem] += 1
            # Two values under one key mean one thing to one program and another to the next.
            assert all("stands twice in one object" in problem.message for problem in problems)

    assert set(refused) == {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}


def test_every_wrong_file_of_the_json_test_suite_is_refused_with_its_line(
    shared_data: Path,
) -> None:
    paths = sorted((shared_data / "json_test_suite" / "test_parsing").glob("n_*.json"))
    for path in paths:
        rows, problems = judged(path)
        broken = [problem for problem in problems if not is_no_row(problem)]

        assert rows == [], path.name
        assert broken, path.name
        for problem in broken:
            assert problem.place is not None
            assert (problem.place.file, problem.place.line is not None) == (path.name, True)

    assert len(paths) == 188


def test_the_free_files_of_the_json_test_suite_do_not_crash(shared_data: Path) -> None:
    for path in sorted((shared_data / "json_test_suite" / "test_parsing").glob("i_*.json")):
        judged(path)


def test_right_and_wrong_json_lines_are_distinguished_the_same_way(
    shared_data: Path, tmp_path: Path
) -> None:
    for path in sorted((shared_data / "json_test_suite" / "test_parsing").glob("[ny]_*.json")):
        content = path.read_bytes()
        if b"\n" in content or not content.strip():
            continue
        (tmp_path / "r.jsonl").write_bytes(b'{"a": ' + content + b"}\n")
        try:
            rows_of(tmp_path / "r.jsonl")
            wrong = path.name[0] == "n"
        except DataError as error:
            wrong = path.name[0] == "y" and "twice" not in str(error)
        assert not wrong, path.name


@pytest.mark.parametrize("name", ["in-the-wild", "negative", "synthetic", "known-failures"])
def test_wrongly_decoded_text_is_read_as_it_stands(shared_data: Path, name: str) -> None:
    path = shared_data / "ftfy_mojibake" / f"{name}.json"

    assert rows_of(path) == json.loads(path.read_text("utf-8"))


@pytest.fixture
def naughty(shared_data: Path) -> list[str]:
    """Strings that break programs."""
    strings: list[str] = json.loads(
        (shared_data / "naughty_strings" / "blns.json").read_text("utf-8")
    )
    return strings


def table(delimiter: str) -> Callable[[list[dict[str, str]]], bytes]:
    def write(rows: list[dict[str, str]]) -> bytes:
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(
            stream, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue().encode()

    return write


def json_lines(rows: list[dict[str, str]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def json_array(rows: list[dict[str, str]]) -> bytes:
    return json.dumps(rows).encode()


def parquet(rows: list[dict[str, str]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "r.csv": table(","),
    "r.tsv": table("\t"),
    "r.jsonl": json_lines,
    "r.json": json_array,
    "r.parquet": parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_naughty_strings_pass_as_texts_and_labels(
    naughty: list[str], tmp_path: Path, name: str
) -> None:
    rows = [
        {"text": text, "label": label} for text, label in zip(naughty, naughty[::-1], strict=True)
    ]

    assert read(tmp_path, name, WRITERS[name](rows), quoting="double") == rows


@pytest.mark.parametrize("name", WRITERS)
def test_naughty_strings_pass_as_names_of_columns(
    naughty: list[str], tmp_path: Path, name: str
) -> None:
    named = dict.fromkeys(text for text in naughty if text.strip())
    rows = [{column: str(number) for number, column in enumerate(named)}]

    assert read(tmp_path, name, WRITERS[name](rows), quoting="double") == rows


def test_naughty_strings_pass_as_lines(naughty: list[str], tmp_path: Path) -> None:
    lines = [text for text in naughty if "\n" not in text and not text.endswith("\r")]
    (tmp_path / "r.txt").write_bytes("\n".join([*lines, "last"]).encode())

    assert [row["text"] for row in rows_of(tmp_path / "r.txt")] == [*lines, "last"]


def test_texts_of_any_characters_come_back_while_others_are_added(tmp_path: Path) -> None:
    odd = [
        "",
        "a\ud800b",
        "\udfff",
        "\0",
        "a\0\0b",
        "\r\n",
        "\n",
        "\r",
        "\u2028\x85",
        "é\U0001f600",
    ]
    column, texts = TextColumn(tmp_path), [text * count for count in (1, 700) for text in odd]
    for row, text in enumerate(texts):
        column.append(text)
        assert (column[row], column[row // 2]) == (text, texts[row // 2])

    assert [column[row] for row in reversed(range(len(column)))] == texts[::-1]
