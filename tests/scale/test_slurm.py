"""`recipe run --on` a real Slurm: handed in, followed, and the model is the one of a run without it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import slurm_cluster
from support.paths import ROOT
from support.pico import make_pico_model
from support.processes import ranks_of
from support.project import Outcome, Project, write_project

pytestmark = [
    pytest.mark.scale,
    pytest.mark.skipif(bool(slurm_cluster.why_not()), reason=slurm_cluster.why_not()),
]
COMPUTE = """\
compute: v1
profiles:
  hpc: {engine: slurm, time: 1h, cores: 1, options: {partition: all}}
  two: {engine: slurm, nodes: 2, retries: 1}
  wrong: {engine: slurm, options: {partition: gpu}}
"""
WAIT_SECONDS = 300.0
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables


@pytest.fixture
def project(tmp_path: Path, cluster: dict[str, str]) -> Project:
    def run(*words: str) -> Outcome:
        done = started(tmp_path, cluster, *words)
        out, errors = done.communicate(timeout=WAIT_SECONDS)
        return Outcome(code=done.returncode, out=out, err=errors)

    write_project(tmp_path, tmp_path)
    (tmp_path / "base").unlink()
    make_pico_model(tmp_path / "base")
    (tmp_path / "compute.yaml").write_text(COMPUTE, encoding="utf-8")
    found = Project(folder=tmp_path, run=run)
    found.edit(
        splits__train=64, baselines=["majority"], method__micro_batch_size=4, method__epochs=3
    )
    return found


def started(folder: Path, cluster: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine", *words],
        cwd=folder,
        # both machines are this one, so their processes reach each other by its own address
        env={**os.environ, **cluster, "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on(name: str) -> tuple[str, ...]:
    return ("--on", name, "--compute", "compute.yaml")


def adapters(store: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(store.rglob(f"adapter/{WEIGHTS}"))]


def test_every_script_is_one_that_slurm_takes(project: Project, cluster: dict[str, str]) -> None:
    for name in ("hpc", "two"):
        script = project.run("compile", "recipe.yaml", *on(name)).out
        done = subprocess.run(
            ["sbatch", "--test-only"],
            input=script, env={**os.environ, **cluster}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_a_job_that_slurm_does_not_take_is_refused_with_its_words(project: Project) -> None:
    result = project.run("run", "recipe.yaml", *on("wrong"))

    assert result.code != 0
    assert "X851" in result.err
    assert "invalid partition" in result.err.lower()


def test_a_whole_run_comes_back_with_its_report_and_exit_code(project: Project) -> None:
    result = project.run("run", "recipe.yaml", *on("hpc"))

    assert result.code == 1, result.out + result.err  # a pico model learns nothing
    assert "is handed in" in result.err
    assert "tiny" in result.out
    alone = project.run("run", "recipe.yaml", "--store", "alone")
    assert alone.code == 1
    assert adapters(project.folder / ".recipe") == adapters(project.folder / "alone") != []


def test_two_machines_train_the_bytes_of_one_also_when_a_process_is_killed(
    project: Project, cluster: dict[str, str]
) -> None:
    words = ("run", "recipe.yaml", "--until", "train")
    process = started(project.folder, cluster, *words, *on("two"))
    kill_second_rank(project.folder, process)
    out, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0, out + errors
    assert "it goes on by itself" in errors
    alone = project.run(*words, "--store", "alone")
    assert alone.code == 0, alone.err
    assert adapters(project.folder / ".recipe") == adapters(project.folder / "alone") != []


def kill_second_rank(folder: Path, process: subprocess.Popen[str]) -> None:
    """Kill the second machine's process once the training has done some steps."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        done = [path.read_text("utf-8") for path in folder.glob(".recipe/scratch/*/events.1.jsonl")]
        if any('"step"' in text or text.count("\n") > 3 for text in done):
            for number in trainers():
                os.kill(number, signal.SIGKILL)
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def trainers() -> list[int]:
    """Processes of the second machine's group: RANK 1 in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"engine.process.rank_group\x001\x001\x002" in (folder / "cmdline").read_bytes():
                found += ranks_of(int(folder.name)) or [int(folder.name)]
    return found[-1:]
