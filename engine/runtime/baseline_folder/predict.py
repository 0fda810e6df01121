"""Label texts with the model of this folder.

    python predict.py rows.csv > labels.txt

Reads a CSV or TSV file with a header (.csv, .tsv), JSON Lines (.jsonl), or one text a line (.txt); `-` is standard
input, and `--format` says what a file of another name holds. The columns of CSV may be divided by commas, semicolons,
tabs or `|`; text is UTF-8, UTF-16 that begins with its mark, or as `--encoding` says. Prints one answer a line, in the
order of the rows.
"""

import argparse
import codecs
import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FORMS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".txt": "text"}
QUOTED = re.compile(r'"(?:[^"]|"")*"')
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SETTINGS: Mapping[str, Any] = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))


def main() -> None:
    """Read the rows, and print their answers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="the rows; - reads standard input")
    parser.add_argument("--format", choices=[*FORMS.values()], help="default: by its name")
    parser.add_argument("--encoding", default="utf-8-sig", help="of the file; default: UTF-8")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON")
    options = parser.parse_args()
    form = options.format or FORMS.get(Path(options.file).suffix.lower())
    if form is None:
        # A table that is read as one text a line would be answered all the same, and wrongly.
        parser.error(f"what does {options.file} hold? --format {', '.join(FORMS.values())}")
    try:
        codecs.lookup(options.encoding)
    except LookupError:
        parser.error(f"no encoding is called {options.encoding}")
    texts = texts_of(content_of(options.file, options.encoding), form)
    if not texts and options.file != "-":
        sys.exit(f"{options.file} has no rows")
    answers = answers_to(texts) if texts else ()
    written = "".join(f"{as_json(one) if options.json else as_text(one)}\n" for one in answers)
    sys.stdout.buffer.write(written.encode("utf-8"))


def content_of(file: str, encoding: str) -> str:
    """Return the text of a file, or of standard input."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = content.decode("utf-16" if content.startswith(UTF16) else encoding)
    except OSError as error:
        sys.exit(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        name = error.encoding.upper()
        sys.exit(
            f"{file} is not {name}: look at line {line}, or name its --encoding, such as cp1252"
        )
    if "\0" in text:
        sys.exit(f"{file} holds the character U+0000: it is no text, or needs --encoding utf-16-le")
    return text


def answers_to(texts: Sequence[str]) -> Any:
    """Return the answer of the model to each text."""
    if str(HERE) not in sys.path:
        # With -P or PYTHONSAFEPATH, Python does not look beside a program for modules.
        sys.path.insert(0, str(HERE))
    try:
        from classifier import classify  # takes seconds; unreadable rows are refused before
    except ModuleNotFoundError as error:
        wanted = HERE / "requirements.txt"
        made = f"checked in Python {SETTINGS['python']}"
        sys.exit(f"{error.name} is not installed: pip install -r {wanted} ({made})")
    return classify(texts, HERE, SETTINGS)


def texts_of(content: str, form: str) -> list[str]:
    """Return what the model reads of each row; a file with a row that cannot be read is refused whole."""
    texts: list[str] = []
    try:
        for row in rows_of(content, form):
            texts.append(text_of(row))  # noqa: PERF401 - their number names the row that is broken
    except (ValueError, csv.Error) as error:
        sys.exit(f"row {len(texts) + 1}: {error}")
    return texts


def rows_of(content: str, form: str) -> Iterable[Any]:
    """Return the rows: texts, or objects by column. ValueError and csv.Error for one that is broken."""
    if form == "csv":
        csv.field_size_limit(2**31 - 1)
        return table(
            csv.reader(io.StringIO(content, newline=""), delimiter=divider(content), strict=True)
        )
    # only a line feed ends a line
    lines = content.removesuffix("\n").split("\n") if content else []
    bodies = (line.removesuffix("\r") for line in lines)
    if form == "tsv":
        return table(split_at_tabs([body for body in bodies if body]))
    return bodies if form == "text" else map(json_value, filter(str.strip, bodies))


def split_at_tabs(lines: Sequence[str]) -> Iterable[list[str]]:
    """Return the cells of TSV; quotes are theirs, but where all that hold any are quoted and some double them."""
    cells = [cell for line in lines for cell in line.split("\t") if '"' in cell]
    if any('""' in cell[1:-1] for cell in cells) and all(map(QUOTED.fullmatch, cells)):
        return csv.reader(lines, delimiter="\t", strict=True)
    return [line.split("\t") for line in lines]


def divider(content: str) -> str:
    """Return what divides the columns of a CSV file: with it the header has those that the model reads."""
    for sign in ",;\t|":
        header = csv.reader(io.StringIO(content, newline=""), delimiter=sign)
        if set(SETTINGS["input"]["columns"]) <= set(next(filter(None, header), [])):
            return sign
    return ","


def table(rows: Iterable[list[str]]) -> Iterator[dict[str, str]]:
    """Yield the rows below the header, by its names."""
    filled = filter(None, rows)
    names = [
        name if name.strip() else f"column_{at}" for at, name in enumerate(next(filled, []), 1)
    ]
    twice = [name for name, times in Counter(names).items() if times > 1]
    absent = [name for name in SETTINGS["input"]["columns"] if name not in names]
    if names and (twice or absent):
        wrong = f"names `{twice[0]}` more than once" if twice else f"has no column `{absent[0]}`"
        sys.exit(f"the header {wrong}: {', '.join(names)}")
    for row in filled:
        if len(row) != len(names):
            raise ValueError(f"the header names {len(names)} columns, and it has {len(row)}")
        yield dict(zip(names, row, strict=True))


def json_value(line: str) -> Any:
    """Return the value of a line. ValueError where it is no JSON, a key stands twice, or half a character is named."""

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("an object has a key twice")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    value = json.loads(line, object_pairs_hook=to_object, parse_constant=refuse)
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("half a surrogate pair is no character") from error
    return value


def text_of(row: Any) -> str:
    """Return the text of a row: a text as it is, of an object the columns that the recipe names."""
    if isinstance(row, str):
        return row
    if not isinstance(row, dict):
        raise ValueError("it is neither a text nor an object")  # noqa: TRY004 - as what is wrong in any other row
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
    if value is None:
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
