"""The same lock, the same bytes: Axolotl and TRL, killed and continued, on fewer cores."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.module_server import AXOLOTL, CONVERTER, served
from support.paths import ROOT
from support.project import Project
from support.run_once import run_once

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "engine"]
FORMATS = {"trl": ["safetensors", "gguf"], "axolotl": ["safetensors"]}
"""A GGUF file is made of the merged weights, whoever trained them."""


def command(folder: Path, *words: str, before: tuple[str, ...], seed: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    return subprocess.run(
        [*before, *COMMAND, *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def latest(folder: Path) -> dict[str, Any]:
    """The report of the latest run."""
    runs = sorted((folder / ".recipe" / "runs").glob("*/*/report.json"))
    found: dict[str, Any] = json.loads(runs[-1].read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module", params=[pytest.param("trl", marks=pytest.mark.thorough), "axolotl"])
def accepted(request: pytest.FixtureRequest) -> Path:
    """The folder of a project whose run was accepted with a backend; by processes that have torch already."""

    def prepare(project: Project) -> None:
        project.edit(
            backend={"name": request.param, "precision": "auto"},
            export={"formats": FORMATS[request.param]},
            baselines=["majority"],
        )

    with served(AXOLOTL), served(CONVERTER):
        done = run_once(f"to reproduce, by {request.param}", prepare)
    assert done.outcome.code == 0, done.outcome.err
    return done.folder


@pytest.fixture
def again(accepted: Path, tmp_path: Path) -> Path:
    """The same project without its store."""
    without = shutil.ignore_patterns(".recipe")
    return Path(shutil.copytree(accepted, tmp_path / "again", ignore=without))


def test_a_killed_and_continued_run_on_fewer_cores_gives_the_same_bytes(again: Path) -> None:
    """SIGKILL once a checkpoint is there, then the same command again; every process hashes with a seed of its own."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = ("taskset", "-c", str(cores[0])) if shutil.which("taskset") else ()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "2"}
    process = subprocess.Popen(
        [*pinned, *COMMAND, "run", "recipe.yaml", "--frozen"],
        cwd=again, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not has_checkpoint(again):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    result = command(again, "run", "recipe.yaml", "--frozen", before=pinned, seed="3")

    assert result.returncode == 0, result.stderr + result.stdout
    found = latest(again)
    assert found["training"]["resumed_from_step"]
    differing = {
        (fact["part"], fact["name"])
        for fact in found["reproduction"]["compared"]
        if not fact["equal"]
    }
    # Every digest and every number is the lock's; only the machine is another one, which is named.
    assert differing == ({("hardware", "cores")} if pinned and len(cores) > 1 else set())
    assert "have the digests of the lock" in found["reproduction"]["summary"]
    locked = json.loads((again / "recipe.lock.json").read_text("utf-8"))["accepted"]
    assert found["training"]["threads"] == locked["threads"] == len(cores)


def has_checkpoint(folder: Path) -> bool:
    """A checkpoint with its digests stands in the scratch folder: one without them is not trained on."""
    return any((folder / ".recipe" / "scratch").glob("*/output/checkpoint-*/digests.json"))
