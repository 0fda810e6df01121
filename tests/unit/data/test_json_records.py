"""Rows inside a JSON document, and rows made of the items of a list."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.reading.readers import read_rows
from support.source_files import codes, origins, problems, read, source

DOCUMENT = {
    "version": {"number": [1, 2]},
    "data": {"train": [{"a": 1}, {"a": 2}], "test": [["x", "y"]]},
    "other": [{"a": 9}],
}


def document(**changes: Any) -> bytes:
    return json.dumps({**DOCUMENT, **changes}, indent=1).encode()


def test_records_names_the_array_of_the_rows(tmp_path: Path) -> None:
    content = document()

    assert read(tmp_path, "r.json", content, records="data.train") == [{"a": 1}, {"a": 2}]
    assert read(tmp_path, "r.json", content, records="other") == [{"a": 9}]
    assert origins(tmp_path, "r.json", content, records="data.train") == [
        "r.json#data.train:1",
        "r.json#data.train:2",
    ]


def test_header_names_the_values_of_records_that_are_arrays(tmp_path: Path) -> None:
    rows = read(tmp_path, "r.json", document(), records="data.test", header=("text", "label"))

    assert rows == [{"text": "x", "label": "y"}]


def test_a_key_with_a_dot_in_it_is_found(tmp_path: Path) -> None:
    content = document(**{"a.b": {"c.d": [{"e": 1}]}})

    assert read(tmp_path, "r.json", content, records="a.b.c.d") == [{"e": 1}]


def test_the_only_array_of_an_object_needs_no_name(tmp_path: Path) -> None:
    content = json.dumps({"meta": {"tags": [1]}, "rows": [{"a": 1}], "n": 1}).encode()

    assert read(tmp_path, "r.json", content) == [{"a": 1}]


@pytest.mark.parametrize(
    ("content", "records", "code", "words"),
    [
        (b'{"a": [], "b": [{"x": 1}]}', "", "D333", ("`a`, `b`", "records: a")),
        (b'{"a": {"b": {"c": [{"x": 1}]}}}', "", "D333", ("`a.b.c`", "records: a.b.c")),
        (b'{"train": [{"x": 1}], "test": []}', "trian", "D334", ("not in the file", "`train`")),
        (b'{"a": {"b": [{"x": 1}]}}', "a", "D334", ("an object, not an array",)),
        (b'{"a": 3}', "a", "D334", ("a single value, not an array",)),
        (b'[{"x": 1}]', "a", "D334", ("an array of rows", "delete `records`")),
        (b'{"a.b": [], "a": {"b": []}}', "a.b", "D334", ("stands for 2 arrays",)),
    ],
)
def test_an_array_that_is_not_clear_is_reported_with_those_to_choose_from(
    tmp_path: Path, content: bytes, records: str, code: str, words: tuple[str, ...]
) -> None:
    problem = problems(tmp_path, "r.json", content, records=records)[-1]

    assert problem.code == code
    assert all(word in f"{problem.message} {problem.hint}" for word in words)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"a": [{"x": 1}],\n "b": NaN}', 2),
        (b'{"a": [{"x": 1}],\n "b": {"c": 1, "c": 2}}', 2),
        (b'{"a": [{"x": 1}],\n "b": [1,\n ]}', 3),
        (b'{"a": [{"x": 1}]\n "b": 1}', 2),
        (b'{"a": [{"x": 1}]}\n}', 2),
        (b'{"a": [{"x": 1}],\n', 2),
        (b'{"a": [{"x": 1}],\n "b": [' + b"[" * 100_000, 2),
    ],
)
def test_what_stands_beside_the_rows_is_held_to_the_same_rules(
    tmp_path: Path, content: bytes, line: int
) -> None:
    found = codes(tmp_path, "r.json", content, records="a")

    assert found[-1][0] in {"D325", "D326"}
    assert found[-1][1] == line


def test_an_early_mistake_is_reported_without_reading_on(tmp_path: Path) -> None:
    content = b'[{"a": 1},\n{"a" 2},\n' + b'{"a": 3},\n' * 300_000
    (problem,) = problems(tmp_path, "r.json", content)

    assert problem.place is not None
    assert problem.place.line == 2
    assert "':' delimiter" in problem.message


def test_objects_nested_beyond_what_is_walked_are_read(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"d": deep}

    content = json.dumps({"deep": deep, "a": [{"x": 1}]}).encode()

    assert read(tmp_path, "r.json", content) == [{"x": 1}]


def test_explode_gives_a_row_for_each_item(tmp_path: Path) -> None:
    rows = [{"id": 1, "s": [{"t": "x"}, {"t": "y"}]}, {"id": 2, "s": []}, {"id": 3, "s": ["z"]}]
    content = json.dumps(rows).encode()

    assert read(tmp_path, "r.json", content, explode="s") == [
        {"id": 1, "s": {"t": "x"}},
        {"id": 1, "s": {"t": "y"}},
        {"id": 3, "s": "z"},
    ]
    assert origins(tmp_path, "r.json", content, explode="s") == [
        "r.json#1[1]",
        "r.json#1[2]",
        "r.json#3[1]",
    ]


def test_explode_reaches_into_objects_and_lists_and_leaves_the_row_alone(tmp_path: Path) -> None:
    row = {"a": {"b": [{"c": [1, 2]}, "kept"]}, "a.b.1": "kept too"}
    content = json.dumps(row).encode()

    assert read(tmp_path, "r.jsonl", content, explode="a.b.0.c") == [
        {"a": {"b": [{"c": 1}, "kept"]}, "a.b.1": "kept too"},
        {"a": {"b": [{"c": 2}, "kept"]}, "a.b.1": "kept too"},
    ]


def test_rows_without_a_list_to_explode_are_reported_with_their_type(tmp_path: Path) -> None:
    content = b'{"s": [1]}\n{"s": "x"}\n{"s": null}\n{"t": 1}\n'
    found = problems(tmp_path, "r.jsonl", content, explode="s")

    assert [problem.code for problem in found] == ["D332"] * 3
    assert "row r.jsonl:2: `s` is text, not a list" in found[0].message
    assert "row r.jsonl:3: `s` is null" in found[1].message
    assert "row r.jsonl:4 has no column `s`" in found[2].message


class Notes:
    """Collects the notes beside the rows."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Take no notice."""

    def note(self, text: str) -> None:
        """Keep the text."""
        self.texts.append(text)


def test_empty_lists_are_counted(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"s": []}\n{"s": [1]}\n{"s": []}\n')
    notes = Notes()

    rows = list(read_rows(tmp_path / "r.jsonl", source(explode="s"), progress=notes))

    assert len(rows) == 1
    assert notes.texts == ["r.jsonl: 2 rows hold an empty list in s and give no rows"]


def test_rows_that_explode_repeats_stay_within_bounds_of_their_file(tmp_path: Path) -> None:
    """A long text beside a long list stands in the file once, and in each of its rows."""
    row = {"text": "x" * 1_000_000, "s": list(range(1000))}

    assert codes(tmp_path, "r.jsonl", json.dumps(row).encode(), explode="s") == [("D345", None)]


def test_a_long_list_with_little_beside_it_is_exploded(tmp_path: Path) -> None:
    """33 MB: beyond what is free of the limit."""
    items = ["x" * 400] * 40_000
    content = json.dumps([{"a": 1, "s": items}, {"a": 2, "s": items}]).encode()

    assert len(read(tmp_path, "r.json", content, explode="s")) == 80_000
