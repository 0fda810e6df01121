"""Workbooks (xlsx, xls) as rows: the fullest sheet, or all sheets where their columns are the same."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, time
from functools import reduce
from pathlib import Path
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.roles import are_classes
from engine.errors import DataError, needs_extra

SUFFIXES: Final = (".xlsx", ".xlsm", ".xls")
LARGEST: Final = 1 << 28
"""Bytes of the parts of a workbook, unpacked."""
MOST_CELLS: Final = 5_000_000
"""Cells of a sheet between the first and the last filled one: the reader holds them all."""
PLACE: Final = re.compile(rb"\br=[\"']([A-Z]*)(\d{1,7})[\"']")
"""Where a row or a cell is; both may go without."""
Table = list[list[str]]


def rows_of_workbook(path: Path) -> tuple[list[dict[str, str]], str]:
    """Return the rows of a workbook, and which of its sheets were read.

    Where the names of sheets are splits or classes, a column holds them. DataError D323 where it cannot be read.
    """
    tables = {name: list(rows_below_header(table)) for name, table in _sheets(path).items()}
    filled = {name: rows for name, rows in tables.items() if rows}
    if not filled:
        raise _broken(path, "it holds no rows")
    why = "it is an Excel workbook"
    if len(filled) == 1 or len({tuple(rows[0]) for rows in filled.values()}) > 1:
        sizes = {name: sum(_filled([*row.values()]) for row in filled[name]) for name in filled}
        fullest = max(sizes, key=sizes.__getitem__)
        left = [f"`{name}`" for name in filled if name != fullest]
        more = f"; of its sheets `{fullest}` is read, {', '.join(left)} not" if left else ""
        return filled[fullest], f"{why}{more}"
    rows = [row for some in filled.values() for row in some]
    is_split = all(name.strip().casefold() in PLACES for name in filled)
    column = "split" if is_split else "label" if are_classes(list(filled), rows) else ""
    found = [
        {**row, **({column: name} if column else {})}
        for name, some in filled.items()
        for row in some
    ]
    return found, f"{why}; its {len(filled)} sheets have the same columns"


def rows_below_header(table: Table) -> Iterator[dict[str, str]]:
    sizes = sorted(_filled(row) for row in table[:500])
    width = sizes[len(sizes) // 2] if sizes else 0
    top = next((at for at, row in enumerate(table) if _filled(row) >= min(width, 2)), 0)
    # A title over the table fills one cell or two; the names fill as many as the rows below them.
    while top + 1 < len(table) and _filled(table[top]) < 0.6 * width:
        top += 1
    header = table[top] if table else []
    names: list[str] = []
    for at in range(max(len(header), width)):
        name = (header[at].strip() if at < len(header) else "") or f"column_{at + 1}"
        names.append(name if name not in names else f"{name}_{at + 1}")
    for row in table[top + 1 :]:
        yield dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False))


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
    left = LARGEST - path.stat().st_size
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
        raise ValueError(f"larger than {LARGEST >> 20} MiB, unpacked")


def _table(cells: Sequence[Sequence[Any]], sheet: Any) -> Table:
    table = [[_text(cell) for cell in row] for row in cells]
    # The value of merged cells is in the first of them only.
    for (first, left), (last, _) in sheet.merged_cell_ranges or ():
        for row in table[first + 1 : last + 1]:
            row[left] = row[left] or table[first][left]
    return [row for row in table if any(text.strip() for text in row)]


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


def _filled(row: Sequence[str]) -> int:
    return sum(bool(text.strip()) for text in row)
