"""Data files that are none, or that become far more than they are: refused at once, with a code."""

import contextlib
import csv
import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.checks.rows.control_characters import first_marker
from engine.data.reading import text
from engine.data.reading.readers import read_rows
from engine.drafting.source_reading import readings_of
from engine.errors import DataError
from engine.process.limits import processor_time
from engine.sources.archive import StreamLimits
from support.source_files import source

NAMES = (
    "rows.csv",
    "rows.tsv",
    "rows.json",
    "rows.jsonl",
    "rows.parquet",
    "rows.xml",
    "rows.txt",
    "rows.csv.gz",
)


def hole(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a hole of 1 TB": hole,
}


def parquet(folder: Path, column: Any, **more: Any) -> Path:
    pq.write_table(pa.table({"text": column}), path := folder / "rows.parquet", **more)
    return path


def read(path: Path, **more: Any) -> list[Any]:
    return list(read_rows(path, source(**more)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("thing", NO_FILES)
def test_what_is_no_file_of_rows_is_refused_and_not_waited_for(
    name: str, thing: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    NO_FILES[thing](path)

    with pytest.raises(DataError, match="D320"):
        read(
            path,
            format="lines" if name.endswith("txt") else "auto",
            records="row" if name.endswith("xml") else "",
        )


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rows.parquet"])
def test_nor_does_a_draft_wait_for_a_named_pipe(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    found: list[BaseException] = []

    def draft() -> None:
        try:
            readings_of(tmp_path / name)
        except DataError as error:
            found.append(error)

    thread = threading.Thread(target=draft, daemon=True)
    thread.start()
    thread.join(20)

    assert [one.problems[0].code for one in found if isinstance(one, DataError)] == ["D320"]


def test_a_name_with_a_zero_byte_is_typed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="D320"):
        read(tmp_path / "a\0b.csv")


def test_a_parquet_cell_that_becomes_far_more_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path, ["a" * (16 << 20)], compression="zstd")
    monkeypatch.setattr("engine.data.reading.parquet.LIMITS", StreamLimits(free=1 << 20))
    monkeypatch.delattr(pq.ParquetFile, "iter_batches")

    with pytest.raises(DataError, match="D345"):
        read(path)

    assert path.stat().st_size < 10_000


@pytest.mark.parametrize("zone", ["Mars/X", "../../x", "\x1b[2J"])
def test_a_time_zone_that_nobody_knows_is_typed(tmp_path: Path, zone: str) -> None:
    path = parquet(tmp_path, pa.array([2**40], pa.timestamp("us", tz=zone)))

    with pytest.raises(DataError, match="D328"):
        read(path)


def test_of_a_file_of_broken_rows_the_rest_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f"[{'[],' * 50_000}[]]", encoding="utf-8")

    with pytest.raises(DataError) as caught:
        read(path)

    assert caught.value.problems[-1].message == (
        "and 9,981 more problems in this file; the rest of it was not read"
    )


@pytest.mark.parametrize(("length", "rows"), [(900_000, 20_000), (500, 600_000)])
def test_parquet_values_that_stand_in_every_row_are_refused_before_the_first_row(
    length: int, rows: int, tmp_path: Path
) -> None:
    places = pa.array([0] * rows, type=pa.int32())
    column = pa.DictionaryArray.from_arrays(places, pa.array(["a" * length]))
    path = parquet(tmp_path, column, compression="zstd")

    with pytest.raises(DataError, match="D345"):
        next(iter(read_rows(path, source())))


def test_a_parquet_row_longer_than_a_line_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path, ["a", "b" * 100])
    monkeypatch.setattr("engine.data.reading.parquet.MAX_LINE", 99)

    with pytest.raises(DataError, match=r"D336.*row 2"):
        read(path)


def test_many_equal_rows_of_an_honest_file_are_read(tmp_path: Path) -> None:
    path = parquet(tmp_path, ["the same text"] * 50_000, compression="zstd")

    assert len(read(path)) == 50_000


@pytest.mark.parametrize("what", ["bytes that are no UTF-8", "a year beyond 9999"])
def test_a_parquet_value_that_python_cannot_hold_is_typed(what: str, tmp_path: Path) -> None:
    column = pa.array([2**40], type=pa.timestamp("s"))
    if "UTF-8" in what:
        raw = pa.array([b"\xff\xfe"])
        column = pa.Array.from_buffers(pa.string(), 1, raw.buffers())
    path = parquet(tmp_path, column)

    with pytest.raises(DataError, match="D328"):
        read(path)


def test_a_draft_of_rows_that_are_empty_lists_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("[]\n[]\n")

    with pytest.raises(DataError, match="D326"):
        [list(reading.rows()) for reading in readings_of(path)]


def test_a_draft_of_a_long_field_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\n{'a' * 200_000},x\nb,y\n")
    csv.field_size_limit(131_072)  # as it is in a process that has read no table yet

    (reading,) = readings_of(path)

    assert len(list(reading.rows())) == 2


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_name_twice_among_many_is_reported_soon_and_briefly(tmp_path: Path, name: str) -> None:
    names = [f"k{number}" for number in [*range(100_000), 99_999]]
    keys = ",".join(f'"{one}": 1' for one in names)
    (tmp_path / name).write_text(f"{{{keys}}}\n" if "json" in name else ",".join(names) + "\n")

    with pytest.raises(DataError, match="`k99999`") as caught:
        read(tmp_path / name)

    assert len(str(caught.value)) < 1000


def test_a_compressed_table_that_becomes_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "LIMITS", StreamLimits(free=1 << 20))
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"a" * (8 << 20)))

    with pytest.raises(DataError, match="D345"):
        read(path)


def test_a_text_of_open_tags_is_looked_through_soon() -> None:
    with processor_time(2):
        assert first_marker("<s>b</s>" + "a <s>" * 50_000) is None
    assert first_marker("a <s>b</s> c <|im_start|>") == "<|im_start|>"


@pytest.mark.parametrize("name", ["\udcff", "a\0b", "hex", "no-such"])
def test_an_encoding_that_is_none_is_typed(name: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n")

    with pytest.raises(DataError, match="D322"):
        read(tmp_path / "rows.csv", encoding=name)


@pytest.mark.parametrize(
    "content",
    [
        "text,label\rgood,x\rbad,y\r",
        'text,label\n"good",\rx",y\nbad,y\n',
        'text,label\n"good\nbad,y\n',
    ],
)
def test_a_draft_takes_lone_carriage_returns_and_quotes_as_the_reader_does(
    content: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_bytes(content.encode())

    for reading in readings_of(tmp_path / "rows.csv"):
        with contextlib.suppress(DataError):
            list(reading.rows())
