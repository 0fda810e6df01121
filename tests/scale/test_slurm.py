"""`recipe run --on` a real Slurm: handed in, followed, and the model is the one of a run without it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import slurm_cluster
from support.cluster_runs import (
    WAIT_SECONDS,
    adapters,
    kill_second_machine,
    on,
    pico_project,
    started,
)
from support.project import Project

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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as variables:
        # both machines are this one, so their processes reach each other by its own address
        yield {**variables, "GLOO_SOCKET_IFNAME": "lo"}


@pytest.fixture
def project(tmp_path: Path, cluster: dict[str, str]) -> Project:
    return pico_project(tmp_path, COMPUTE, cluster)


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

    assert "is handed in" in result.err
    assert "tiny" in result.out, result.err
    alone = project.run("run", "recipe.yaml", "--store", "alone")
    assert result.code == alone.code
    assert adapters(project.folder / ".recipe") == adapters(project.folder / "alone") != []


def test_two_machines_train_the_bytes_of_one_also_when_a_process_is_killed(
    project: Project, cluster: dict[str, str]
) -> None:
    words = ("run", "recipe.yaml", "--until", "train")
    process = started(project.folder, cluster, *words, *on("two"))
    kill_second_machine(project.folder, process)
    out, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0, out + errors
    assert "it goes on by itself" in errors
    alone = project.run(*words, "--store", "alone")
    assert alone.code == 0, alone.err
    assert adapters(project.folder / ".recipe") == adapters(project.folder / "alone") != []
