"""CSV and TSV, strictly: every row has as many fields as the header, no value is changed."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.data.reading.row import Row, Trouble, excerpt
from engine.data.reading.text import MAX_LINE, lines
from engine.recipe.formats import format_of
from engine.recipe.model import Source

DELIMITERS = {"csv": ",", "tsv": "\t"}
SHOWN = 12
"""Names that are listed."""
OLD_END = re.compile(r"(?<=\r)(?!\n)")
Fields = tuple[int, list[str]]
"""A line number and the fields of the row that starts there."""


def read_table(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows of a table; ragged rows and broken quotes are added to `trouble` and left out.

    DataError at once when the header or the encoding is wrong.
    """
    format_ = format_of(path.name, source.format) or "csv"
    delimiter = source.delimiter or DELIMITERS[format_]
    # TSV as registered knows no quotes: a lone quote in a text must not swallow the lines that
    # follow.
    is_quoted = source.quoting == "double" or (source.quoting == "auto" and format_ == "csv")
    text = lines(path, source.encoding, trouble)
    rows = _quoted(text, delimiter, trouble) if is_quoted else _plain(text, delimiter)
    header: Sequence[str] = source.header
    for line, fields in rows:
        if not header:
            header = named(fields)
            _check_header(header, line, delimiter, trouble)
            continue
        if len(fields) != len(header):
            is_more = len(fields) > len(header) and is_quoted
            # Once: every other row has the same reason.
            hint = f"a field that holds `{delimiter}` stands in quotes" if is_more else None
            trouble.add(
                "D324", _ragged(fields, header, declared=bool(source.header)), line=line,
                hint=None if trouble.count else hint,
            )  # fmt: skip
            continue
        yield trouble.row(f":{line}", dict(zip(header, fields, strict=True)))


def _quoted(text: Iterator[str], delimiter: str, trouble: Trouble) -> Iterator[Fields]:
    """Parse with the csv module; a quoted field may span lines."""
    csv.field_size_limit(MAX_LINE)  # of the process: the module knows no narrower place
    reader = csv.reader(old_line_ends(text), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader goes on behind the broken row: later problems of the file are seen too.
            hint = None if trouble.count else 'a quote within quotes is written twice: ""'
            trouble.add("D324", _csv_fault(error), line=start, hint=hint)
            continue
        if fields:
            yield start, fields


def old_line_ends(text: Iterator[str]) -> Iterator[str]:
    """Also end lines at a lone carriage return, as old spreadsheets write them."""
    # The csv module refuses a carriage return within a line that is not quoted.
    for line in text:
        yield from filter(None, OLD_END.split(line)) if "\r" in line else (line,)


def _csv_fault(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote opened in this row is never closed"
    if "field larger" in text:
        return f"a field is longer than {MAX_LINE:,} characters: is a quote never closed?"
    return f"broken quoting: {text}"


def _plain(text: Iterator[str], delimiter: str) -> Iterator[Fields]:
    for number, line in enumerate(text, 1):
        # Not `splitlines` or `strip`: U+2028 or trailing tabs (empty fields) are part of the row.
        body = line.removesuffix("\n").removesuffix("\r")
        if body:
            yield number, body.split(delimiter)


def _ragged(fields: Sequence[str], header: Sequence[str], *, declared: bool) -> str:
    where = "`header`" if declared else "the header"
    return (
        f"row has {len(fields)} field{'s' * (len(fields) != 1)}, {where} names {len(header)}:"
        f" `{excerpt(' | '.join(fields))}`"
    )


def named(header: Sequence[str]) -> list[str]:
    """Return the names of a header, `column_3` for the third where it has none, as an index of pandas has not."""
    # A header without any name is a line of nothing, which is reported.
    if not any(name.strip() for name in header):
        return list(header)
    return [name if name.strip() else f"column_{at}" for at, name in enumerate(header, 1)]


def _check_header(header: Sequence[str], line: int, delimiter: str, trouble: Trouble) -> None:
    blank = [number for number, name in enumerate(header, 1) if not name.strip()]
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if blank:
        trouble.add("D324", f"column {blank[0]} has no name in the header", line=line)
    elif twice:
        names = ", ".join(f"`{excerpt(name)}`" for name in twice[:SHOWN])
        trouble.add("D324", f"the header names {names} more than once", line=line)
    elif len(header) == 1 and delimiter == "," and "\t" in header[0]:
        hint = "add `format: tsv` to the source"
        trouble.add("D324", "fields are separated by tabs, not by commas", line=line, hint=hint)
    elif len(header) == 1 and delimiter == "," and ";" in header[0]:
        hint = 'add `delimiter: ";"` to the source'
        trouble.add("D324", "fields are separated by `;`, not by commas", line=line, hint=hint)
    trouble.raise_any()
