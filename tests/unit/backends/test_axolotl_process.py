"""The Axolotl process ends when we end, however we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.backends.axolotl_launch import _end

CHILD = (
    "import sys, time; from engine.backends.axolotl_child import die_with; "
    "die_with(int(sys.argv[1])); print(1, flush=True); time.sleep(60)"
)
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_when_the_engine_is_killed_its_child_does_not_live_on(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=root
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    assert _is_gone(child)


def test_a_child_whose_parent_is_already_gone_does_not_start(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, "1"], cwd=root, check=False, timeout=30)

    assert done.returncode == 1


def test_ending_reaches_grandchildren(root: Path) -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", nested, inner],
        stdout=subprocess.PIPE,
        cwd=root,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        _end(process)

    assert _is_gone(grandchild)


def _is_gone(process: int) -> bool:
    """No such process, or one that has ended and was not yet collected."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{process}/status")
        if status.exists() and "State:\tZ" in status.read_text(encoding="utf-8"):
            return True
        time.sleep(0.05)
    return False
