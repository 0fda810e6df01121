"""Tasks of SkyPilot, read by SkyPilot itself: its own parser takes what `recipe compile --on` writes."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cluster_runs import project_in
from support.project import write_project

pytestmark = pytest.mark.scale
COMPUTE = """\
compute: v1
store: s3://team-models/recipes
profiles:
  spot: {engine: skypilot, device: "H100:8", spot: true, processes: 8, retries: 10, time: 8h}
  shared: {engine: skypilot, device: A100-80GB, processes: 2, shard: true, parallel: 2, max_cost: 120}
  plain: {engine: skypilot, cores: 8, memory: 32G}
"""
PRICES = "a100-80gb: 2\n"
READ = """
import json, sys
import sky

task = sky.Task.from_yaml(sys.argv[1])
(resources,) = task.resources
print(json.dumps({
    "name": task.name, "workdir": task.workdir, "run": task.run, "setup": task.setup,
    "accelerators": resources.accelerators, "spot": resources.use_spot,
    "cpus": resources.cpus, "memory": resources.memory,
}))
"""
"""In SkyPilot's own environment, whose versions are not ours."""


def python_of_skypilot() -> Path | None:
    program = shutil.which("sky")
    return Path(program).resolve().with_name("python") if program else None


@pytest.fixture
def reads(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Have SkyPilot read a task."""
    python = python_of_skypilot()
    if python is None:
        pytest.skip("no sky: uv tool install skypilot")

    def read(text: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "task.yaml"
        path.write_text(text, encoding="utf-8")
        home = {"HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
        return subprocess.run(
            [python, "-c", READ, path],
            cwd=tmp_path, env={"PATH": os.environ["PATH"], **home},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return read


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[str], str]:
    """The task of a profile, for a project whose model nobody looks at."""
    folders = own, of_user = tmp_path / "project", tmp_path / "config" / "slm-recipe"
    for folder in folders:
        folder.mkdir(parents=True)
    for name, text in (("compute.yaml", COMPUTE), ("prices.yaml", PRICES)):
        (of_user / name).write_text(text, encoding="utf-8")
    write_project(own, tmp_path)
    project = project_in(own, {"XDG_CONFIG_HOME": str(of_user.parent)})

    def compile_on(name: str) -> str:
        done = project.run("compile", "recipe.yaml", "--on", name)
        assert done.code == 0, done.err
        return done.out

    return compile_on


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spot", {"accelerators": {"H100": 8}, "spot": True, "cpus": None, "memory": None}),
        ("shared", {"accelerators": {"A100-80GB": 1}, "spot": False, "cpus": None, "memory": None}),
        ("plain", {"accelerators": None, "spot": False, "cpus": "8+", "memory": "32+"}),
    ],
)
def test_a_task_is_one_that_skypilot_takes(
    name: str,
    expected: dict[str, Any],
    compiled: Callable[[str], str],
    reads: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    read = reads(compiled(name))

    assert read.returncode == 0, read.stderr
    task = json.loads(read.stdout.splitlines()[-1])
    assert (task["name"], task["workdir"]) == ("recipe-tiny", ".")
    assert expected.items() <= task.items()
    for shell in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n"], input=shell, text=True, check=True)
    assert "run recipe.yaml --on job" in task["run"]


def test_a_task_with_another_key_is_one_that_skypilot_refuses(
    compiled: Callable[[str], str], reads: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    """So that its parser is one that looks."""
    read = reads(compiled("spot").replace("use_spot:", "use_spots:"))

    assert read.returncode != 0
    assert "use_spots" in read.stderr
