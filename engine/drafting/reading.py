"""How a data file is to be read: its format, the names of its columns, where its rows are."""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from engine.data.reading.readers import read_rows
from engine.data.reading.row import Row, Trouble
from engine.data.reading.tables import DELIMITERS, WrittenQuotes, old_line_ends
from engine.data.reading.text import MAX_LINE, chunks
from engine.data.splitting.column import PLACES
from engine.drafting.layout_table import PATTERNS
from engine.drafting.roles import COME_AGAIN, LONG_TEXT
from engine.errors import DataError
from engine.files.reading import parse_json
from engine.recipe.model import ColumnFile, PathRef, Source
from engine.recipe.text.paths import format_of
from engine.values import Value, replace

LOOKED_AT: Final = 300
"""Rows of a table looked at to tell whether the first one names the columns."""
ENOUGH_BELOW: Final = 20
"""Values below a cell from which it is recognized as one of them."""


class NoRowsError(DataError):
    pass


class Reading(Value):
    """A file, or a part of one, as a source of the recipe would say it."""

    path: Path
    format: str
    """As the reader calls it."""
    says_format: bool = False
    """Whether the recipe must say the format: the name does not tell it, or tells another."""
    header: tuple[str, ...] = ()
    records: str = ""
    encoding: str = "utf-8"
    delimiter: str = ""
    """Of a csv whose columns a comma does not divide."""
    quoting: str = "auto"
    beside: tuple[tuple[str, Path], ...] = ()
    """(column, file) of files that are read line by line beside this one."""
    into: str = ""
    why: str = ""
    """What was seen, where it is not the usual."""

    def source(self) -> Source:
        return Source(
            ref=PathRef(path=self.path, written=self.path.name),
            format=self.format, header=self.header, encoding=self.encoding, quoting=self.quoting,  # type: ignore[arg-type]
            records=self.records, explode="", weight=1.0, into=self.into, delimiter=self.delimiter,  # type: ignore[arg-type]
            config="", split="", hub_file="",
            columns=tuple(
                ColumnFile(column=name, written=file.name, ref=PathRef(path=file, written=file.name))
                for name, file in self.beside
            ),
        )  # fmt: skip

    def rows(self) -> Iterator[Row]:
        """Its rows; DataError with what is wrong with them, after the last."""
        return read_rows(self.path, self.source(), beside=dict(self.beside), name=self.path.name)


def readings_of(path: Path, *, encoding: str = "utf-8") -> tuple[Reading, ...]:
    """Return how a file is read: one reading, or one for each split that it holds.

    DataError where it cannot be read, or holds no rows.
    """
    named = format_of(path.name)
    if named == "parquet":
        return (Reading(path=path, format="parquet"),)
    head = _head(path, encoding)
    if named != "xml" and re.match(r"(?i)\s*(<!doctype html|<html|<table)", head):
        raise DataError.one(
            "D323",
            f"`{path.name}` is a page of HTML, which holds no rows",
            hint="save its table as CSV or .xlsx, or its text as .txt",
        )
    found, why = _format(head, named)
    delimiter = divider_of(head) if found in ("csv", "lines") else ""
    if delimiter:
        found, why = "csv", f"its columns are divided by `{delimiter}`"
    elif found == "lines" and divider_of(head, ",") and not named:
        found, why = "csv", "its columns are divided by commas"
    reading = Reading(
        path=path, format=found, says_format=found != named, encoding=encoding, why=why,
        delimiter=delimiter,
    )  # fmt: skip
    if found in ("csv", "tsv"):
        return (_with_header(reading, head),)
    if found == "json":
        return _of_json(reading)
    if found == "xml":
        return (replace(reading, records=_commonest_tag(head)),)
    if found == "jsonl":
        lines = [line for line in head.split("\n")[:LOOKED_AT] if line.strip()]
        values = [parse_json(line) for line in lines if _is_json(line)]
        if values and all(isinstance(value, list) for value in values):
            return (replace(reading, header=_named(list(zip(*values, strict=False)))),)
    return (reading,)


def _head(path: Path, encoding: str) -> str:
    found, size = [], 0
    for piece in chunks(path, encoding, Trouble(path.name)):
        found.append(piece)
        size += len(piece)
        if size > (1 << 20):
            break
    return "".join(found)


def _format(head: str, named: str | None) -> tuple[str, str]:
    """Return the format, and why where the name does not tell it."""
    lines = [line for line in head.split("\n")[:LOOKED_AT] if line.strip()]
    first = lines[0].lstrip() if lines else ""
    # Many files called `.json` hold one JSON value a line.
    if named == "json" and len(lines) > 1 and all(map(_is_json, lines[:2])):
        return "jsonl", "each line is a JSON value"
    if named == "csv" and "\t" in first and "," not in first:
        return "tsv", "its columns are divided by tabs"
    if named not in (None, "lines"):
        return named or "", ""
    # `[billing] My card …` is a line with its label.
    if first.startswith(("{", "[")) and not re.match(r"\[\s*(?!true|false|null)[A-Za-z_]", first):
        return ("jsonl", "each line is a JSON value") if _is_json(first) else ("json", "it is JSON")
    tabs = {line.count("\t") for line in lines}
    found = "lines", "" if named else "each line is taken for a row"
    if re.match(r"<(?!s>|\|)", first):  # and no mark of a chat template
        found = "xml", "it begins with a tag"
    elif len(tabs) == 1 and tabs != {0}:
        found = "tsv", "each line has as many tabs"
    return found


def table_form(
    path: Path, encoding: str, form: str | None
) -> tuple[str, Literal["auto", "double", "none"]]:
    """Return what divides the columns of a csv (empty: a comma), and how cells between tabs of a tsv are written.

    DataError where the file cannot be read.
    """
    if form not in ("csv", "tsv"):
        return "", "auto"
    head = _head(path, encoding)
    if form == "csv":
        return divider_of(head), "auto"
    return "", "double" if _is_quoted(head.split("\n")[: LOOKED_AT * 4]) else "none"


def cells_of(
    lines: Iterable[str], delimiter: str, *, most: int | None = None, **form: Any
) -> list[list[str]]:
    """Return the filled rows of a table; none where it is broken. `form` is what `csv.reader` knows of it."""
    # A limit of the whole process; the beginning of a file that is read here is shorter.
    csv.field_size_limit(MAX_LINE)
    try:
        rows = csv.reader(lines, delimiter=delimiter, **form)
        return [row for row in islice(rows, most) if row]
    except csv.Error:
        return []


def divider_of(head: str, among: str = ";|") -> str:
    """Return what divides each line into as many cells, below a line of names; empty where a comma does or nothing."""
    lines = head.split("\n")[:LOOKED_AT]
    for delimiter in among:
        table = cells_of(lines, delimiter) if delimiter in lines[0] else []
        # The last line may be cut where the head ends.
        table = table[: max(2, len(table) - 1)]
        if len(table) < 2 or len(set(map(len, table))) > 1 or len(table[0]) < 2:
            continue
        cells = [cell.strip() for cell in table[0]]
        # Or a long table of three columns or more is named in sentences, as a survey is.
        asks = (
            len(cells) > 2
            and len(table) > ENOUGH_BELOW
            and all(cell and not _is_number(cell) for cell in cells)
            and not any(
                cell in {row[at].strip() for row in table[1:]} for at, cell in enumerate(cells)
            )
        )
        if len(set(table[0])) == len(cells) and (all(map(PATTERNS["name"].match, cells)) or asks):
            return delimiter
    return ""


def _is_json(line: str) -> bool:
    try:
        return isinstance(parse_json(line), dict | list)
    except ValueError:
        return False


def _with_header(reading: Reading, head: str) -> Reading:
    lines = head.split("\n")[: LOOKED_AT * 4]
    if reading.format == "tsv" and _is_quoted(lines):
        reading = replace(reading, quoting="double", why=reading.why or "its cells stand in quotes")
    if reading.format == "csv" or reading.quoting == "double":
        divider = reading.delimiter or DELIMITERS[reading.format]
        # Of a broken one the reader reports what is wrong, with the line.
        table = cells_of(old_line_ends(iter(lines)), divider, most=LOOKED_AT)
    else:
        table = [line.rstrip("\r").split("\t") for line in lines[:LOOKED_AT]]
    if not table[1:] or _names_columns(table[0], table[1:]):
        return reading
    header = _named(list(zip(*(row for row in table if len(row) == len(table[0])), strict=True)))
    return replace(reading, header=header, why="the first row is data: the columns are named here")


def _is_quoted(lines: Sequence[str]) -> bool:
    if not any('"' in line for line in lines):
        return False
    # The last row may be cut where the beginning of the file ends.
    whole = [f"{line}\n" for line in (lines[:-1] if len(lines) > LOOKED_AT else lines)]
    table = cells_of(whole, "\t", strict=True)
    if len(set(map(len, table))) != 1:
        return False
    filled = [line for line in lines if line.strip()]
    if len({line.count("\t") for line in filled}) > 1 or all(one[0] == '"' for one in filled):
        return True
    quotes = WrittenQuotes("\t")
    deque(quotes.seen(iter(whole)), maxlen=0)
    return quotes.are_written


def _names_columns(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """A row of names: short, different, no numbers, and none of them a value that comes again."""
    below = [[row[at] for row in rest if len(row) > at] for at in range(len(first))]
    # Columns without a name and without a value, as spreadsheets leave at the end, say nothing.
    if any(cell in column for cell, column in zip(first, below, strict=True) if cell.strip()):
        return False
    for cell, column in zip(first, below, strict=True):
        filled = [value for value in column if value.strip()]
        # A word over numbers, or over labels none of which it is.
        are_numbers = all(map(_is_number, filled))
        is_apart = (
            not _is_number(cell) if are_numbers else COME_AGAIN * len(set(filled)) <= len(filled)
        )
        if cell.strip() and len(filled) >= ENOUGH_BELOW and is_apart:
            return True
    # A table of pandas has no name over its index.
    names = [cell.strip() for cell in first if cell.strip()]
    are_names = all(map(PATTERNS["name"].match, names))
    return bool(names) and len(set(names)) == len(names) and are_names


def _named(columns: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """Return names for columns that have none, by what they hold; none for no columns, which the reader reports."""
    cells = [list(map(str, column)) for column in columns]
    # Objects hold what was marked or noted of a text.
    inside = [all(isinstance(cell, Mapping) for cell in column) for column in columns]
    splits = list(map(_are_splits, cells))

    def length(at: int) -> tuple[bool, bool, int]:
        starts = {cell[:LONG_TEXT] for cell in cells[at]}
        # Where a text comes from, and under which licence, may be longer than it.
        is_alike = (
            len(cells[at]) > ENOUGH_BELOW and len(starts) == 1 and len(min(starts)) == LONG_TEXT
        )
        return not inside[at], not is_alike, sum(map(len, cells[at]))

    def unlike_label(at: int) -> int:
        words = set(cells[at])
        # A title is longer, and begins like others.
        are_short = all(len(word.split()) <= 4 for word in words)
        is_worded = are_short and any(sign.isalpha() for word in words for sign in word)
        if is_worded and 1 < len(words) <= len(cells[at]) // COME_AGAIN:
            return 0
        if 1 < len(words) <= 20 and all(word.strip().isdigit() for word in words):
            return 1
        # A part of a file may hold rows of one label, as CLINC's of no class do.
        comes_again = len(words) <= max(2, len(cells[at]) // 2)
        return 2 if comes_again and not all(map(_is_number, words)) else 3

    longest = max(range(len(columns)), key=length, default=0)
    free = [at for at, held in enumerate(inside) if not held and at != longest and not splits[at]]
    label = min(free, key=unlike_label, default=-1)
    names: list[str] = []
    for at, held in enumerate(cells):
        fitting = {
            "marks": inside[at],
            "text": at == longest,
            "split": splits[at],
            "id": at == 0 and len(set(held)) == len(held),
            "label": at == label and unlike_label(at) < 3,
            "score": all(map(_is_number, held)),
        }
        name = next((name for name, fits in fitting.items() if fits), "")
        names.append(name if name and name not in names else f"column_{at + 1}")
    return tuple(names)


def _are_splits(cells: Sequence[str]) -> bool:
    """Whether each value says a split, and one of them that to train on."""
    words = {cell.strip().lower() for cell in cells}
    return words <= PLACES.keys() and any(PLACES[word].split == "train" for word in words)


def _is_number(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return False
    return True


def _of_json(reading: Reading) -> tuple[Reading, ...]:
    if reading.path.stat().st_size > (1 << 26):
        return (reading,)
    text = "".join(chunks(reading.path, reading.encoding, Trouble(reading.path.name)))
    try:
        arrays = dict(_arrays(parse_json(text), "", 0))
    except ValueError:
        # The reader reports what is wrong, with the line.
        return (reading,)
    if not arrays:
        raise NoRowsError.one(
            "D326",
            f"`{reading.path.name}` holds no array of objects, so it has no rows",
            hint="rows are objects of one array, or one object a line",
        )

    def of(name: str, into: str = "") -> Reading:
        items = arrays[name]
        header = _named(list(zip(*items, strict=True))) if isinstance(items[0], list) else ()
        return replace(reading, records=name, header=header, into=into)

    # A key is called after a split: `train`, `oos_train`, `test`.
    words = {name: re.split(r"[^a-z]+", name.lower()) for name in arrays}
    parts = {
        name: next(PLACES[word].split for word in some if word in PLACES)
        for name, some in words.items()
        if not PLACES.keys().isdisjoint(some)
    }
    if {"train", "holdout"} <= set(parts.values()):
        return tuple(of(name, part) for name, part in parts.items())
    return (of(max(arrays, key=lambda name: len(arrays[name]))),)


def _arrays(value: Any, path: str, depth: int) -> Iterator[tuple[str, list[Any]]]:
    """Yield key path and items of each array of objects, or of arrays of one length."""
    if isinstance(value, list):
        objects = value and all(isinstance(item, dict) for item in value)
        lists = value and all(isinstance(item, list) and item for item in value)
        if objects or (lists and len({len(item) for item in value}) == 1 and len(value[0]) > 1):
            yield path, value
    elif isinstance(value, Mapping) and depth < 3:
        for name, below in value.items():
            # `records` divides its path at dots, so such a key cannot be named.
            if "." not in name:
                yield from _arrays(below, f"{path}.{name}" if path else name, depth + 1)


def _commonest_tag(head: str) -> str:
    """Return the outermost element that is repeated within one other: each one is a row."""
    plain = re.sub(r"(?s)<!--.*?-->|<!\[CDATA\[.*?\]\]>", "", head)
    inside: list[str] = []
    depth = 0
    counts: Counter[tuple[str, ...]] = Counter()
    for close, name, alone in re.findall(r"<(/?)([A-Za-z_][\w:.-]*)[^<>]*?(/?)>", plain):
        depth = max(0, depth - 1) if close else depth
        inside = inside[:depth]
        if not close and depth < 12:
            counts[*inside, name] += 1
            inside.append(name)
        depth += not close and not alone
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        return min(repeated, key=lambda path: (len(path), -counts[path]))[-1]
    return next(reversed(counts), ("",))[-1]
