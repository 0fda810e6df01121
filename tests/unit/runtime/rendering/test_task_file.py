"""`task.json` beside a stranger's GGUF: read, or refused with X642, whatever it holds."""

import json
import os
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.runtime.rendering.task_file import FILE, read_task_file
from support.fuzz_targets import TASK as GOOD


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(GOOD))

    assert read_task_file(tmp_path).max_new_tokens == 9


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "1", '"x"', "{}", '{"version": 2}', "\x00"),
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"version": ' + "9" * 10_000 + "}",
        json.dumps({**GOOD, "max_new_tokens": 10**9}),
        json.dumps({**GOOD, "max_new_tokens": 0}),
        json.dumps({**GOOD, "max_new_tokens": "9"}),
        json.dumps({**GOOD, "before": 1}),
        json.dumps({**GOOD, "answers": ["x"]}),
        json.dumps({**GOOD, "answers": [1, 2]}),
        json.dumps({**GOOD, "task": []}),
        json.dumps({**GOOD, "task": {**GOOD["task"], "labels": None}}),
        json.dumps({**GOOD, "task": {**GOOD["task"], "kind": {}}}),
        json.dumps({**GOOD, "task": {**GOOD["task"], "schema": [1]}}),
    ],
)
def test_anything_else_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)

    with pytest.raises(StageError, match="X642"):
        read_task_file(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)

    with pytest.raises(StageError, match="X642"):
        read_task_file(tmp_path)
