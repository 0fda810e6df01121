"""Workbooks as rows, and those that would take too much memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from engine.drafting.workbooks import rows_of_workbook
from engine.errors import DataError

SPACE = "urn:oasis:names:tc:opendocument:xmlns"
REPEATED = "table:number-columns-repeated"
CELL = f'<table:table-cell {REPEATED}="{{}}" office:value-type="{{}}"{{}}<text:p>{{}}</text:p></table:table-cell>'
GAP = f'<table:table-cell {REPEATED}="16000"/>'


def ods(path: Path, rows: str) -> Path:
    spaces = " ".join(f'xmlns:{one}="{SPACE}:{one}:1.0"' for one in ("office", "table", "text"))
    sheet = f'<office:spreadsheet><table:table table:name="Sheet1">{rows}</table:table></office:spreadsheet>'
    content = f"<office:document-content {spaces}><office:body>{sheet}</office:body></office:document-content>"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr("META-INF/manifest.xml", "<manifest/>")
        book.writestr("content.xml", content)
    return path


def cell(text: str, repeated: int = 1) -> str:
    return CELL.format(repeated, "string", ">", text)


def row(*cells: str, repeated: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeated}">{"".join(cells)}</table:table-row>'


def test_a_sheet_of_opendocument_is_read(tmp_path: Path) -> None:
    day = CELL.format(1, "date", ' office:date-value="2025-01-31">', "31 Jan")
    rows = [cell("text") + cell("when"), *(cell(f"t{n}") + day for n in range(4))]
    body = "".join(map(row, rows)) + row(GAP, repeated=9**6)

    found, _ = rows_of_workbook(ods(tmp_path / "rows.ods", body))

    assert found[1:3] == [{"text": f"t{n}", "when": "2025-01-31"} for n in (1, 2)]


@pytest.mark.parametrize(
    "rows",
    [
        row(cell("a", 16_000), repeated=1_000_000),
        row(cell("a")) + row(GAP, repeated=1_000_000) + row(GAP, cell("b")),
        row(cell("a", 900), repeated=900) * 20,
    ],
)
def test_few_bytes_that_are_many_cells_are_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(DataError, match="5,000,000 cells"):
        rows_of_workbook(ods(tmp_path / "rows.ods", rows))
