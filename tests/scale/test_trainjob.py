"""Jobs of Kubernetes, read by Kubeflow Trainer's own types: what `recipe compile --on` writes comes back unchanged.

Its types pass over a key that they do not know, so only the way there and back shows one. A missing name of the job
itself is no fault to them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster_runs import project_in
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
