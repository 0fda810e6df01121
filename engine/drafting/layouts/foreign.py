"""Files that no reader of a recipe reads, as plain rows: workbooks, lines with labels, tagged words, intents."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import yaml

from engine.data.examples.template import as_text
from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.drafting.foreign_yaml import load_rows
from engine.drafting.layouts.label_names import Names, coded, names_in_schema
from engine.drafting.layouts.lines import (
    example_of_intent,
    refuse_numbers,
    rows_of_intents,
    rows_of_lines,
    rows_of_marked_lines,
)
from engine.drafting.layouts.nested import rows_of_document
from engine.drafting.layouts.workbooks import SUFFIXES, rows_below_header, rows_of_workbook
from engine.drafting.reading import NAME, divider_of
from engine.drafting.roles import ANSWER_NAMES, ID_NAMES, LABEL_NAMES, TEXT_NAMES, rank
from engine.errors import DataError, needs_extra
from engine.files.reading import open_regular, parse_json

Rows = list[dict[str, Any]]
LARGEST: Final = 1 << 26
"""Bytes of a file that is held whole to make rows of it."""
PAGES: Final = (".md", ".markdown")
YAMLS: Final = (".yml", ".yaml")
TABLES: Final = (".csv", ".tsv", ".tab")
COLUMNAR: Final = (".parquet", ".pq")
KNOWN_COLUMNS: Final = (*TEXT_NAMES, *LABEL_NAMES, *ANSWER_NAMES, *ID_NAMES)
ORANGE: Final = re.compile(
    r"(?i)((string|continuous|discrete|time|[scdt]|)[\t,])+(string|continuous|discrete|time|[scdt]|)\r?\n"
    r"((class|meta|ignore|[im]|)[\t,])+(class|meta|ignore|[im]|)\r?\n"
)
"""What columns hold and what they are for: the second and the third line of a file of Orange."""
RULE: Final = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")
READ: Final = (".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".xml")
"""Endings of formats that a recipe reads itself."""


def foreign_rows(path: Path, encoding: str) -> tuple[Rows, str] | None:
    """Return the rows of a file that a recipe cannot read as it stands, and what it is; None where it can.

    DataError where the file is broken.
    """
    suffix = suffix_of(path)
    if suffix in SUFFIXES:
        return rows_of_workbook(path)
    if suffix in (*COLUMNAR, ".arrow"):
        return _named_columns(path, suffix)
    if (suffix in READ and suffix != ".json") or path.stat().st_size > LARGEST:
        return None
    text = "".join(chunks(path, encoding, Trouble(path.name)))
    if suffix in YAMLS:
        return _intents_of_yaml(text, path)
    found = rows_of_marked_lines(text) or _of_text(text, suffix)
    if suffix not in (*TABLES, ".json", *PAGES):
        refuse_numbers(text, path.name)
    return found


def _of_text(text: str, suffix: str) -> tuple[Rows, str] | None:
    if suffix in TABLES:
        return _titled_table(text, "," if suffix == ".csv" else "\t")
    if suffix == ".json":
        return _json_by_column(text)
    if suffix in PAGES:
        return _table_of_page(text) or rows_of_intents(text.splitlines())
    # A JSON value, or a tag, is what the usual readers recognise by themselves.
    return None if text.lstrip()[:1] in ("{", "<") else rows_of_lines(text)


def _table_of_page(text: str) -> tuple[Rows, str] | None:
    """Read the table of a page of Markdown that is little else: `| text | team |` above a line of dashes."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    table = [line for line in lines if line.startswith("|") and line.endswith("|")]
    if len(table) < 4 or 2 * len(table) < len(lines) or not RULE.fullmatch(table[1]):
        return None
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])] for line in table]
    names, rows = cells[0], cells[2:]
    if len(set(names)) < len(names) or not all(names):
        return None
    return [
        dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)
    ], "it is a table of Markdown"


def _titled_table(text: str, usual: str) -> tuple[Rows, str] | None:
    if stated := re.match(r"\ufeff?sep=(.)\r?\n", text):
        # Excel's own line, which says how it shall be read.
        return _rows_of(
            text[stated.end() :], stated[1]
        ), "its first line says what divides its columns"
    start = text.find("\n") + 1
    if (orange := ORANGE.match(text, start)) and orange[0].strip("\t,\r\n"):
        why = "two lines below the names say what its columns hold, as Orange writes them"
        return _rows_of(text[:start] + text[orange.end() :], usual), why
    try:
        if _is_regular(text, usual) and not _is_padded(text, usual):
            return _repeated_names(text, usual)
    except csv.Error:
        return None  # the reader reports it with its line
    if divider_of(text):
        # Decimal commas divide nothing.
        return None
    tried = (_table_below_titles(text, delimiter=one) for one in dict.fromkeys((usual, *",;\t|")))
    return next((found for found in tried if found), None)


def _is_padded(text: str, delimiter: str) -> bool:
    """Whether a title stands in the first cell alone above full rows, as Excel saves a table below titles."""
    rows = islice(csv.reader(text.splitlines(), delimiter=delimiter), 60)
    first, *below = ([bool(cell.strip()) for cell in row] for row in rows)
    # Above the names of the columns there is nothing but titles and blank rows.
    named = next((at for at, row in enumerate(below) if sum(row) > 1), 0)
    full = [sum(row) for row in below[named:]]
    return (
        len(first) > 2
        and first[0]
        and sum(first) == 1
        and len(full) > 5
        and sum(count > 2 for count in full) >= 0.9 * len(full)
    )


def _repeated_names(text: str, delimiter: str) -> tuple[Rows, str] | None:
    """Read a table that names several columns alike, as exports of issue trackers do; None for any other."""
    table = list(islice(csv.reader(text.splitlines(), delimiter=delimiter), 60))
    names = [name.strip() for name in table[0]]
    again = next((name for name in names if name and names.count(name) > 1), "")
    # A first row of data may repeat a cell too: it stands again below.
    is_named = all(NAME.match(name) for name in names if name) and not any(
        name in {row[at] for row in table[1:] if len(row) > at}
        for at, name in enumerate(names)
        if name
    )
    if not again or not is_named:
        return None
    return _rows_of(
        text, delimiter
    ), f"`{again}` names several of its columns: the others are numbered"


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook by its name: no text."""
    return suffix_of(path) in SUFFIXES


def suffix_of(path: Path) -> str:
    """Return the ending that says the format, without that of a compression."""
    return Path(re.sub(r"\.(?:gz|zst|bz2|xz)\Z", "", path.name.lower())).suffix


def _json_by_column(text: str) -> tuple[Rows, str] | None:
    """Read an object of columns, or of rows by their index, as pandas writes a table."""
    try:
        value = parse_json(text)
    except ValueError:
        return _objects_after_each_other(text)
    return (
        rows_of_document(value) or _by_column(value) or _texts_alone(value) or _below_names(value)
    )


def _below_names(value: object) -> tuple[Rows, str] | None:
    """Read lists below one that names their columns, as APIs of spreadsheets give a table."""
    if not isinstance(value, list) or len(value) < 4 or not all(isinstance(x, list) for x in value):
        return None
    names, *rows = value
    are_names = all(isinstance(name, str) and NAME.match(name) for name in names)
    if len(names) < 2 or not are_names or len(set(names)) < len(names):
        return None
    # Among rows without names, the first one's label stands again below.
    is_known = any(rank(name, KNOWN_COLUMNS) < len(KNOWN_COLUMNS) for name in names)
    again = any(name in row for row in rows for name in names)
    if not is_known or again or any(len(row) != len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows], "its first list names the columns"


def _texts_alone(value: object) -> tuple[Rows, str] | None:
    if not isinstance(value, list) or len(value) < 4:
        return None
    texts = [{"text": text} for text in value if isinstance(text, str)]
    return (texts, "it holds a list of texts") if len(texts) == len(value) else None


def _objects_after_each_other(text: str) -> tuple[Rows, str] | None:
    """Read objects in no list, each over several lines perhaps, as `jq` writes them."""
    decoder, at = json.JSONDecoder(), 0
    rows: list[Any] = []
    try:
        while at < len(text):
            start, (_, at) = at, decoder.raw_decode(text, at)
            # Once more by the strict reader: its limits hold for each of them.
            rows.append(parse_json(text[start:at]))
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError):
        return None  # the reader reports it with its line
    are_rows = len(rows) > 1 and all(isinstance(row, dict) for row in rows)
    # One a line is what a recipe reads itself.
    if not are_rows or len(rows) == len(text.strip().splitlines()):
        return None
    return rows, "its objects stand in no list"


def _by_column(value: object) -> tuple[Rows, str] | None:
    if not isinstance(value, Mapping) or len(value) < 2:
        return None
    parts = list(value.values())
    if all(isinstance(part, list) for part in parts):
        return _lists_of_columns(value) or _texts_by_label(value)
    if all(isinstance(part, str) for part in parts):
        return _answers_by_text(value)
    return _objects_by_key(value) if all(isinstance(part, Mapping) for part in parts) else None


def _lists_of_columns(value: Mapping[str, list[Any]]) -> tuple[Rows, str] | None:
    parts = list(value.values())
    is_flat = all(not isinstance(item, list | Mapping) for part in parts for item in part)
    if len({len(part) for part in parts}) != 1 or len(parts[0]) < 4 or not is_flat:
        return None
    # Texts of as many for each label, which no column is called after.
    known = any(rank(name, KNOWN_COLUMNS) < 2 * len(KNOWN_COLUMNS) for name in value)
    items = [str(item) for part in parts for item in part]
    if len(parts) > 2 and not known and sum(" " in one for one in items) >= 0.95 * len(items):
        return None
    rows = [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
    return rows, "it holds a list for each column"


def _texts_by_label(value: Mapping[str, list[Any]]) -> tuple[Rows, str] | None:
    rows = [{"text": text, "label": label} for label, texts in value.items() for text in texts]
    is_usable = len(rows) >= 2 * len(value) and all(isinstance(row["text"], str) for row in rows)
    return (rows, "its texts stand below their label") if is_usable else None


def _answers_by_text(value: Mapping[str, str]) -> tuple[Rows, str] | None:
    if len(value) < 4:
        return None
    answer = "label" if 2 * len(set(value.values())) <= len(value) else "answer"
    return [
        {"text": text, answer: one} for text, one in value.items()
    ], f"each text is the key of its {answer}"


def _objects_by_key(value: Mapping[str, Mapping[str, Any]]) -> tuple[Rows, str] | None:
    parts = list(value.values())
    keys = [tuple(part) for part in parts]
    if len(set(keys)) == 1 and all(key.isdigit() for key in keys[0]):
        rows = [{name: part[key] for name, part in value.items()} for key in keys[0]]
        return rows, "it holds an object for each column"
    # Rows may lack a key, but they share most of them.
    if len(parts) > 3 and len(set(keys[0]).intersection(*keys)) >= 2:
        return [dict(part) for part in parts], "it holds its rows by their names"
    return None


def _named_columns(path: Path, suffix: str) -> tuple[Rows, str] | None:
    """Read a file of the library `datasets`: Arrow, or Parquet whose schema names the numbers of labels.

    None for other Parquet files, and for broken and large ones: their reader reads them a batch at a time, or reports
    what is wrong.
    """
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        import pyarrow as pa  # an extra
    is_large = path.stat().st_size > LARGEST
    try:
        names, rows = ({}, None) if is_large else _arrow_rows(path, suffix)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if suffix in COLUMNAR:
            return None
        reason = str(error).splitlines()[0].lower() if str(error) else "it ends early"
        raise DataError.one("D328", f"`{path.name}` cannot be read: {reason}") from error
    if rows is None and suffix in COLUMNAR:
        return None
    if rows is None:
        raise DataError.one(
            "D328",
            f"`{path.name}` is larger than {LARGEST >> 20} MiB, which is too large to be written anew",
            hint="save it as Parquet with the names of its labels",
        )
    why = "it is a file of the library `datasets`"
    found = coded(names) if names else None
    if found is None:
        return rows, why
    return [new for row in rows for new in found[0](row)], f"{why}; {found[1]}"


def _arrow_rows(path: Path, suffix: str) -> tuple[dict[str, Names], Rows | None]:
    """Return the names of labels by column, and the rows; None of a table of Parquet without such names."""
    import pyarrow as pa  # an extra
    import pyarrow.parquet as pq

    with open_regular(path) as stream:
        if suffix in COLUMNAR:
            names = names_in_schema(pq.read_schema(stream).metadata)
            return names, pq.read_table(stream).to_pylist() if names else None
        table = pa.ipc.open_stream(stream).read_all()
        return names_in_schema(table.schema.metadata), table.to_pylist()


def _intents_of_yaml(text: str, path: Path) -> tuple[Rows, str] | None:
    """Read Rasa's `nlu`: intents with their examples, one a line; rows of a YAML list as they are."""
    try:
        value = load_rows(text)
    except (yaml.YAMLError, ValueError) as error:
        raise DataError.one("D325", f"`{path.name}` is not YAML: {error}") from error
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        named = [{str(name): one for name, one in item.items()} for item in value]
        return named, "it is a list of objects in YAML"
    items = value.get("nlu") if isinstance(value, Mapping) else None
    if not isinstance(items, list):
        return _mapped_rows(value, path)
    rows = [
        example_of_intent(line.strip().removeprefix("-").strip(), as_text(item["intent"]) or "")
        for item in items
        if isinstance(item, Mapping) and isinstance(item.get("intent"), str | int | float)
        for line in _examples(item.get("examples"))
    ]
    return rows, "examples stand below their intents, as Rasa writes them"


def _mapped_rows(value: object, path: Path) -> tuple[Rows, str]:
    """Return the rows of a mapping in YAML, as JSON's are read. DataError D326 where it holds none."""
    below = list(value.values()) if isinstance(value, Mapping) else []
    lists = [
        one
        for one in below
        if isinstance(one, list) and one and all(isinstance(i, dict) for i in one)
    ]
    if found := _by_column(value):
        return found
    if lists:
        rows = [{str(name): one for name, one in item.items()} for item in max(lists, key=len)]
        return rows, "it holds a list of objects in YAML"
    raise DataError.one(
        "D326",
        f"`{path.name}` holds no list of objects, so it has no rows",
        hint="rows are objects of one list, or lists of texts below their labels",
    )


def _examples(value: object) -> list[str]:
    if isinstance(value, list):
        texts = [item.get("text", "") if isinstance(item, Mapping) else str(item) for item in value]
        return [str(text) for text in texts if str(text).strip()]
    return [line for line in str(value or "").splitlines() if line.strip(" -")]


def _is_regular(text: str, delimiter: str) -> bool:
    """Whether nearly all lines have as many cells as the first one, and more than one."""
    rows = list(islice(csv.reader(text.splitlines(), delimiter=delimiter), 200))
    widths = [len(row) for row in rows if row]
    return bool(widths) and widths[0] > 1 and widths.count(widths[0]) >= 0.9 * len(widths)


def _table_below_titles(text: str, *, delimiter: str) -> tuple[Rows, str] | None:
    """Read a table whose first lines are titles or notes: fewer cells than the rows below them."""
    try:
        head = [
            row for row in islice(csv.reader(text.splitlines(), delimiter=delimiter), 60) if row
        ]
    except csv.Error:
        return None  # the reader reports it with its line
    if len(head) < 8:
        return None
    widths = sorted(map(len, head[4:]))
    usual = widths[len(widths) // 2]
    filled = [sum(bool(cell.strip()) for cell in row) for row in head]
    is_regular = len([width for width in widths if width == usual]) >= 0.9 * len(widths)
    if usual < 2 or filled[0] > max(1, 0.5 * usual) or not is_regular:
        return None
    return _rows_of(text, delimiter), "lines stand above the names of its columns"


def _rows_of(text: str, delimiter: str) -> Rows:
    rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    return list(rows_below_header([row for row in rows if row]))
