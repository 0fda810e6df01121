"""Label texts with the model of this folder.

    python predict.py rows.csv > labels.txt

Reads a CSV or TSV file with a header (.csv, .tsv), JSON Lines (.jsonl), or one text a line (.txt); `-` is standard
input, and `--format` says what a file of another name holds. Prints one answer a line, in the order of the rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FORMS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".txt": "text"}
TABLES: Mapping[str, Mapping[str, Any]] = {
    "csv": {},
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}
SETTINGS: Mapping[str, Any] = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))


def main() -> None:
    """Read the rows, and print their answers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="the rows; - reads standard input")
    parser.add_argument("--format", choices=[*FORMS.values()], help="default: by its name")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON")
    options = parser.parse_args()
    form = options.format or FORMS.get(Path(options.file).suffix.lower())
    if form is None:
        # A table that is read as one text a line would be answered all the same, and wrongly.
        parser.error(f"what does {options.file} hold? --format {', '.join(FORMS.values())}")
    texts = list(texts_of(io.StringIO(content_of(options.file), newline=""), form))
    answers = answers_to(texts) if texts else ()
    written = "".join(f"{as_json(one) if options.json else as_text(one)}\n" for one in answers)
    sys.stdout.buffer.write(written.encode("utf-8"))


def content_of(file: str) -> str:
    """Return the text of a file, or of standard input."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        sys.exit(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        sys.exit(f"{file} is not UTF-8: look at line {line}, or write it again as UTF-8")


def answers_to(texts: Sequence[str]) -> Any:
    """Return the answer of the model to each text."""
    try:
        from classifier import classify  # takes seconds; unreadable rows are refused before
    except ModuleNotFoundError as error:
        wanted = HERE / "requirements.txt"
        made = f"checked in Python {SETTINGS['python']}"
        sys.exit(f"{error.name} is not installed: pip install -r {wanted} ({made})")
    return classify(texts, HERE, SETTINGS)


def texts_of(lines: Iterable[str], form: str) -> Iterator[str]:
    """Yield what the model reads of each row."""
    rows: Iterable[Any] = lines
    if form in TABLES:
        csv.field_size_limit(2**31 - 1)
        table = csv.DictReader(lines, **TABLES[form])
        # a row that ends early has no later columns, rather than empty ones
        rows = ({name: one for name, one in row.items() if one is not None} for row in table)
    elif form == "jsonl":
        rows = (line for line in lines if line.strip())
    for number, row in enumerate(rows, start=1):
        try:
            text = text_of(json.loads(row) if form == "jsonl" else row)
        except ValueError as error:
            sys.exit(f"row {number}: {error}")
        yield text


def text_of(row: Any) -> str:
    """Return the text of a row: a line as it is, of an object the columns that the recipe names."""
    if isinstance(row, str):
        return row.removesuffix("\n").removesuffix("\r")
    if not isinstance(row, dict):
        raise ValueError("it is neither a text nor an object")  # noqa: TRY004 - as what is wrong in any other row
    if None in row:
        raise ValueError("it has more values than the header")
    between = SETTINGS["input"]["between"]
    columns = [as_value(found_at(row, column)) for column in SETTINGS["input"]["columns"]]
    return "".join([between[0], *map(str.__add__, columns, between[1:])])


def found_at(row: dict[str, Any], column: str) -> Any:
    """Return the value of a column, or at a path with dots through objects and lists; null below null."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        elif value is None:
            return None
        else:
            raise ValueError(f"it has no column `{column}`")
    return value


def as_value(value: Any) -> str:
    """Return a text as it is, nothing for null, and anything else as compact JSON."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def labels_of(answer: Any) -> list[str]:
    """Return the labels of an answer that has a yes or no for each."""
    return [label for label, has in zip(SETTINGS["labels"], answer, strict=True) if has]


def as_text(answer: Any) -> str:
    """Return the label, or the labels with commas between them; `none` for no label."""
    return ", ".join(labels_of(answer)) or "none" if SETTINGS["several"] else str(answer)


def as_json(answer: Any) -> str:
    """Return the label as a JSON text, or the labels as a list."""
    found = labels_of(answer) if SETTINGS["several"] else str(answer)
    return json.dumps(found, ensure_ascii=False)


if __name__ == "__main__":
    main()
