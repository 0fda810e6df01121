"""How a data file is read: as a source of a recipe says it, or the rows that are made of it where none could."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from engine.data.reading.readers import read_rows
from engine.data.reading.row import Row, RowLengths, Trouble
from engine.data.reading.tables import DELIMITERS, old_line_ends
from engine.data.reading.text import chunks, open_bytes, utf16_of
from engine.drafting.binary_files import (
    COLUMNAR,
    LARGEST,
    WORKBOOKS,
    rows_of_columns,
    rows_of_workbook,
)
from engine.drafting.layout_table import PATTERNS, split_in
from engine.drafting.table_text import (
    LOOKED_AT,
    Found,
    cells_of,
    divider_of,
    is_quoted,
    names_columns,
    names_for,
    rows_of_lines,
    rows_of_table,
)
from engine.drafting.value_shapes import NoRowsError, arrays_in, rows_of_value, rows_of_yaml
from engine.errors import DataError
from engine.files.reading import parse_json
from engine.recipe.model import PathRef, Source
from engine.recipe.text.paths import format_of, suffix_of
from engine.values import replace

PIECE: Final = 1 << 20
WESTERN: Final = "cp1252"
RECOGNISED: Final = (
    "name its encoding, as in --encoding cp1250; UTF-8, UTF-16 and cp1252 are recognised without"
)
"""What to do where the encoding of a file is not recognised."""


def drafted_encoding(path: Path, asked: str) -> str:
    """Return UTF-16 where the first bytes are that, cp1252 where the file is that and not UTF-8, else what was asked.

    A guess, for a draft and for a file to label: a run reads what the recipe states and nothing else.
    """
    is_text = not path.is_dir() and suffix_of(path.name) not in (*WORKBOOKS, *COLUMNAR)
    if asked.lower() not in ("utf-8", "utf8") or not is_text:
        return asked
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path, Trouble(path.name)) as stream:
        piece = stream.read(PIECE)
        if found := utf16_of(piece[:4096]):
            return found
        while piece:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return WESTERN if is_western(piece + stream.read(PIECE)) else asked
            piece = stream.read(PIECE)
    return asked


def text_of(path: Path, encoding: str = "", *, most: int | None = None) -> str:
    """Return the text of a file, or so much of its beginning; as what it is taken for where no encoding is given."""
    found, size = [], 0
    for piece in chunks(path, encoding or drafted_encoding(path, "utf-8"), Trouble(path.name)):
        found.append(piece)
        size += len(piece)
        if most is not None and size > most:
            break
    return "".join(found)


def note_of_encoding(files: Sequence[str], asked: str, found: str) -> str:
    """Return what is to be known of files that are read in an encoding nobody named; empty for none."""
    if not files or found != WESTERN or asked == WESTERN:
        return ""
    first = f"`{files[0]}` is" if len(files) == 1 else f"{len(files):,} files (`{files[0]}`) are"
    what = f"read as {WESTERN} (Windows, western Europe)"
    return f"{first} not UTF-8: {what}; if accents look wrong, --encoding names another"


def is_western(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 are text of western Europe, by its letters and where its signs stand."""
    try:
        text = data.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    beyond = sum(not sign.isascii() for sign in text)
    as_utf8 = sum(map(len, re.findall(rb"[\xc2-\xf4][\x80-\xbf]+", data)))
    odd = ("letter of other languages", "odd sign in a word")
    count = sum(len(PATTERNS[what].findall(text)) for what in odd)
    if "\0" in text or as_utf8 >= 0.1 * beyond or count > 0.02 * beyond:
        return False
    # Hungarian: `õ` without `ã` stands for a letter that cp1252 does not have.
    if "õ" in text and "ã" not in text:
        return False
    words = [word for word in PATTERNS["word of letters"].findall(text) if not word.isascii()]
    letters = sum(map(len, words))
    return sum(not sign.isascii() for word in words for sign in word) <= 0.75 * letters


HEAD: Final = 1 << 20
"""Characters by which the form of a file is recognised."""


class Reading(Source):
    """A file, or a part of one, as a source of the recipe says it."""

    ref: PathRef
    says_format: bool = False
    """Whether the recipe must say the format: the name does not tell it, or tells another."""
    why: str = ""
    """What was seen, where it is not the usual."""
    label: str = ""
    """The class that its name, or its folder's, says."""
    is_document: bool = False
    """Whether the whole file is one row."""
    made: Sequence[Mapping[str, Any]] | None = None
    """Its rows, where no source of a recipe reads them."""

    @property
    def path(self) -> Path:
        return self.ref.path

    @property
    def suffix(self) -> str:
        return suffix_of(self.path.name)

    @property
    def beside(self) -> dict[str, Path]:
        """The files that are read line by line beside it, by their columns."""
        return {one.column: one.ref.path for one in self.columns if isinstance(one.ref, PathRef)}

    def rows(self) -> Iterator[Row]:
        """Its rows; DataError with what is wrong with them, after the last."""
        name = self.path.name
        if self.made is None:
            return read_rows(self.path, self, beside=self.beside, name=name)
        return (Trouble(name).row(f"#{at}", values) for at, values in enumerate(self.made, 1))


def local(path: Path) -> PathRef:
    return PathRef(path=path, written=path.name)


def readings_of(
    path: Path, *, encoding: str = "utf-8", is_class: bool = False
) -> tuple[Reading, ...]:
    """Return how a file is read: one reading, or one for each split that it holds.

    `is_class`: its name is the class of what it holds, so that its lines are texts alone. DataError where it cannot be
    read, or holds no rows.
    """
    suffix, named = suffix_of(path.name), format_of(path.name)
    if suffix in WORKBOOKS:
        return (made_of(path, rows_of_workbook(path)),)
    if suffix in COLUMNAR:
        columns = rows_of_columns(path, suffix)
        return (made_of(path, columns) if columns else Reading(ref=local(path), format="parquet"),)
    # No rows are made of lines of JSON and of XML: their beginning shows how they are read.
    is_held = named not in ("jsonl", "xml") and path.stat().st_size <= LARGEST
    text = text_of(path, encoding, most=None if is_held else HEAD)
    is_text = is_class and suffix == ".txt"
    found: Found = None
    if is_held and suffix in (".yml", ".yaml"):
        found = rows_of_yaml(text, path.name)
    elif is_held and named in DELIMITERS:
        found = rows_of_lines(text, is_table=True) or rows_of_table(text, DELIMITERS[named])
    elif is_held and named != "json" and not (is_text or suffix in (".md", ".markdown")):
        # A JSON value, or a tag, is what the usual readers recognise by themselves.
        found = rows_of_lines(text, is_table=text.lstrip()[:1] in ("{", "<"))
    return (made_of(path, found),) if found else _as_source(path, text, encoding)


def made_of(path: Path, found: tuple[Sequence[Mapping[str, Any]], str]) -> Reading:
    made = Reading(ref=local(path), format="jsonl", made=found[0], why=found[1])
    lengths = RowLengths()
    for row in made.rows():
        lengths.add(row)
    lengths.check(Trouble(path.name))
    return made


def _as_source(path: Path, text: str, encoding: str) -> tuple[Reading, ...]:
    head, named = text[:HEAD], format_of(path.name)
    if named != "xml" and re.match(r"(?i)\s*(<!doctype html|<html|<table)", head):
        raise DataError.one(
            "D323",
            f"`{path.name}` is a page of HTML, which holds no rows",
            hint="save its table as CSV or .xlsx, or its text as .txt",
        )
    found, why, delimiter = _format(head, named)
    reading = Reading(
        ref=local(path), format=found, says_format=found != named, encoding=encoding, why=why,
        delimiter=delimiter,
    )  # fmt: skip
    if found in ("csv", "tsv"):
        return (_with_header(reading, head),)
    if found == "json":
        return _of_json(reading, text)
    if found == "xml":
        return (replace(reading, records=_commonest_tag(head)),)
    if found == "jsonl":
        values = [parse_json(line) for line in head.split("\n")[:LOOKED_AT] if _is_json(line)]
        if values and all(isinstance(value, list) for value in values):
            return (replace(reading, header=names_for(list(zip(*values, strict=False)))),)
    return (reading,)


def _format(head: str, named: str | None) -> tuple[Any, str, str]:
    """Return the format, why where the name does not tell it, and what divides columns where no comma does."""
    lines = [line for line in head.split("\n")[:LOOKED_AT] if line.strip()]
    first = lines[0].lstrip() if lines else ""
    tabs = {line.count("\t") for line in lines}
    is_open = named in (None, "lines")
    # `[billing] My card …` is a line with its label.
    is_value = first.startswith(("{", "[")) and not re.match(
        r"\[\s*(?!true|false|null)[A-Za-z_]", first
    )
    is_table = is_open or named == "csv"
    found = named or "lines", "" if named else "each line is taken for a row", ""
    # Many files called `.json` hold one JSON value a line.
    if (named == "json" and len(lines) > 1 and all(map(_is_json, lines[:2]))) or (
        is_open and is_value and _is_json(first)
    ):
        found = "jsonl", "each line is a JSON value", ""
    elif is_open and is_value:
        found = "json", "it is JSON", ""
    elif is_open and re.match(r"<(?!s>|\|)", first):  # and no mark of a chat template
        found = "xml", "it begins with a tag", ""
    elif is_open and len(tabs) == 1 and tabs != {0}:
        found = "tsv", "each line has as many tabs", ""
    elif named == "csv" and "\t" in first and "," not in first:
        found = "tsv", "its columns are divided by tabs", ""
    elif is_table and (delimiter := divider_of(head)):
        found = "csv", f"its columns are divided by `{delimiter}`", delimiter
    elif not named and divider_of(head, ","):
        found = "csv", "its columns are divided by commas", ""
    return found


def table_form(
    path: Path, encoding: str, form: str | None
) -> tuple[str, Literal["auto", "double", "none"]]:
    """Return what divides the columns of a csv (empty: a comma), and how cells between tabs of a tsv are written.

    DataError where the file cannot be read.
    """
    if form not in ("csv", "tsv"):
        return "", "auto"
    head = text_of(path, encoding, most=HEAD)
    if form == "csv":
        return divider_of(head), "auto"
    return "", "double" if is_quoted(head.split("\n")[: LOOKED_AT * 4]) else "none"


def _is_json(line: str) -> bool:
    try:
        return isinstance(parse_json(line), dict | list)
    except ValueError:
        return False


def _with_header(reading: Reading, head: str) -> Reading:
    lines = head.split("\n")[: LOOKED_AT * 4]
    if reading.format == "tsv" and is_quoted(lines):
        reading = replace(reading, quoting="double", why=reading.why or "its cells stand in quotes")
    if reading.format == "csv" or reading.quoting == "double":
        divider = reading.delimiter or DELIMITERS[reading.format]
        # Of a broken one the reader reports what is wrong, with the line.
        table = cells_of(old_line_ends(iter(lines)), divider, most=LOOKED_AT)
    else:
        table = [line.rstrip("\r").split("\t") for line in lines[:LOOKED_AT]]
    if not table[1:] or names_columns(table[0], table[1:]):
        return reading
    even = [row for row in table if len(row) == len(table[0])]
    why = "the first row is data: the columns are named here"
    return replace(reading, header=names_for(list(zip(*even, strict=True))), why=why)


def _of_json(reading: Reading, text: str) -> tuple[Reading, ...]:
    try:
        value = parse_json(text)
    except ValueError:
        # The reader reports what is wrong, with the line.
        return (reading,)
    if found := rows_of_value(value):
        return (made_of(reading.path, found),)
    arrays = dict(arrays_in(value))
    if not arrays:
        raise NoRowsError.one(
            "D326",
            f"`{reading.path.name}` holds no array of objects, so it has no rows",
            hint="rows are objects of one array, or one object a line",
        )
    # A key is called after a split: `train`, `oos_train`, `test`.
    parts = {name: split for name in arrays if (split := split_in(name))}
    if not {"train", "holdout"} <= set(parts.values()):
        parts = {max(arrays, key=lambda name: len(arrays[name])): ""}
    found_readings = []
    for name, into in parts.items():
        columns = list(zip(*arrays[name], strict=True)) if isinstance(arrays[name][0], list) else []
        found_readings.append(replace(reading, records=name, header=names_for(columns), into=into))
    return tuple(found_readings)


def _commonest_tag(head: str) -> str:
    """Return the outermost element that is repeated within one other: each one is a row."""
    plain = re.sub(r"(?s)<!--.*?-->|<!\[CDATA\[.*?\]\]>", "", head)
    inside: list[str] = []
    counts: Counter[tuple[str, ...]] = Counter()
    for close, name, alone in re.findall(r"<(/?)([A-Za-z_][\w:.-]*)[^<>]*?(/?)>", plain):
        if close:
            del inside[-1:]
            continue
        counts[*inside[:12], name] += 1
        inside += [] if alone else [name]
    repeated = [path for path, count in counts.items() if count > 1]
    if not repeated:
        return next(reversed(counts), ("",))[-1]
    return min(repeated, key=lambda path: (len(path), -counts[path]))[-1]
