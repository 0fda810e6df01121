"""A process whose children run the command and are ended where a test says."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from support.paths import ROOT, TESTS
from support.project import Project

Kill = Callable[..., int]


@pytest.fixture(scope="session")
def server() -> Iterator[subprocess.Popen[str]]:
    """The process whose children die; started once, since it imports torch."""
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "support" / "kill_server.py")],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.communicate()


@pytest.fixture
def kill(server: subprocess.Popen[str], finished: Project) -> Kill:
    """Run the command until it dies in a stage; the exit status, negative for a signal."""

    def kill(stage: str, *, after: int | None = None, number: int = signal.SIGKILL) -> int:
        request = {
            "folder": str(finished.folder),
            "log": str(finished.folder / "dead.log"),
            "words": ["run", "recipe.yaml"],
            "stage": stage,
            "after": after,
            "signal": number,
        }
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    return kill
