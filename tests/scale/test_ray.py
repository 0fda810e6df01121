"""`recipe run --on` a real Ray of this machine: it chooses where the processes are, and the model is the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from support.cluster_runs import (
    WAIT_SECONDS,
    adapters,
    alone,
    kill_second_machine,
    on,
    pico_project,
    started,
)

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
