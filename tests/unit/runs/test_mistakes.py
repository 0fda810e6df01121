"""Wrong rows as CSV: whole, and with nothing that a spreadsheet computes."""

import csv
import io

import pytest

from engine.evidence import Mistake
from engine.runs.compare import as_csv

LONG = "a word, " * 1000 + '"quoted"\nand a second line'


def read(text: str) -> dict[str, str]:
    row = Mistake(
        id="=id", origin="rows.csv:7", text=text, expected="a", answer="b", confidence=0.5
    )
    (found,) = csv.DictReader(io.StringIO(as_csv([row]), newline=""))
    return found


def test_a_long_text_of_several_lines_is_read_back_whole() -> None:
    assert read(LONG) == {
        "id": "'=id",
        "origin": "rows.csv:7",
        "text": LONG,
        "expected": "a",
        "answer": "b",
        "confidence": "0.5",
        "differs": "",
    }


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t"])
def test_a_text_that_begins_as_a_formula_is_not_one(begin: str) -> None:
    assert read(f"{begin}cmd|' /C calc'!A0")["text"] == f"'{begin}cmd|' /C calc'!A0"
