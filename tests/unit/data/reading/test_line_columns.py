"""Lines that are read as columns are the rows, and the problems, that they are one by one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from engine.data import row_order
from engine.data.reading import text as reading
from engine.data.reading.readers import read_batches
from engine.data.reading.row import Row
from engine.errors import DataError
from engine.recipe.model import Source
from support.source_files import source

Found = tuple[list[tuple[str, dict[str, object]]], list[str]]

TEXTS = (
    *("plain words", "", " ", "näh", "日本", "\u2028", 'a "quoted" word', '"', "a,b", "a\tb", "tab\t", "\ufeff"),
    *("two\nlines", "two\r\nlines", "old\rlines", "back\\slash", "{", "}", "[1]", "\x7f", "é" * 300, "x" * 5000),
)  # fmt: skip
VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -7,
    12.5,
    1e300,
    10**20,
    [],
    ["a"],
    {"b": None},
    "1",
    "true",
    "null",
)
BROKEN = (
    *("", " \t", "\r", "[]", "7", '"text"', "null", "{}", "{", '{"text": "a"', '{"text": "a",}', "{'text': 'a'}"),
    *('{"text": "a", "text": "b", "label": "c"}', '{"text": "a\tb", "label": "c"}', '{"text": 01, "label": "c"}'),
    *('{"text": 1e999, "label": "c"}', '{"text": NaN, "label": "c"}', '{"text": "\\ud800", "label": "c"}'),
    *('{"text": "a", "label": "c"} x', '{"text": -, "label": "c"}', '{"text": 1., "label": "c"}', '{"text" "a"}'),
    *('{"label": "c", "text": "a"}', '{"text": "a"}', '{"text": "a", "label": "c", "more": 1}', '{"text": truex}'),
    *(' {"text" : "a" ,\t"label": "c"  } ', '{"text":"a","label":"c"}\r', '{"text": "\\u0041", "label": "c\\n"}'),
)  # fmt: skip
LINES = (
    *("", "\r", " ", "a", "a,b,c", "a,b\r", '"a",b', '"a","b"\r', '"a""b",c', '"a"b,c', 'a"b,c', ' "a",b', '"a" ,b'),
    *('"two', 'lines",b', '"",', '"', ',"', "a,", ",", "a\rb,c", '"a\rb",c', '"a\r', "\u2028,b", "é,日本", '"a"\r,b'),
)  # fmt: skip


def read(path: Path, asked: Source, monkeypatch: pytest.MonkeyPatch, many: int) -> Found:
    """Return the rows that a file has, and what is wrong with it; from so many on they are many."""
    monkeypatch.setattr(row_order, "MANY", many)
    rows: list[Row] = []
    try:
        for some in read_batches(path, asked):
            rows += (some,) if isinstance(some, Row) else some
    except DataError as error:
        return [], [str(problem) for problem in error.problems]
    return [(row.origin, dict(row.values)) for row in rows], []


def assert_same(
    path: Path,
    content: str,
    asked: Source,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str = "utf-8",
) -> Found:
    path.write_bytes(content.encode(encoding))
    one_by_one = read(path, asked, monkeypatch, 10**9)
    as_columns = read(path, asked, monkeypatch, 0)

    assert one_by_one == as_columns
    return as_columns


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some lines: what goes on behind the end of one is read as well."""
    monkeypatch.setattr(reading, "CHUNK", 200)


def json_line(draw: random.Random) -> str:
    values = [draw.choice(TEXTS) if draw.random() < 0.8 else draw.choice(VALUES) for _ in range(2)]
    row = {"text": values[0], "label": values[1]}
    more = {"id": draw.choice(VALUES)} if draw.random() < 0.05 else {}
    separators = draw.choice(((", ", ": "), (",", ":"), (" , ", " :\t")))
    return json.dumps(row | more, ensure_ascii=draw.random() < 0.5, separators=separators)


@pytest.mark.parametrize("seed", range(12))
def test_json_lines(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    lines = [json_line(draw) for _ in range(150)]
    ends = "\r\n" if seed % 3 == 1 else "\n"
    content = ends.join(lines) + ends * (seed % 2)

    found, _ = assert_same(tmp_path / "r.jsonl", content, source(), monkeypatch)

    assert len(found) == 150


@pytest.mark.parametrize("broken", BROKEN)
def test_lines_that_are_no_object_of_texts(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = json.dumps({"text": "fine", "label": "good"})
    content = f"{sound}\n{sound}\n{broken}\n{sound}\n{broken}\n\n{sound}"

    assert_same(tmp_path / "r.jsonl", content, source(), monkeypatch)


@pytest.mark.parametrize("quoting", ["auto", "double", "none"])
@pytest.mark.parametrize("seed", range(40))
def test_tables(seed: int, quoting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    odd = draw.choice((0.0, 0.02, 0.3))
    some = draw.sample(LINES, 6)
    lines = [
        draw.choice(some) if draw.random() < odd else draw.choice(("a,b", '"a, c",b', "a b,"))
        for _ in range(120)
    ]
    ends = draw.choice(("\n", "\r\n"))
    content = ends.join(["text,label", *lines]) + ends * (seed % 2)

    assert_same(tmp_path / "r.csv", content, source(quoting=quoting), monkeypatch)


@pytest.mark.parametrize("name", ["r.csv", "r.tsv"])
def test_tables_of_any_text(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    mark = "," if name == "r.csv" else "\t"
    quoted = [f'"{text.replace('"', '""')}"' for text in TEXTS]
    rows = [f"{draw.choice(quoted)}{mark}{draw.choice(('x', 'y'))}" for _ in range(200)]
    content = "\ufeff" + "\n".join([f"text{mark}label", *rows])

    assert_same(tmp_path / name, content, source(), monkeypatch)
    assert_same(tmp_path / name, content, source(encoding="utf-16"), monkeypatch, "utf-16")


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_what_is_no_text_is_refused_alike(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "a,b" if name == "r.csv" else '{"text": "a", "label": "b"}'
    content = "\n".join([*[line] * 90, "caf\xe9,b", *[line] * 90])

    _, problems = assert_same(tmp_path / name, content, source(), monkeypatch, "latin-1")

    assert "is not utf-8" in problems[-1]


def test_columns_named_twice_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for header in ("text,text", "text,", ",label", "text"):
        assert_same(tmp_path / "r.csv", "\n".join([header, *["a,b"] * 99]), source(), monkeypatch)
