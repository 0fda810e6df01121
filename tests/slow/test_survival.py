"""A few drawn kills, signals, full disks and damages of whole runs; `benchmarks` plays more of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.paths import ROOT, TESTS

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="what is alive is seen on Linux")
@pytest.mark.parametrize(
    "words",
    [
        "kills.py --kills 8 --seed 1",
        "kills.py --kills 4 --seed 2 --signal TERM",
        "full_disk.py --cases 6 --seed 1",
        "damages.py --seed 1 --every 30",
    ],
)
def test_whole_runs_survive(words: str) -> None:
    program, *given = words.split()
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / program), *given],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
