"""`predict.py` of an exported baseline: what it reads of rows, beside a model that answers with the text itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.template import parse_template
from engine.runtime import baseline_folder

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


def predicted(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(folder / "predict.py"), str(file)]
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


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "rows.txt").write_bytes("first\nzwölf\n".encode("latin-1"))
    other = predicted(folder, folder / "rows.txt")
    absent = predicted(folder, folder / "none.txt")

    assert (other.returncode, absent.returncode) == (1, 1)
    assert other.stderr.endswith("is not UTF-8: look at line 2, or write it again as UTF-8\n")
    assert absent.stderr == f"{folder / 'none.txt'} cannot be read: No such file or directory\n"
