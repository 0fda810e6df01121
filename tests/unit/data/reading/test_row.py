"""Excerpts of a stranger's texts, as messages show them, and rows that are many rows."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.reading.readers import read_rows
from engine.data.reading.row import excerpt
from engine.errors import DataError
from support.source_files import source


@pytest.mark.parametrize("text", ["می\u200cخو", "क्\u200dष", "\U0001f468\u200d\U0001f469"])
def test_a_joiner_is_a_part_of_its_word(text: str) -> None:
    assert excerpt(text) == text


def test_what_a_terminal_obeys_is_shown_as_escapes() -> None:
    assert excerpt("a\x1b[2J\u202eb\u200b\n") == r"a\x1b[2J\u202eb\u200b\n"


def _even(count: int) -> list[str]:
    return [f"row {at % 10} of words" for at in range(count)]


@pytest.mark.parametrize("count", [30, 1500, 60_000])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt", "parquet"])
def test_a_row_that_holds_many_rows_is_refused_by_every_reader(
    tmp_path: Path, form: str, count: int
) -> None:
    place, joined = count * 2 // 3, ";".join(_even(count * 2))
    texts = [*_even(place), joined, *_even(count - place)]
    path = tmp_path / f"r.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps({"text": one}) + "\n" for one in texts))
    else:
        path.write_text("\n".join([*(["text"] if form != "txt" else []), *texts]))

    if len(joined) < 1000 * len(texts[0]):
        assert len(list(read_rows(path, source()))) == len(texts)
        return
    with pytest.raises(DataError) as caught:
        list(read_rows(path, source()))

    (problem,) = caught.value.problems
    line = place + 1 + (form in ("csv", "tsv"))
    origin = f"r.{form}{'#' if form == 'parquet' else ':'}{line}"
    times = len(joined) // len(texts[0])
    assert problem.code == "D349"
    assert f"row {origin} has {len(joined):,} characters, {times:,} times" in problem.message
    assert "the median row (14)" in problem.message


def test_a_long_document_among_many_is_no_mistake_of_reading(tmp_path: Path) -> None:
    texts = [*_even(200_000), "so long " * 2500]
    (tmp_path / "r.txt").write_text("\n".join(texts))

    assert len(list(read_rows(tmp_path / "r.txt", source()))) == len(texts)
