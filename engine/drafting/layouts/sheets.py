"""Rows of an Excel workbook (.xlsx): the cells of its fullest sheet, as texts and numbers.

Office Open XML, ECMA-376 part 1, 18.3 (worksheets) and 18.4 (shared strings). Formulas are taken by the value that was
saved with them. A number whose format is that of a date or a time (18.8.30) is written as one.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final
from xml.parsers import expat

from engine.data.splitting.column import PLACES
from engine.drafting.layouts.classes import are_classes
from engine.errors import DataError

SUFFIXES: Final = (".xlsx", ".xlsm")
LARGEST: Final = 1 << 28
"""Bytes of the workbook's parts, unpacked, that are read."""
MOST_ELEMENTS: Final = 3_000_000
"""Of all parts; a cell has two. More take longer than saving the sheet as CSV."""
MOST_CELLS: Final = 5_000_000
"""Of a sheet, the empty ones before a filled one too."""
MOST_LEVELS: Final = 100
PIECE: Final = 1 << 16
MOST_COLUMNS: Final = 1 << 14
"""Of a sheet, in Excel itself."""
PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED: Final = 1
"""The bit of a part's flags."""
BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, expat.ExpatError, OSError, EOFError),
    *(ValueError, LookupError),
)
"""What the libraries raise of a file that is no workbook, a name of an encoding that is none included."""
DATES: Final = frozenset(map(str, (*range(14, 23), *range(45, 48))))
"""Formats of dates and times that no file has to define."""
UNREAD: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|General')
"""Parts of the code of a format that are no letters of it: texts, colours, escaped signs."""
FIRST_DAY: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook says no zone
LAST_DAY: Final = 2_958_466
"""Days from the first one to the year 10000."""
Table = list[list[str]]


def rows_of_workbook(path: Path) -> tuple[list[dict[str, str]], str]:
    """Return the rows of the fullest sheet, or of all sheets with the same columns, and which of them were taken.

    Where the names of sheets say the splits or the classes of their rows, a column says them too.

    DataError D323 where it is no workbook, or a part of it is broken or too large.
    """
    tables = {
        name: list(rows_below_header(table)) for name, table in read_sheets(path).items() if table
    }
    filled = {name: rows for name, rows in tables.items() if rows}
    if not filled:
        raise _broken(path, "it holds no rows")
    alike = len({tuple(rows[0]) for rows in filled.values()}) == 1 and len(filled) > 1
    why = "it is an Excel workbook"
    if not alike:
        fullest = max(filled, key=lambda name: sum(map(_filled, _cells_of(filled[name]))))
        left = [f"`{name}`" for name in filled if name != fullest]
        if left:
            why += f"; of its sheets `{fullest}` is read, {', '.join(left)} not"
        return filled[fullest], why
    is_split = all(name.strip().casefold() in PLACES for name in filled)
    rows = [row for some in filled.values() for row in some]
    more = "split" if is_split else "label" if are_classes(list(filled), rows) else ""
    found = [
        {**row, **({more: name} if more else {})} for name, some in filled.items() for row in some
    ]
    return found, f"{why}; its {len(filled)} sheets have the same columns"


def _cells_of(rows: Sequence[dict[str, str]]) -> Iterator[list[str]]:
    return (list(row.values()) for row in rows)


def read_sheets(path: Path) -> dict[str, Table]:
    """Return the cells of each sheet by its name, row by row; `` for an empty one."""
    left = _Left()
    try:
        with zipfile.ZipFile(path) as book:
            names = book.namelist()
            strings = (
                _strings(_part(book, "xl/sharedStrings.xml"), left)
                if "xl/sharedStrings.xml" in names
                else []
            )
            sheets = [name for name in names if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name)]
            called = _sheet_names(book, names, left)
            dates = _date_styles(book, names, left)
            found = {
                called.get(name, name): _cells(_part(book, name), strings, left, dates)
                for name in sheets
            }
    except BROKEN as error:
        raise _broken(path, str(error)) from error
    if not any(found.values()):
        raise _broken(path, "it holds no sheet with a filled cell")
    return found


def _sheet_names(book: zipfile.ZipFile, parts: Sequence[str], left: _Left) -> dict[str, str]:
    """Return what the sheets are called, by the names of their parts."""
    listed, relations = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
    if listed not in parts or relations not in parts:
        return {}
    targets = {
        one.get("Id"): one.get("Target", "")
        for one in _elements(_part(book, relations), "Relationship", left)
    }
    found = {}
    for sheet in _elements(_part(book, listed), "sheet", left):
        key = next((value for name, value in sheet.items() if _local(name) == "id"), "")
        target = str(targets.get(key, "")).removeprefix("/xl/")
        found[f"xl/{target}"] = sheet.get("name", "")
    return {part: name for part, name in found.items() if name}


def _date_styles(book: zipfile.ZipFile, parts: Sequence[str], left: _Left) -> frozenset[str]:
    """Return the numbers of the styles whose numbers are dates or times."""
    if "xl/styles.xml" not in parts or "xl/workbook.xml" not in parts:
        return frozenset()
    settings = _elements(_part(book, "xl/workbook.xml"), "workbookPr", left)
    if any(one.get("date1904") in ("1", "true") for one in settings):
        return frozenset()  # counted from another day
    formats = {
        one.get("numFmtId"): UNREAD.sub("", one.get("formatCode", ""))
        for one in _elements(_part(book, "xl/styles.xml"), "numFmt", left)
        if not re.search(r"(?i)\[[hms]+\]", one.get("formatCode", ""))  # how long, and not when
    }
    dates = {*DATES, *(key for key, code in formats.items() if re.search(r"(?i)[ymdhs]", code))}
    # `xf` stands under two lists, and cells name those of the second.
    styles = _elements(_part(book, "xl/styles.xml"), "xf", left, below="cellXfs")
    return frozenset(str(at) for at, one in enumerate(styles) if one.get("numFmtId") in dates)


def _elements(
    stream: IO[bytes], called: str, left: _Left, *, below: str = ""
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    handlers = _Handlers(left)

    def start(name: str, attributes: dict[str, str]) -> None:
        if handlers.open(name) == called and (not below or below in handlers.inside):
            found.append(attributes)

    handlers.parser.StartElementHandler = start
    handlers.parser.EndElementHandler = lambda _: handlers.inside.pop()
    handlers.read(stream)
    return found


def _broken(path: Path, why: str) -> DataError:
    return DataError.one(
        "D323",
        f"`{path.name}` cannot be read as a workbook: {why}",
        hint="save the sheet as CSV and name that file",
    )


def _part(book: zipfile.ZipFile, name: str) -> IO[bytes]:
    part = book.getinfo(name)
    if part.flag_bits & ENCRYPTED or part.compress_type not in PACKED:
        raise ValueError(f"{name} is encrypted, or packed as workbooks are not")
    return book.open(part)


@dataclass(slots=True)
class _Left:
    """What may still be read of a workbook."""

    size: int = LARGEST
    """What the archive says of its sizes may be wrong, so it is counted while it is read."""
    elements: int = MOST_ELEMENTS


class _Handlers:
    """Collects the text of some elements; no document type is allowed, so nothing can be declared that grows."""

    def __init__(self, left: _Left) -> None:
        self.left = left
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.text: list[str] = []
        self.inside: list[str] = []

    def open(self, name: str) -> str:
        """Note that an element begins, and return its name. ValueError where there are too many, or too many levels."""
        self.left.elements -= 1
        if self.left.elements < 0:
            raise ValueError(f"it holds more than {MOST_ELEMENTS:,} elements")
        if len(self.inside) >= MOST_LEVELS:
            raise ValueError(f"nested more than {MOST_LEVELS} levels deep")
        self.inside.append(_local(name))
        return self.inside[-1]

    def _refuse(self, *_: object) -> None:
        raise ValueError("a part of it declares a document type")

    def read(self, stream: IO[bytes]) -> None:
        while piece := stream.read(PIECE):
            self.left.size -= len(piece)
            if self.left.size < 0:
                raise ValueError(f"larger than {LARGEST >> 20} MiB, unpacked")
            self.parser.Parse(piece)
        is_final = True
        self.parser.Parse(b"", is_final)


def _local(name: str) -> str:
    return name.rsplit(" ", 1)[-1]


def _strings(stream: IO[bytes], left: _Left) -> list[str]:
    """Return the shared strings: one for each `si`, of all `t` in it but those of phonetic hints."""
    found: list[str] = []
    handlers = _Handlers(left)
    inside = handlers.inside

    def start(name: str, _: dict[str, str]) -> None:
        if handlers.open(name) == "si":
            handlers.text = []

    def end(_: str) -> None:
        if inside.pop() == "si":
            found.append("".join(handlers.text))

    def data(text: str) -> None:
        if inside and inside[-1] == "t" and "rPh" not in inside:
            handlers.text.append(text)

    parser = handlers.parser
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = data
    handlers.read(stream)
    return found


def _cells(stream: IO[bytes], strings: list[str], left: _Left, dates: frozenset[str]) -> Table:
    table: Table = []
    handlers = _Handlers(left)
    inside = handlers.inside
    cell: dict[str, Any] = {}
    cells = 0
    numbers: list[int] = []
    merged: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal cells
        opened = handlers.open(name)
        if opened == "row":
            cells += len(table[-1]) if table else 0
            if cells > MOST_CELLS:
                raise ValueError(f"a sheet of it is larger than {MOST_CELLS:,} cells")
            table.append([])
            numbers.append(int(attributes.get("r", numbers[-1] + 1 if numbers else 1)))
        elif opened == "mergeCell":
            merged.append(attributes.get("ref", ""))
        elif opened == "c" and table:
            handlers.text = []
            cell.update(
                type=attributes.get("t", "n"),
                at=_column(attributes.get("r", ""), len(table[-1])),
                is_date=attributes.get("s") in dates,
            )

    def end(_: str) -> None:
        if inside.pop() == "c" and table:
            row = table[-1]
            row += [""] * (cell["at"] - len(row))
            text = "".join(handlers.text)
            is_date = cell["is_date"] and cell["type"] == "n" and text
            row.append(_date(text) if is_date else _value(text, cell["type"], strings))

    def data(text: str) -> None:
        if inside and inside[-1] in ("v", "t") and "rPh" not in inside:
            handlers.text.append(text)

    parser = handlers.parser
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = data
    handlers.read(stream)
    _fill_down(table, numbers, merged)
    return [row for row in table if any(text.strip() for text in row)]


def _fill_down(table: Table, numbers: Sequence[int], merged: Sequence[str]) -> None:
    """Write the value of merged cells into the rows that they stand beside: a file has it in the first one only."""
    left = MOST_CELLS
    for reference in merged:
        found = re.fullmatch(r"([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})", reference)
        if found is None:
            continue
        at, first, last = _column(found[1], 0), int(found[2]), int(found[3])
        rows = table[bisect_left(numbers, first) : bisect_right(numbers, last)]
        value = rows[0][at] if rows and len(rows[0]) > at else ""
        for row in rows[1:] if value else ():
            left -= 1 + max(0, at + 1 - len(row))
            if left < 0:
                raise ValueError(f"it merges more than {MOST_CELLS:,} cells")
            row.extend([""] * (at + 1 - len(row)))
            row[at] = row[at] or value


def _column(reference: str, following: int) -> int:
    """Return the place of a cell from 0 by its reference (`C7` is 2); a cell without one follows the last."""
    letters = re.match(r"[A-Z]{1,3}", reference)
    if letters is None:
        return following
    place = 0
    for letter in letters[0]:
        place = place * 26 + ord(letter) - ord("A") + 1
    return min(max(place - 1, following), MOST_COLUMNS)


def _value(text: str, kind: str, strings: list[str]) -> str:
    match kind:
        case "s":
            return strings[int(text)] if text.strip().isdigit() and int(text) < len(strings) else ""
        case "b":
            return "true" if text.strip() == "1" else "false"
        case "e":  # `#N/A`
            return ""
        case "n" if text:
            number = float(text)
            return str(int(number)) if number.is_integer() else repr(number)
    return text


def _date(text: str) -> str:
    """Return a number of days as Excel counts them as a date, with the time where it has one."""
    days = float(text)
    if not 0 <= days < LAST_DAY:
        return text
    moment = FIRST_DAY + timedelta(seconds=round(days * 86400))
    if days < 1:
        return moment.time().isoformat()
    return moment.isoformat() if days % 1 else moment.date().isoformat()


def rows_below_header(table: Table) -> Iterator[dict[str, str]]:
    """Yield the rows below the line that names the columns; lines above it (titles, notes) are passed over."""
    width = _usual_width(table)
    top = next((at for at, row in enumerate(table) if _filled(row) >= min(width, 2)), 0)
    # A title over the table fills one cell or two; the names fill as many as the rows below them.
    while top + 1 < len(table) and _filled(table[top]) < 0.6 * width:
        top += 1
    names = [name.strip() or f"column_{at}" for at, name in enumerate(table[top], 1)]
    names += [f"column_{at}" for at in range(len(names) + 1, width + 1)]
    seen: set[str] = set()
    for at, name in enumerate(names):
        names[at] = name if name not in seen else f"{name}_{at + 1}"
        seen.add(names[at])
    for row in table[top + 1 :]:
        yield dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False))


def _filled(row: list[str]) -> int:
    return sum(bool(text.strip()) for text in row)


def _usual_width(table: Table) -> int:
    sizes = sorted(_filled(row) for row in table[:500])
    return sizes[len(sizes) // 2] if sizes else 0
