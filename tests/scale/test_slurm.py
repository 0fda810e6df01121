"""`recipe run --on` a real Slurm: submitted, followed, and the model is the one of a run without it."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import slurm_cluster
from support.cluster_runs import (
    WAIT_SECONDS,
    adapters,
    alone,
    kill_second_machine,
    on,
    pico_project,
    started,
)
from support.project import Outcome, Project

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


@dataclass(frozen=True, slots=True)
class Runs:
    """Two jobs at once, which wait for Slurm, for each other and for what was killed most of the time."""

    whole: Future[Outcome]
    killed: Future[Outcome]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module")
def runs(folder: Path, cluster: dict[str, str]) -> Iterator[Runs]:
    whole, killed = (pico_project(folder / name, COMPUTE, cluster) for name in ("whole", "killed"))
    with ThreadPoolExecutor() as pool:
        yield Runs(
            whole=pool.submit(whole.run, "run", "recipe.yaml", *on("hpc")),
            killed=pool.submit(run_and_kill, killed.folder, cluster),
        )


def run_and_kill(folder: Path, cluster: dict[str, str]) -> Outcome:
    process = started(folder, cluster, "run", "recipe.yaml", "--until", "train", *on("two"))
    kill_second_machine(folder, process)
    out, errors = process.communicate(timeout=WAIT_SECONDS)
    return Outcome(code=process.returncode, out=out, err=errors)


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


def test_a_whole_run_comes_back_with_its_report_and_exit_code(folder: Path, runs: Runs) -> None:
    result = runs.whole.result()

    assert "is submitted" in result.err
    assert "tiny" in result.out, result.err
    assert result.code == alone().outcome.code
    assert adapters(folder / "whole") == adapters(alone().folder) != []


def test_two_machines_train_the_bytes_of_one_also_when_a_process_is_killed(
    folder: Path, runs: Runs
) -> None:
    result = runs.killed.result()

    assert result.code == 0, result.out + result.err
    assert "it goes on by itself" in result.err
    assert adapters(folder / "killed") == adapters(alone().folder) != []
