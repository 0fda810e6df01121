"""A file of any length is read in a few megabytes."""

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.reading.readers import read_rows
from support.source_files import source

pytestmark = pytest.mark.thorough

ROWS = 16_000
SENTENCE = "the quick brown fox jumps over the lazy dog, and it does so again and again " * 12
MOST = 12 << 20
"""Bytes held at once, of files of 14 MB and more."""


def rows() -> Iterator[dict[str, Any]]:
    for number in range(ROWS):
        yield {"text": f"{number} {SENTENCE}", "label": "good" if number % 2 else "bad"}


def as_lines(make: Callable[[dict[str, Any]], str], *, head: str = "", tail: str = "") -> bytes:
    return (head + "".join(f"{make(row)}\n" for row in rows()) + tail).encode()


def array(head: str, tail: str) -> bytes:
    return (head + ",".join(json.dumps(row) for row in rows()) + tail).encode()


FILES: dict[str, tuple[Callable[[], bytes], dict[str, Any]]] = {
    "r.jsonl": (lambda: as_lines(json.dumps), {}),
    "r.json": (lambda: array("[", "]"), {}),
    "only.json": (lambda: array('{"n": 1, "rows": [', "]}"), {}),
    "inside.json": (lambda: array('{"a": {"b": [', '], "c": 1}}'), {"records": "a.b"}),
    "beside.json": (lambda: array('{"a": [', '], "b": [{"c": 1}]}'), {"records": "b"}),
    "r.csv": (
        lambda: as_lines(lambda row: '"{text}",{label}'.format(**row), head="text,label\n"),
        {},
    ),
    "r.tsv": (
        lambda: as_lines(lambda row: "{text}\t{label}".format(**row), head="text\tlabel\n"),
        {},
    ),
    "r.txt": (lambda: as_lines(lambda row: str(row["text"])), {}),
    "r.xml": (
        lambda: as_lines(
            lambda row: "<r><label>{label}</label>{text}</r>".format(**row),
            head="<all>",
            tail="</all>",
        ),
        {"records": "r"},
    ),
    "r.jsonl.gz": (lambda: gzip.compress(as_lines(json.dumps), 1), {}),
}


def peak(path: Path, **changes: Any) -> tuple[int, int]:
    """Return how many rows were read, and how many bytes were held at most."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(path, source(**changes)))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FILES)
def test_a_long_file_is_not_held(tmp_path: Path, name: str) -> None:
    make, changes = FILES[name]
    (tmp_path / name).write_bytes(make())

    count, held = peak(tmp_path / name, **changes)

    assert count == (1 if name == "beside.json" else ROWS)
    assert held < MOST


def test_a_long_parquet_file_of_one_row_group_is_not_held(tmp_path: Path) -> None:
    texts = [f"{number:09} " + SENTENCE * 2 for number in range(40_000)]
    table = pa.table({"text": texts})
    pq.write_table(
        table,
        tmp_path / "r.parquet",
        row_group_size=40_000,
        compression="none",
        use_dictionary=False,
    )
    size = (tmp_path / "r.parquet").stat().st_size
    del table
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0
    for _ in read_rows(tmp_path / "r.parquet", source()):
        most = max(most, pool.bytes_allocated() - before)

    assert size > 70 << 20
    assert most < MOST
