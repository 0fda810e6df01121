"""Files that no reader of a recipe reads, as plain rows: documents of JSON and YAML, tables below titles, Arrow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from engine.data.examples.template import as_text
from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks
from engine.drafting.foreign_yaml import load_rows
from engine.drafting.label_columns import Names, class_names, coded
from engine.drafting.layout_table import PATTERNS, texts
from engine.drafting.lines import example_of_intent, refuse_numbers, rows_of_intents, rows_of_lines
from engine.drafting.marks import marked_text
from engine.drafting.profile import may_be_called
from engine.drafting.reading import cells_of, divider_of
from engine.drafting.workbooks import SUFFIXES, rows_below_header, rows_of_workbook
from engine.errors import DataError, needs_extra
from engine.files.reading import open_regular, parse_json

Rows = list[dict[str, Any]]
Found = tuple[Rows, str] | None
"""Rows, and what they were."""
LARGEST: Final = 1 << 26
"""Bytes of a file that is held whole to make rows of it."""
PAGES: Final = (".md", ".markdown")
TABLES: Final = (".csv", ".tsv", ".tab")
COLUMNAR: Final = (".parquet", ".pq")
KNOWN_COLUMNS: Final = ("text", "label", "answer", "id")
FEWEST: Final = 4
"""Rows from which lists are columns, and lines rows."""
LOOKED_AT: Final = 60
"""Lines of a table by which it is recognised."""


def foreign_rows(path: Path, encoding: str) -> Found:
    """Return the rows of a file that a recipe cannot read as it stands, and what it is; None where it can.

    DataError where the file is broken.
    """
    suffix = suffix_of(path)
    if suffix in SUFFIXES:
        return rows_of_workbook(path)
    if suffix in (*COLUMNAR, ".arrow"):
        return _columnar(path, suffix)
    if suffix in (".jsonl", ".ndjson", ".xml") or path.stat().st_size > LARGEST:
        return None
    text = "".join(chunks(path, encoding, Trouble(path.name)))
    if suffix in (".yml", ".yaml"):
        return _of_yaml(text, path)
    if not (found := rows_of_lines(text, is_table=True)):
        if suffix in TABLES:
            found = _of_table(text, "," if suffix == ".csv" else "\t")
        elif suffix == ".json":
            found = _of_json(text)
        elif suffix in PAGES:
            found = rows_of_intents(text.splitlines())
        # A JSON value, or a tag, is what the usual readers recognise by themselves.
        elif text.lstrip()[:1] not in ("{", "<"):
            found = rows_of_lines(text)
    if suffix not in (*TABLES, ".json", *PAGES):
        refuse_numbers(text, path.name)
    return found


def suffix_of(path: Path) -> str:
    return Path(re.sub(r"\.(?:gz|zst|bz2|xz)\Z", "", path.name.lower())).suffix


def is_workbook(path: Path) -> bool:
    return suffix_of(path) in SUFFIXES


def _of_table(text: str, usual: str) -> Found:
    if stated := re.match(r"\ufeff?sep=(.)\r?\n", text):
        # Excel's own line, which says how it shall be read.
        why = "its first line says what divides its columns"
        return _rows_of(text[stated.end() :], stated[1], why)
    start = text.find("\n") + 1
    if (orange := PATTERNS["header of Orange"].match(text, start)) and orange[0].strip("\t,\r\n"):
        why = "two lines below the names say what its columns hold, as Orange writes them"
        return _rows_of(text[:start] + text[orange.end() :], usual, why)
    lines = text.splitlines(keepends=True)
    head = cells_of(lines, usual, most=LOOKED_AT)
    if head and (again := _repeated_name(head)):
        why = f"`{again}` names several of its columns: the others are numbered"
        return _rows_of(text, usual, why)
    # Decimal commas divide nothing; what is no table at all the reader reports with its line.
    for delimiter in (
        () if not head or divider_of(text, ";|\t") else dict.fromkeys((usual, *",;\t|"))
    ):
        table = cells_of(lines, delimiter, most=LOOKED_AT)
        # Titles and notes fill fewer cells than the rows below them.
        widths = [sum(bool(cell.strip()) for cell in row) for row in table]
        below = sorted(widths[FEWEST:])
        most = below[len(below) // 2] if len(table) >= 8 else 0
        is_full = sum(width > 0.6 * most for width in below) >= 0.9 * len(below)
        if most > 1 and widths[0] <= max(1, 0.5 * most) and is_full:
            return _rows_of(text, delimiter, "lines stand above the names of its columns")
    return None


def _rows_of(text: str, delimiter: str, why: str) -> Found:
    table = cells_of(text.splitlines(keepends=True), delimiter)
    return (list(rows_below_header(table)), why) if table else None


def _repeated_name(table: Sequence[Sequence[str]]) -> str:
    """Return the name of several columns of a table, as exports of issue trackers have them; empty for any other."""
    names = [name.strip() for name in table[0]]
    # A first row of data may repeat a cell too: it stands again below.
    is_named = all(
        PATTERNS["name"].match(name)
        and not any(len(row) > at and row[at] == name for row in table[1:])
        for at, name in enumerate(names)
        if name
    )
    return next((name for name in names if is_named and name and names.count(name) > 1), "")


def _of_json(text: str) -> Found:
    try:
        value = parse_json(text)
    except ValueError:
        return None  # the reader reports it with its line
    if isinstance(value, Mapping):
        return _parts_below_intent(value) or _by_column(value)
    if not isinstance(value, list) or len(value) < FEWEST:
        return None
    return ([{"text": one} for one in value], "it holds a list of texts") if texts(value) else None


def _parts_below_intent(value: Mapping[str, Any]) -> Found:
    """Read SNIPS' examples: `{"PlayMusic": [{"data": [{"text": "play "}, {"text": "jazz", "entity": "genre"}]}]}`."""
    rows: Rows = []
    for label, examples in value.items():
        for item in examples if isinstance(examples, list) else ():
            parts = item.get("data") if isinstance(item, Mapping) else None
            if not isinstance(parts, list) or not texts([part.get("text") for part in parts]):
                return None
            named = ((p["text"], str(p.get("entity", p.get("slot_name")) or "")) for p in parts)
            rows.append({**marked_text(named), "label": label})
    return (rows, "each text is in parts below its intent, as SNIPS writes it") if rows else None


def _by_column(value: Mapping[str, Any]) -> Found:
    """Read an object of columns, of rows by their index, of texts by their label, or of answers by their text."""
    parts = list(value.values())
    if all(isinstance(part, list) for part in parts):
        return _lists_of_columns(value) if len(value) > 1 else None
    if texts(parts) and len(parts) >= FEWEST:
        answer = "label" if 2 * len(set(parts)) <= len(parts) else "answer"
        rows: Rows = [{"text": text, answer: one} for text, one in value.items()]
        return rows, f"each text is the key of its {answer}"
    keys = [tuple(part) for part in parts if isinstance(part, Mapping)]
    if len(keys) < max(2, len(parts)):
        return None
    if len(set(keys)) == 1 and all(key.isdigit() for key in keys[0]):
        rows = [{name: part[key] for name, part in value.items()} for key in keys[0]]
        return rows, "it holds an object for each column"
    # Rows may lack a key, but they share most of them.
    if len(parts) >= FEWEST and len(set(keys[0]).intersection(*keys)) >= 2:
        return [dict(part) for part in parts], "it holds its rows by their names"
    return None


def _lists_of_columns(value: Mapping[str, list[Any]]) -> Found:
    """Read a list for each column, else the texts of each label."""
    parts = list(value.values())
    items = [item for part in parts for item in part]
    is_flat = not any(isinstance(item, list | Mapping) for item in items)
    # Texts of as many for each label, which no column is called after.
    is_known = any(may_be_called(name, *KNOWN_COLUMNS) for name in value)
    worded = sum(" " in str(one) for one in items)
    are_texts = len(parts) > 2 and not is_known and worded >= 0.95 * len(items)
    is_long = len({len(part) for part in parts}) == 1 and len(parts[0]) >= FEWEST
    if is_long and is_flat and not are_texts:
        rows = [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
        return rows, "it holds a list for each column"
    rows = [{"text": text, "label": label} for label, some in value.items() for text in some]
    is_usable = len(rows) >= 2 * len(value) and all(isinstance(row["text"], str) for row in rows)
    return (rows, "its texts stand below their label") if is_usable else None


def _columnar(path: Path, suffix: str) -> Found:
    """Read a file of the library `datasets`: Arrow, or Parquet whose schema names the numbers of labels.

    None for other Parquet files, and for broken and large ones: their reader reads them a batch at a time, or reports
    what is wrong.
    """
    with needs_extra(f"reading `{path.name}` needs pyarrow", "data"):
        import pyarrow as pa  # an extra
        import pyarrow.parquet as pq
    rows: Rows | None = None
    names: dict[str, Names] = {}
    reason = f"is larger than {LARGEST >> 20} MiB, which is too large to be written anew"
    try:
        if path.stat().st_size <= LARGEST:
            with open_regular(path) as stream:
                if suffix in COLUMNAR:
                    names = _names_in_schema(pq.read_schema(stream).metadata)
                    rows = pq.read_table(stream).to_pylist() if names else None
                else:
                    table = pa.ipc.open_stream(stream).read_all()
                    names, rows = _names_in_schema(table.schema.metadata), table.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0].lower() if str(error) else "it ends early"
        rows, reason = None, f"cannot be read: {why}"
    if rows is None and suffix in COLUMNAR:
        return None
    if rows is None:
        hint = "save it as Parquet with the names of its labels"
        raise DataError.one("D328", f"`{path.name}` {reason}", hint=hint)
    why = "it is a file of the library `datasets`"
    if not names or (named := coded(names)) is None:
        return rows, why
    return [new for row in rows for new in named[0](row)], f"{why}; {named[1]}"


def _names_in_schema(metadata: Mapping[bytes, bytes] | None) -> dict[str, Names]:
    """Return the names of the labels of each column, as `datasets` keeps them in the schema of a file."""
    try:
        value: Any = parse_json((metadata or {}).get(b"huggingface", b"{}").decode())
        features = value["info"]["features"]
        found = {str(column): class_names(feature) for column, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {column: dict(enumerate(names)) for column, names in found.items() if names}


def _of_yaml(text: str, path: Path) -> Found:
    """Read Rasa's `nlu` (intents with their examples, one a line), rows of a list, and mappings as those of JSON."""
    try:
        value = load_rows(text)
    except (yaml.YAMLError, ValueError) as error:
        raise DataError.one("D325", f"`{path.name}` is not YAML: {error}") from error
    if rows := _objects_in(value):
        return rows, "it is a list of objects in YAML"
    if isinstance(value, Mapping) and isinstance(value.get("nlu"), list):
        rows = [
            example_of_intent(line.strip().removeprefix("-").strip(), as_text(item["intent"]) or "")
            for item in value["nlu"]
            if isinstance(item, Mapping) and isinstance(item.get("intent"), str | int | float)
            for line in _examples(item.get("examples"))
        ]
        return rows, "examples stand below their intents, as Rasa writes them"
    below = list(map(_objects_in, value.values())) if isinstance(value, Mapping) else []
    if isinstance(value, Mapping) and (found := _by_column(value)):
        return found
    if any(below):
        return max(below, key=len), "it holds a list of objects in YAML"
    raise DataError.one(
        "D326",
        f"`{path.name}` holds no list of objects, so it has no rows",
        hint="rows are objects of one list, or lists of texts below their labels",
    )


def _objects_in(value: object) -> Rows:
    items = value if isinstance(value, list) else []
    are_rows = all(isinstance(item, dict) for item in items)
    return [{str(k): one for k, one in item.items()} for item in items] if are_rows else []


def _examples(value: object) -> list[str]:
    if isinstance(value, list):
        found = [item.get("text", "") if isinstance(item, Mapping) else item for item in value]
        return [str(text) for text in found if str(text).strip()]
    return [line for line in str(value or "").splitlines() if line.strip(" -")]
