"""`recipe run --on` a real Ray of this machine: it chooses where the processes are, and the model is the same."""

import importlib.util
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support import ray_cluster
from support.cluster_runs import (
    WAIT_SECONDS,
    adapters,
    alone,
    evaluated_once,
    kill_second_machine,
    on,
    others_in_turn,
    pico_project,
    project_in,
    results,
    started,
)
from support.project import Outcome

pytestmark = [
    pytest.mark.scale,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="no ray: uv pip install '.[ray]'"
    ),
]
COMPUTE = """\
compute: v1
profiles:
  ray: {engine: ray, address: local, nodes: 2, retries: 1}
"""
RUN = ("run", "recipe.yaml", "--until", "train")
MOST_SECONDS = 120.0
"""For a whole run that finds no room."""
GONE = "127.0.0.1:9"
"""Where nothing listens."""


@pytest.fixture
def left_by_another(tmp_path: Path) -> dict[str, str]:
    """What a Ray that is gone has left: the file from which Ray takes an address where it is given none."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(GONE, encoding="ascii")
    return {"RAY_TMPDIR": str(tmp_path)}


def test_it_trains_the_bytes_of_one_process_also_when_one_is_killed(
    tmp_path: Path, left_by_another: dict[str, str]
) -> None:
    project = pico_project(tmp_path / "project", COMPUTE, left_by_another)
    process = started(project.folder, left_by_another, *RUN, *on("ray"))
    kill_second_machine(project.folder, process, saved=1)
    out, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0, out + errors
    assert "it goes on by itself" in errors
    assert "continuing from step" in errors
    assert adapters(project.folder) == adapters(alone().folder) != []


@pytest.fixture(scope="module")
def of_three() -> Iterator[str]:
    """Of three machines with a processor each: one more than a training takes."""
    with ray_cluster.cluster(processors=0, machines=3) as address:
        yield address


@pytest.fixture(scope="module")
def without_room(
    tmp_path_factory: pytest.TempPathFactory, of_three: str
) -> Iterator[Future[tuple[Outcome, float]]]:
    """A run for one machine too many and its seconds, most of which it waits: others go on meanwhile."""
    compute = COMPUTE.replace("local, nodes: 2, retries: 1", f'"{of_three}", nodes: 4, retries: 3')
    project = pico_project(tmp_path_factory.mktemp("crowded"), compute, {})

    def run() -> tuple[Outcome, float]:
        began = time.monotonic()
        return project.run(*RUN, *on("ray")), time.monotonic() - began

    with ThreadPoolExecutor() as pool:
        yield pool.submit(run)


@pytest.mark.usefixtures("without_room")
def test_a_machine_that_dies_is_replaced_by_another(tmp_path: Path, of_three: str) -> None:
    project = pico_project(tmp_path, COMPUTE.replace("local", f'"{of_three}"'), {})
    process = started(project.folder, {}, *RUN, *on("ray"))
    kill_second_machine(tmp_path, process, found=ray_cluster.second_machines_raylet, saved=1)
    out, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0, out + errors
    assert "it goes on by itself" in errors
    assert "continuing from step" in errors
    assert adapters(tmp_path) == adapters(alone().folder) != []


def test_a_machine_too_many_is_not_waited_for(
    without_room: Future[tuple[Outcome, float]],
) -> None:
    crowded, took = without_room.result()

    assert crowded.code == 3
    assert "B411" in crowded.err
    assert "no room on Ray within" in crowded.err
    assert "it goes on by itself" not in crowded.err
    assert took < MOST_SECONDS


def test_a_ray_of_another_machine_is_not_used_without_a_token(tmp_path: Path) -> None:
    without = {name: "" for name in os.environ if name == "RAY_AUTH_MODE"}
    compute = COMPUTE.replace("local", '"192.0.2.1:6379"')
    result = pico_project(tmp_path, compute, without).run(*RUN, *on("ray"))

    assert (result.code, "R452" in result.err) == (2, True), result.err


@pytest.fixture
def of_one() -> Iterator[str]:
    with ray_cluster.cluster(processors=2) as address:
        yield address


def test_it_places_each_of_several_trainings_with_the_bytes_of_one_after_the_other(
    tmp_path: Path, of_one: str
) -> None:
    placed = evaluated_once().copy_to(tmp_path, project_in(tmp_path).run)
    placed.edit(method__seeds=[2, 3])
    compute = COMPUTE.replace("local, nodes: 2, retries: 1", f'"{of_one}", parallel: 2')
    (tmp_path / "compute.yaml").write_text(compute, encoding="utf-8")

    done = placed.run("run", "recipe.yaml", "--until", "seeds", *on("ray"))

    found = results(tmp_path)
    assert done.code == 0, done.out + done.err
    assert {stage for stage, _ in found.values()} >= {"seed", "seeds"}
    assert found.items() <= others_in_turn().items()
    assert len([*tmp_path.glob(".recipe/nodes/*/training-*/assignment.json")]) == 2
