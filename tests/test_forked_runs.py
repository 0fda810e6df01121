"""The helper that ends what runs leave alive ends nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.forked_runs import alive, fork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc")
WAIT = "import time; time.sleep(60)"


def test_only_what_a_run_left_alive_is_ended(tmp_path: Path) -> None:
    support = tmp_path / "tests" / "support"
    support.mkdir(parents=True)
    script = support / "made_up_server.py"
    script.write_text(WAIT, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", WAIT]) as earlier:
        run = fork(tmp_path, lambda: 0)
        with (
            subprocess.Popen([sys.executable, str(script)]) as server,
            subprocess.Popen([sys.executable, "-c", WAIT]) as left,
        ):
            assert run.wait() == 0

            lines = alive(seconds=0.2)

            assert [line for line in lines if WAIT in line]
            assert not [line for line in lines if "made_up_server" in line]
            # the helper has reaped it, so nothing but its number is asked
            left.returncode = -9
            assert (earlier.poll(), server.poll()) == (None, None)
            server.kill()
        earlier.kill()
