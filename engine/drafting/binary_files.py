"""Rows of files that hold no text: workbooks (xlsx, xls), and Parquet files of the library `datasets`."""

import re
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime, time
from functools import reduce
from pathlib import Path
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.label_numbers import names_in_schema, with_names
from engine.drafting.roles import are_classes
from engine.drafting.table_text import Found, Rows, filled, rows_below_header
from engine.errors import DataError, needs_extra
from engine.files.reading import open_regular

WORKBOOKS: Final = (".xlsx", ".xlsm", ".xls")
COLUMNAR: Final = (".arrow", ".parquet", ".pq")
LARGEST: Final = 1 << 26
"""Bytes of a file that is held whole to make rows of it."""
UNPACKED: Final = 1 << 28
"""Bytes of the parts of a workbook, unpacked."""
MOST_CELLS: Final = 5_000_000
"""Cells of a sheet between the first and the last filled one: the reader holds them all."""
PLACE: Final = re.compile(rb"\br=[\"']([A-Z]*)(\d{1,7})[\"']")
"""Where a row or a cell is; both may go without."""
Table = list[list[str]]


def rows_of_workbook(path: Path) -> tuple[Rows, str]:
    """Return the rows of a workbook, and which of its sheets were read.

    Where the names of sheets are splits or classes, a column holds them. DataError D323 where it cannot be read.
    """
    tables = {name: list(rows_below_header(table)) for name, table in _sheets(path).items()}
    sheets = {name: rows for name, rows in tables.items() if rows}
    if not sheets:
        raise _broken(path, "it holds no rows")
    why = "it is an Excel workbook"
    if len(sheets) == 1 or len({tuple(rows[0]) for rows in sheets.values()}) > 1:
        fullest = max(
            sheets, key=lambda name: sum(bool(c) for r in sheets[name] for c in r.values())
        )
        left = [f"`{name}`" for name in sheets if name != fullest]
        more = f"; of its sheets `{fullest}` is read, {', '.join(left)} not" if left else ""
        return sheets[fullest], f"{why}{more}"
    is_split = all(name.strip().casefold() in PLACES for name in sheets)
    rows = [row for some in sheets.values() for row in some]
    column = "split" if is_split else "label" if are_classes(list(sheets), rows) else ""
    if column:
        rows = [{**row, column: name} for name, some in sheets.items() for row in some]
    return rows, f"{why}; its {len(sheets)} sheets have the same columns"


def _sheets(path: Path) -> dict[str, Table]:
    with needs_extra(f"reading `{path.name}` needs python-calamine", "data"):
        from python_calamine import CalamineError, load_workbook  # an extra
    broken = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError)
    try:
        _check_size(path)
        book = load_workbook(path)
        sheets = [book.get_sheet_by_name(name) for name in book.sheet_names]
        found = {one.name: _table(one.to_python(skip_empty_area=False), one) for one in sheets}
    except (CalamineError, *broken) as error:
        raise _broken(path, str(error)) from error
    if not any(found.values()):
        raise _broken(path, "it holds no sheet with a filled cell")
    return found


def _check_size(path: Path) -> None:
    """Raise ValueError for a workbook that is small in the file and far too large in memory."""
    left = UNPACKED - path.stat().st_size
    if path.suffix.lower() == ".xls" and left >= 0:
        return  # 65,536 rows and 256 columns at most
    with zipfile.ZipFile(path) as book:
        for part in book.infolist():
            with book.open(part) as stream:
                # The archive may give a wrong size, so the bytes are counted.
                data = stream.read(max(0, left) + 1)
            left -= len(data)
            if left >= 0 and part.filename.startswith("xl/worksheets/"):
                rows = data.split(b"<row")
                places = PLACE.findall(data)
                widest = max(
                    (one for one, _ in places), key=lambda one: (len(one), one), default=b""
                )
                right = reduce(lambda place, letter: place * 26 + letter - 64, widest, 0)
                right = max(right, *(len(re.findall(rb"<c\b", row)) for row in rows))
                cells = right * max(len(rows), *(int(number) for _, number in places), 0)
                if cells > MOST_CELLS:
                    raise ValueError(f"a sheet of it is larger than {MOST_CELLS:,} cells")
    if left < 0:
        raise ValueError(f"larger than {UNPACKED >> 20} MiB, unpacked")


def _table(cells: Sequence[Sequence[Any]], sheet: Any) -> Table:
    table = [[_text(cell) for cell in row] for row in cells]
    # The value of merged cells is in the first of them only.
    for (first, left), (last, _) in sheet.merged_cell_ranges or ():
        for row in table[first + 1 : last + 1]:
            row[left] = row[left] or table[first][left]
    return [row for row in table if filled(row)]


def _text(cell: Any) -> str:
    match cell:
        case bool():
            return str(cell).lower()
        case float():
            return str(int(cell)) if cell.is_integer() else repr(cell)
        case datetime():
            return (cell.date() if cell.time() == time() else cell).isoformat()
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _broken(path: Path, why: str) -> DataError:
    return DataError.one(
        "D323",
        f"`{path.name}` cannot be read as a workbook: {why}",
        hint="save the sheet as CSV and name that file",
    )


def rows_of_columns(path: Path, suffix: str) -> Found:
    """Return the rows of a Parquet file that names the numbers of its labels.

    None for other Parquet files, and for broken and large ones: their reader reads them a batch at a time, or reports
    what is wrong. DataError D328 for a file of Arrow.
    """
    if suffix == ".arrow":
        hint = "save it as Parquet, which keeps the names of its labels: Dataset.from_file(NAME).to_parquet(NAME)"
        raise DataError.one(
            "D328", f"`{path.name}` is a file of Arrow, which no recipe reads", hint=hint
        )
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        import pyarrow as pa  # an extra
        import pyarrow.parquet as pq
    if path.stat().st_size > LARGEST:
        return None
    try:
        with open_regular(path) as stream:
            if not (names := names_in_schema(pq.read_schema(stream).metadata)):
                return None
            rows: Rows = pq.read_table(stream).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None
    turn, why = with_names(names)
    found = [new for row in rows for new in turn(row)]
    return found, f"it is a file of the library `datasets`; {why}"
