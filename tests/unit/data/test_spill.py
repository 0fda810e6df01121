"""Rows that are spilled come back as they were."""

from array import array
from pathlib import Path

import pytest

from engine.data.row_index import Spill, SpilledRow, Texts

ROWS = (
    SpilledRow("a.csv:1", "a text", "good", ("good",)),
    SpilledRow("a.csv:2", "half \ud83d a pair, \r\n\u2028 and more", "", (), "group"),
    SpilledRow("a.csv:3", "a zero \0 byte", "x\0", ("a\0b", "c"), "\0", {"a": [1, None, "\0é"]}),
    SpilledRow("a.csv:4", "", "", ("", "b"), "", {"messages": [{"content": "\ud83d"}]}),
    SpilledRow("", "\0", ""),
    SpilledRow("\0", "é", "日本", ("ß",)),
)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_comes_back_as_it_was(row: SpilledRow, tmp_path: Path) -> None:
    spill = Spill(tmp_path)
    for one in (ROWS[0], row, ROWS[1]):
        spill.add(one)

    assert spill[1] == row
    assert (spill[2], spill[0]) == (ROWS[1], ROWS[0])
    assert list(Texts(spill, array("I", [1, 0]))) == [row.input, "a text"]
    spill.add(row)
    assert len(spill) == 4
    assert spill[3] == row
