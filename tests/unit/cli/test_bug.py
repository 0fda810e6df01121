"""The report of a bug starts no program: one of that name may lie in the folder that one stands in."""

import os
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

CALL = "from engine.cli.main import report_bug; report_bug(ValueError('x'), ['validate'])"


def test_a_report_starts_nothing(tmp_path: Path) -> None:
    for name in ("uname", "sh"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f".{os.pathsep}{os.environ['PATH']}"}  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-P", "-c", CALL], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )  # fmt: skip

    assert "I900" in done.stderr
    assert not (tmp_path / "ran").exists()
