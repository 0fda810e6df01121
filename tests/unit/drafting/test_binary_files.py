"""Workbooks that would take too much memory."""

import zipfile
from pathlib import Path

import pytest

from engine.drafting.binary_files import rows_of_workbook
from engine.errors import DataError
from support.layout_files import sheet_parts

SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="9"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="1000000"><c/><c/><c/><c/><c/><c/></row>',
        f"<row>{'<c/>' * 3000}</row>{'<row><c/></row>' * 2000}",
    ],
)
def test_few_bytes_that_are_many_cells_are_refused(tmp_path: Path, rows: str) -> None:
    with zipfile.ZipFile(tmp_path / "rows.xlsx", "w") as book:
        sheet_parts(book, ["Sheet1"])
        sheet = f'<worksheet xmlns="{SPACE}"><sheetData>{rows}</sheetData></worksheet>'
        book.writestr("xl/worksheets/sheet1.xml", sheet)

    with pytest.raises(DataError, match="5,000,000 cells"):
        rows_of_workbook(tmp_path / "rows.xlsx")
