"""CSV and TSV, strictly: every row has as many fields as the header, no value is changed."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.data.reading.row import MOST, Row, Trouble, excerpt, several
from engine.data.reading.text import MAX_LINE, lines
from engine.recipe.model import Source
from engine.recipe.text.paths import format_of

READ_QUOTES: Final = "if quotes stand around the cells, write `quoting: double` in the source"
DELIMITERS = {"csv": ",", "tsv": "\t"}
FAULTS: Final = {
    "unexpected end of data": "a quote opened in this row is never closed",
    "field larger": f"a field is longer than {MAX_LINE:,} characters: is a quote never closed?",
}
"""What the csv module's own messages contain, and what is reported for them."""
SHOWN = 12
OLD_END = re.compile(r"(?<=\r)(?!\n)")
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_table(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows of a table; what is ragged or broken is added to `trouble`. DataError for a wrong header."""
    format_ = format_of(path.name, source.format) or "csv"
    # TSV as registered knows no quotes: a lone quote in a text must not swallow the lines that follow.
    is_quoted = source.quoting == "double" or (source.quoting == "auto" and format_ == "csv")
    table = _Table(
        delimiter=source.delimiter or DELIMITERS[format_],
        is_quoted=is_quoted,
        declared=source.header,
        trouble=trouble,
        header=source.header,
    )
    csv.field_size_limit(MAX_LINE)  # of the process: the module knows no narrower place
    quotes = WrittenQuotes(table.delimiter)
    text: Iterable[str] = lines(path, source.encoding, trouble)
    if source.quoting == "auto" and not is_quoted:
        text = quotes.seen(text)
    taken = 0

    def counted(lines: Iterable[str]) -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += 1
            yield line

    fields = table.fields(counted(old_line_ends(text) if is_quoted else text))
    while True:
        number = taken + 1
        try:
            row = table.row(next(fields), number)
        except StopIteration:
            break
        except csv.Error as error:
            # The reader goes on behind the broken row: later problems of the file are seen too.
            hint = None if trouble.count else 'a quote within quotes is written twice: ""'
            fault = next(
                (why for part, why in FAULTS.items() if part in str(error)),
                f"broken quoting: {error}",
            )
            trouble.add("D324", fault, line=number, hint=hint)
            if "field larger" in str(error):  # all that follows may be a part of the same cell
                break
            continue
        if row is not None:
            yield row
    table.report_endings()
    if quotes.are_written:
        hint = "add `quoting: double` to the source, or `quoting: none` if they are a part of the texts"
        message = "cells stand in quotes, in which quotes are doubled, as pandas and spreadsheets write them"
        trouble.add("D324", message, line=quotes.line, hint=hint)


class WrittenQuotes:
    """Whether TSV was written with quotes: all cells that hold any are quoted, and some double them."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._is_ruled_out = False
        self.line = 0
        """The first line with a quote that is doubled; 0 for none."""

    @property
    def are_written(self) -> bool:
        return bool(self.line) and not self._is_ruled_out

    def seen(self, lines: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if '"' in line and not self._is_ruled_out:
                cells = line.removesuffix("\n").removesuffix("\r").split(self._delimiter)
                quoted = [cell for cell in cells if '"' in cell]
                if not all(map(QUOTED.fullmatch, quoted)):
                    self._is_ruled_out = True
                elif not self.line and any('""' in cell[1:-1] for cell in quoted):
                    self.line = number
            yield line


@dataclass(slots=True, kw_only=True)
class _Table:
    delimiter: str
    is_quoted: bool
    declared: Sequence[str]
    """The names that the source gives its columns, if it does."""
    trouble: Trouble
    header: Sequence[str]
    """Empty until the first row was read, where the source gives none."""
    endings: list[tuple[int, str]] = field(default_factory=list)
    """Line and fault of rows that have a delimiter too many at their end, as long as every row has."""
    has_others: bool = False

    def fields(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return the fields of each row, none of a blank line; csv.Error for a broken one."""
        if self.is_quoted:  # a quoted field may span lines
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        # Not `splitlines` or `strip`: U+2028 or trailing tabs (empty fields) are part of the row.
        bodies = (line.removesuffix("\n").removesuffix("\r") for line in lines)
        return (body.split(self.delimiter) if body else [] for body in bodies)

    def row(self, fields: list[str], line: int) -> Row | None:
        """Return the row; None for the header, a blank line and a row that has more or fewer fields."""
        trouble = self.trouble
        if not fields:
            return None
        if not self.header:
            self.header = named(fields)
            _check_header(self.header, line, self.delimiter, trouble)
            return None
        if len(fields) != len(self.header):
            where = "`header`" if self.declared else "the header"
            message = f"row has {several(len(fields), 'field')}, {where} names {len(self.header)}:"
            message += f" `{excerpt(' | '.join(fields))}`"
            is_ending = len(fields) == len(self.header) + 1 and not fields[-1]
            if is_ending and not self.has_others:
                if len(self.endings) == MOST:
                    self.report_endings()
                    raise self.trouble.error()
                self.endings.append((line, message))
                return None
            self._note_other()
            # Once: every other row has the same reason.
            hint = None if trouble.count else self._hint_for_more(fields)
            trouble.add("D324", message, line=line, hint=hint)
            return None
        if not self.has_others:
            self._note_other()
        return trouble.row(f":{line}", dict(zip(self.header, fields, strict=True)))

    def _hint_for_more(self, fields: list[str]) -> str | None:
        """Return why a row may have more fields than the header."""
        if len(fields) <= len(self.header):
            return None
        if self.is_quoted:
            return f"a field that holds `{self.delimiter}` stands in quotes"
        return READ_QUOTES if any(one.startswith('"') for one in fields) else None

    def _note_other(self) -> None:
        """Report by itself each row with a delimiter too many: not every row has one."""
        self.has_others = True
        for line, message in self.endings:
            self.trouble.add("D324", message, line=line)
        self.endings.clear()

    def report_endings(self) -> None:
        """Report at once that every row has a delimiter too many at its end."""
        if not self.endings:
            return
        sign = {",": "comma", "\t": "tab"}.get(self.delimiter, f"`{self.delimiter}`")
        header, more = (
            ("`header`", "name one more column in `header`")
            if self.declared
            else ("the header", "add one to the end of the header")
        )
        message = f"every row ends with a {sign} that {header} has not"
        hint = f"take it off the rows, or {more}"
        self.trouble.add("D324", message, line=self.endings[0][0], hint=hint)


def old_line_ends(text: Iterable[str]) -> Iterator[str]:
    """Also end lines at a lone carriage return, as old spreadsheets write them."""
    # The csv module refuses a carriage return within a line that is not quoted.
    for line in text:
        is_old = line.count("\r") > line.endswith("\r\n")
        yield from filter(None, OLD_END.split(line)) if is_old else (line,)


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
    elif len(header) == 1 and delimiter == "," and (sign := re.search("[\t;]", header[0])):
        what, key = ("tabs", "format: tsv") if sign[0] == "\t" else ("`;`", 'delimiter: ";"')
        message = f"fields are separated by {what}, not by commas"
        trouble.add("D324", message, line=line, hint=f"add `{key}` to the source")
    trouble.raise_any()
