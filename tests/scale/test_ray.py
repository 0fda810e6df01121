"""`recipe run --on` a real Ray of this machine: it chooses where the processes are, and the model is the same."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.process.rank_group import free_port
from support.cluster_runs import (
    WAIT_SECONDS,
    adapters,
    alone,
    kill_second_machine,
    on,
    pico_project,
    results,
    started,
)
from support.paths import ROOT

pytestmark = [
    pytest.mark.scale,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="no ray: uv pip install ray"
    ),
]
COMPUTE = """\
compute: v1
profiles:
  ray: {engine: ray, address: local, nodes: 2, retries: 1}
"""
RUN = ("run", "recipe.yaml", "--until", "train")


def test_it_trains_the_bytes_of_one_process_also_when_one_is_killed(tmp_path: Path) -> None:
    pico_project(tmp_path, COMPUTE, {})
    process = started(tmp_path, {}, *RUN, *on("ray"))
    kill_second_machine(tmp_path, process)
    out, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0, out + errors
    assert "it goes on by itself" in errors
    assert adapters(tmp_path) == adapters(alone().folder) != []


@pytest.fixture
def address() -> Iterator[str]:
    """A Ray of this machine that others can join."""
    port = free_port()
    words = ("start", "--head", "--block", f"--port={port}", "--num-cpus=2", "--num-gpus=0")
    program = Path(sys.executable).with_name("ray")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}
    # Not pytest's folder: a socket's path has no room for it.
    with tempfile.TemporaryDirectory() as folder:
        more = ("--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}")
        with subprocess.Popen([program, *words, *more], env=environ, stdout=subprocess.PIPE) as ray:
            assert ray.stdout is not None
            # It ends with how others join it, and then stays.
            next(line for line in ray.stdout if b"started" in line)
            yield f"127.0.0.1:{port}"
            ray.terminate()


def test_it_places_each_of_several_trainings_with_the_bytes_of_one_after_the_other(
    tmp_path: Path, address: str
) -> None:
    compute = COMPUTE.replace("local, nodes: 2, retries: 1", f'"{address}", parallel: 2')
    placed, in_turn = (pico_project(tmp_path / name, compute, {}) for name in ("placed", "in turn"))
    for project, words in ((placed, on("ray")), (in_turn, ())):
        project.edit(method__seeds=[2, 3])
        done = project.run("run", "recipe.yaml", "--until", "seeds", *words)
        assert done.code == 0, done.out + done.err

    assert results(placed.folder) == results(in_turn.folder)
    assigned = placed.folder.glob(".recipe/nodes/*/training-*/assignment.json")
    assert len([*assigned]) == 3  # the model of the run, and two seeds
