"""A Ray of this machine that others can join, with machines that are all this one."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.backends.ray_child import SETTINGS, TRIES
from engine.process.rank_group import free_port
from support.paths import ROOT
from support.processes import ancestor, second_machines_trainer


@contextlib.contextmanager
def cluster(*, processors: int, machines: int = 0) -> Iterator[str]:
    """Yield the address of a first machine with so many processors, joined by machines with one each."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    # Not pytest's folder: a socket's path has no room for it.
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as started:
        more = ("--include-dashboard=false", f"--temp-dir={folder}")
        started.enter_context(_machine("--head", f"--port={port}", *more, processors=processors))
        for _ in range(machines):
            started.enter_context(_machine(f"--address={address}", processors=1))
        yield address


@contextlib.contextmanager
def _machine(*words: str, processors: int) -> Iterator[None]:
    """A part of Ray that starts; given up after some tries, since its own 30 seconds are few on a busy machine."""
    for _ in range(TRIES):
        ray = _started(f"--num-cpus={processors}", *words)
        assert ray.stdout is not None
        # It ends with how others join it, or how it is left again, and then stays.
        if any(b"started" in line for line in ray.stdout):
            break
        ray.communicate()
    else:
        raise TimeoutError("Ray does not start")
    try:
        yield
    finally:
        ray.terminate()
        ray.communicate()


def _started(*words: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("ray")
    plain = ("start", "--block", "--num-gpus=0", "--disable-usage-stats")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **SETTINGS}
    return subprocess.Popen([program, *plain, *words], env=environ, stdout=subprocess.PIPE)


def second_machines_raylet() -> int:
    """What stands for the second machine of a training: all that Ray has started there ends with it."""
    return ancestor(second_machines_trainer(), b"raylet")
