"""Jobs of Kubernetes: Kubeflow Trainer's own types give them back unchanged, and their command runs the recipe.

Its types pass over a key that they do not know, so only the way there and back shows one. A missing name of the job
itself is no fault to them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster_runs import WAIT_SECONDS, adapters, alone, on, pico_project, project_in
from support.paths import ROOT
from support.project import write_project

pytestmark = pytest.mark.scale
COMPUTE = """\
compute: v1
profiles:
  plain: {engine: kubernetes, image: slm-recipe, volume: {claim: team, path: /data}}
  cpu:
    engine: kubernetes
    image: slm-recipe
    volume: {claim: team, path: /data, folder: tickets}
    cores: 8
    memory: 32G
    runtime: torch-own
    store: s3://team-models/recipes
  gpus:
    engine: kubernetes
    image: registry.example.com/slm-recipe:1
    volume: {claim: team, path: /data}
    namespace: nlp
    device: nvidia.com/gpu:8
    processes: 8
    shard: true
    time: 8h
    retries: 3
"""


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[str], Any]:
    """The job of a profile, for a project whose model nobody looks at."""
    own = tmp_path / "project"
    own.mkdir()
    write_project(own, tmp_path)
    (tmp_path / "profiles.yaml").write_text(COMPUTE, encoding="utf-8")
    project = project_in(own, {})

    def compile_on(name: str) -> Any:
        words = ("--on", name, "--compute", str(tmp_path / "profiles.yaml"))
        done = project.run("compile", "recipe.yaml", *words)
        assert done.code == 0, done.err
        return yaml.safe_load(done.out)

    return compile_on


def there_and_back(job: Any) -> Any:
    """What Kubeflow Trainer's types make of a job."""
    types = pytest.importorskip("kubeflow_trainer_api.models.trainer_v1alpha1_train_job")
    return types.TrainerV1alpha1TrainJob.from_dict(job).to_dict()


@pytest.mark.parametrize("name", ["plain", "cpu", "gpus"])
def test_a_job_comes_back_from_its_types_unchanged(
    name: str, compiled: Callable[[str], Any]
) -> None:
    job = compiled(name)

    assert there_and_back(job) == job
    assert job["metadata"]["name"].startswith("recipe-tiny-")
    assert "run recipe.yaml --on job" in job["spec"]["trainer"]["args"][0]


def test_another_key_does_not_come_back(compiled: Callable[[str], Any]) -> None:
    job = compiled("plain")
    job["spec"]["trainer"]["numNode"] = job["spec"]["trainer"].pop("numNodes")

    assert there_and_back(job) != job


def test_a_name_that_is_missing_is_refused(compiled: Callable[[str], Any]) -> None:
    job = compiled("plain")
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    del replicated["name"]

    with pytest.raises(ValueError, match="name"):
        there_and_back(job)


def test_the_command_of_a_job_runs_the_recipe_in_the_folder_of_the_volume(tmp_path: Path) -> None:
    """As a container would that has the volume at this path and `recipe` among its programs."""
    place = f"{{claim: team, path: {tmp_path}, folder: tickets}}"
    compute = f"{{engine: kubernetes, image: slm-recipe, volume: {place}, processes: 2}}"
    profiles = f"compute: v1\nprofiles:\n  kube: {compute}\n"
    project = pico_project(tmp_path / "tickets", profiles, {})
    compiled = project.run("compile", "recipe.yaml", *on("kube"))
    trainer = yaml.safe_load(compiled.out)["spec"]["trainer"]
    (tmp_path / "recipe").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -P -m engine "$@"\n', encoding="utf-8"
    )
    (tmp_path / "recipe").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*trainer["command"], *(text.replace("$$", "$") for text in trainer["args"])],
        cwd="/", env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=WAIT_SECONDS,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert adapters(project.folder) == adapters(alone().folder)
    assert len(adapters(project.folder)) == 1
