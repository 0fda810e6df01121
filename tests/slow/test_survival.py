"""A few drawn kills, signals, full disks and damages of whole runs; `benchmarks` plays more of them."""

import os
import subprocess
import sys

import pytest

from support.paths import ROOT, TESTS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


PLAYED = (
    "kills.py --kills 8 --seed 1",
    "kills.py --kills 4 --seed 2 --signal TERM",
    "full_disk.py --cases 6 --seed 1",
    "damages.py --seed 1 --every 30",
)


@pytest.fixture(scope="module")
def ended() -> str:
    """What was printed by all of them on one project, in a process that imports once."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "survival.py"), *PLAYED],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="what is alive is seen on Linux")
@pytest.mark.parametrize("words", PLAYED)
def test_whole_runs_survive(words: str, ended: str) -> None:
    assert f"{words}: ended with 0\n" in ended, ended[-6000:]
