"""Where the pages of a Parquet file are, against what pyarrow says of sound files."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.reading.parquet import (
    DamagedFooterError,
    _first_pages,
    _unpacked_size,
    first_page_sizes,
)

ROWS = [
    {"text": f"row {number}", "n": number, "list": [1.5, None], "map": {"a": True},
     "day": date(2026, 1, 1), "money": Decimal("1.50"), "none": None, "flag": number % 2 == 0}
    for number in range(40)
]  # fmt: skip


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Three row groups with columns of many types, and metadata of every kind."""
    path = tmp_path / "rows.parquet"
    table = pa.Table.from_pylist(ROWS).replace_schema_metadata({"k" * 300: "v" * 300})
    pq.write_table(table, path, row_group_size=15, compression="zstd", write_page_index=True)
    return path


def footer_of(path: Path) -> bytes:
    data = path.read_bytes()
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def test_pages_begin_where_pyarrow_says(sound: Path) -> None:
    metadata = pq.ParquetFile(sound).metadata
    columns = [
        metadata.row_group(group).column(number)
        for group in range(metadata.num_row_groups)
        for number in range(metadata.num_columns)
    ]

    assert [*_first_pages(footer_of(sound))] == [
        one.dictionary_page_offset or one.data_page_offset for one in columns
    ]
    assert len([*first_page_sizes(sound)]) == len(columns) == 3 * 8


def test_the_size_of_a_dictionary_is_that_of_its_values(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["a" * 10_000] * 5}), path, compression="zstd")

    assert [*first_page_sizes(path)] == [10_004]  # four bytes of length before the value


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_footer_that_ends_early_is_damaged(sound: Path, cut: int) -> None:
    with pytest.raises(DamagedFooterError):
        list(_first_pages(footer_of(sound)[:-cut]))


def test_a_very_long_footer_is_not_read(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.reading.parquet.MOST_FOOTER", 1000)

    with pytest.raises(DamagedFooterError, match="longer than 1,000 bytes"):
        list(first_page_sizes(sound))


@pytest.mark.parametrize(
    "footer",
    [
        b"\x49\xfc\xff\xff\xff\xff\x0f",  # row groups: a list of four billion
        b"\x4b" + b"\xff" * 12,  # an endless number
        b"\x1c" * 100,  # a struct in a struct in a struct
        b"\x1f\x00",  # a kind that there is not
        b"\x49\x15\x02\x00",  # row groups that are numbers
    ],
)
def test_a_footer_that_is_none_is_damaged(footer: bytes) -> None:
    with pytest.raises(DamagedFooterError):
        list(_first_pages(footer))


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"\x15\x04\x15\xa8\x08\x15", 532),
        (b"\x15\x04\x15\x02", 1),
        (b"\x19\x04", 0),
        (b"", 0),
        (b"\x15", 0),
    ],
)
def test_the_size_of_a_page_is_read_from_its_header(head: bytes, size: int) -> None:
    assert _unpacked_size(head) == size
