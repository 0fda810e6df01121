"""A tool that fails for want of room says so by the system's error, whatever is left of its own words."""

import errno
import resource
from pathlib import Path

import pytest

from engine.errors import StageError
from engine.process import start as processes
from engine.runtime.tool_process import run_tool

MOST = 1 << 16
WRITES = """
import os, sys
with open(sys.argv[1], "wb") as file:
    file.write(bytes(int(sys.argv[2])))
os._exit(1)
"""


def _run(folder: Path, size: int) -> None:
    script = folder / "tool.py"
    script.write_text(WRITES, encoding="utf-8")
    out = folder / "out"
    out.mkdir()
    command = processes.script(script)(str(out / "file"), str(size))
    run_tool(command, code="X632", tool="it", reads=(script,), writes=(out,))


@pytest.mark.parametrize("size", [MOST, MOST + 1])
def test_a_file_as_large_as_may_be_is_why_a_tool_fails(tmp_path: Path, size: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, before[1]))
    try:
        with pytest.raises(OSError, match="large") as caught:
            _run(tmp_path, size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert caught.value.errno == errno.EFBIG


def test_so_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.store.LITTLE", 1 << 60)

    with pytest.raises(OSError, match="space") as caught:
        _run(tmp_path, 9)

    assert caught.value.errno == errno.ENOSPC


def test_any_other_failure_keeps_its_code(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        _run(tmp_path, MOST)

    assert caught.value.problems[0].code == "X632"
