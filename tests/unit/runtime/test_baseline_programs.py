"""`predict.py` of an exported baseline: what it reads of rows, beside a model that answers with the text itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.template import parse_template
from engine.errors import DataError
from engine.runtime import baseline_folder
from support.source_files import read

TEMPLATE = "{id}: {body.text} {body.tags.1}"
ECHO = "def classify(texts, folder, settings):\n    return [repr(text) for text in texts]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "baseline"
    place.mkdir()
    shutil.copy(Path(baseline_folder.__file__).with_name("predict.py"), place)
    (place / "classifier.py").write_text(ECHO, encoding="utf-8")
    template = parse_template(TEMPLATE)
    columns = {"between": list(template.pieces), "columns": list(template.columns)}
    settings = {"python": "3.13", "labels": [], "several": False, "input": columns}
    (place / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return place


def predicted(folder: Path, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(folder / "predict.py"), str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "body": {"text": "x", "tags": ["a", "b"]}},
        {"id": 1.5, "body": None},
        {"id": None, "body": {"text": None, "tags": None}},
        {"id": True, "body": {"text": {"ä": [1, None]}, "tags": [0, ""]}},
        {"id": "1", "body.text": "whole", "body": {"tags": [[], {}]}},
    ],
)
def test_a_row_is_read_as_the_engine_reads_it(row: dict[str, Any], folder: Path) -> None:
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps(row), encoding="utf-8")
    answered = predicted(folder, rows)

    assert answered.stderr == ""
    assert answered.stdout == f"{parse_template(TEMPLATE).fill(row)[0]!r}\n"


def test_its_neighbours_are_found_where_python_does_not_look_beside_programs(folder: Path) -> None:
    rows = folder / "rows.txt"
    rows.write_text("x\n", encoding="utf-8")
    command = [sys.executable, "-P", "-S", str(folder / "predict.py"), str(rows)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.stderr) == ("'x'\n", "")


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "rows.txt").write_bytes("first\nzwölf\n".encode("latin-1"))
    other = predicted(folder, folder / "rows.txt")
    absent = predicted(folder, folder / "none.txt")

    assert (other.returncode, absent.returncode) == (1, 1)
    assert other.stderr.endswith("look at line 2, or name its --encoding, such as cp1252\n")
    assert absent.stderr == f"{folder / 'none.txt'} cannot be read: No such file or directory\n"


TABLE = 'text,label\nzwölf,a\n"x,y\r\nz",b\n'
FILES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "marked.csv": (TABLE.encode("utf-8-sig"), {}),
    "utf16.csv": (TABLE.encode("utf-16"), {"encoding": "utf-16"}),
    "semicolons.csv": (b'text;label\nx, y;a\n"x;y";b\n', {"delimiter": ";"}),
    "tabs.csv": (b'text\tlabel\n"x\ty"\ta\n', {"delimiter": "\t"}),
    "bars.csv": (b"id|text\n1|x\n", {"delimiter": "|"}),
    "old.csv": (b"text,label\rx,a\ry,b\r", {}),
    "unnamed.csv": (b"text,\n\nx,\n", {}),
    "rows.tsv": (b'id\ttext\n1\t"x\n2\ta\rb\n', {}),
    "pandas.tsv": (b'id\ttext\n1\t"say ""x"""\n2\ty\n', {"quoting": "double"}),
    "rows.jsonl": ('\ufeff{"text": "x\\n"}\n\n{"text": [1]}\r\n'.encode(), {}),
    "rows.txt": ("x\u2028y\n\na\rb\x0cc\r\n".encode(), {"format": "lines"}),
}
BROKEN: dict[str, tuple[bytes, str]] = {
    "open.csv": (b'text,label\n"x,a\ny,b\n', "row 1: unexpected end of data"),
    "quotes.csv": (b'text,label\nx,a\n"y" z,b\n', "row 2: ',' expected after '\"'"),
    "short.csv": (b"text,label\nx,a\ny\n", "row 2: the header names 2 columns, and it has 1"),
    "twice.csv": (b"text,text\nx,y\n", "the header names `text` more than once: text, text"),
    "binary.csv": (b"text,label\nx\0,a\n", "holds the character U+0000"),
    "twice.jsonl": (b'{"text": "x", "text": "y"}\n', "row 1: an object has a key twice"),
    "nan.jsonl": (b'{"text": "x"}\n{"text": NaN}\n', "row 2: NaN is not JSON"),
    "half.jsonl": (
        b'{"text": "x"}\n{"text": "\\ud83d"}\n',
        "row 2: half a surrogate pair is no character",
    ),
    "header.csv": (b"text,label\n", "has no rows"),
}


@pytest.fixture
def of_texts(folder: Path) -> Path:
    """The folder of a model that reads the column `text`."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    settings["input"] = {"between": ["", ""], "columns": ["text"]}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_the_engine_reads_it(name: str, of_texts: Path) -> None:
    content, stated = FILES[name]
    rows = read(of_texts, name, content, **stated)
    answered = predicted(of_texts, of_texts / name)

    assert answered.stderr == ""
    texts = [parse_template("{text}").fill(row)[0] for row in rows]
    assert answered.stdout.splitlines() == [repr(text) for text in texts]


def test_another_encoding_is_named(of_texts: Path) -> None:
    (of_texts / "rows.csv").write_bytes(TABLE.encode("latin-1"))
    answered = predicted(of_texts, of_texts / "rows.csv", "--encoding", "latin-1")
    unknown = predicted(of_texts, of_texts / "rows.csv", "--encoding", "latin-99")

    assert answered.stdout.splitlines()[0] == "'zwölf'"
    assert (unknown.returncode, unknown.stderr.splitlines()[-1]) == (
        2,
        "predict.py: error: no encoding is called latin-99",
    )


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_engine_refuses_gets_no_answers(name: str, of_texts: Path) -> None:
    content, why = BROKEN[name]
    with pytest.raises(DataError):
        read(of_texts, name, content)
    answered = predicted(of_texts, of_texts / name)

    assert (answered.returncode, answered.stdout) == (1, "")
    assert why in answered.stderr
