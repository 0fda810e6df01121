"""Profiles from the command line: what `plan --on` says, and what is refused before anything is done."""

import json
import os
import re
from itertools import product
from pathlib import Path

import pytest

from support.project import Project

COMPUTE = """\
compute: v1
profiles:
  laptop: {}
  two: {processes: 2, retries: 3}
  six: {processes: 6}
  big: {processes: 2, shard: true}
  hpc: {engine: slurm, device: "h100:8", processes: 8}
  spot: {engine: skypilot, store: "s3://b/r"}
"""


@pytest.fixture
def compute(project: Project) -> Path:
    path = project.folder / "profiles.yaml"
    path.write_text(COMPUTE, encoding="utf-8")
    project.edit(splits__train=61)
    return path


def test_a_plan_shows_how_the_batch_is_divided_and_which_rows_are_seen_twice(
    project: Project, compute: Path
) -> None:
    planned = project.run("plan", "recipe.yaml", "--on", "two", "--compute", str(compute))

    assert planned.code == 0, planned.err
    shown = " ".join(planned.out.split())
    assert "two: 2 processes on this machine, sharing its cores" in shown
    assert "batch 8 = 4 rows x 1 pass x 2 processes (micro_batch_size 8 lowered)" in shown
    assert "3 rows are seen twice an epoch" in shown
    assert "each takes memory of its own" in shown


def test_a_plan_of_a_job_claims_no_processor_of_the_devices_that_it_asks_for(
    project: Project, compute: Path
) -> None:
    planned = project.run("plan", "recipe.yaml", "--on", "hpc", "--compute", str(compute))

    shown = " ".join(planned.out.split())
    assert "hpc: 8 processes on a machine of Slurm, with h100:8, each with all weights" in shown
    assert "--device NAME estimates for a GPU" in shown
    assert "shar" not in shown.partition("compute ")[2].partition("rows ")[0]


def test_a_plan_says_the_same_as_json_and_has_the_keys_of_one_process(
    project: Project, compute: Path
) -> None:
    words = ("plan", "recipe.yaml", "--format", "json")
    alone = json.loads(project.run(*words).out)
    two = json.loads(project.run(*words, "--on", "two", "--compute", str(compute)).out)

    assert two.pop("compute") == {
        "profile": "two",
        "processes": 2,
        "shard": False,
        "retries": 3,
        "micro_batch_size": 4,
        "accumulation": 1,
        "repeated_rows": 3,
    }
    assert two["stages"] == alone["stages"]
    assert "compute" not in alone


@pytest.mark.parametrize(
    ("verb", "name", "code"),
    [
        *product(("plan", "run"), ("six",), ("R433",)),
        *product(("plan", "run"), ("too",), ("R431",)),
        *product(("plan", "run"), ("big",), ("B434",)),
        *product(("run",), ("spot",), ("R434",)),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    project: Project, compute: Path, pico: Path, verb: str, name: str, code: str
) -> None:
    words = ("--on", name, "--compute", str(compute), "--allow-read", str(pico))
    refused = project.run(verb, "recipe.yaml", *words)

    assert refused.code == 2
    assert code in refused.err
    assert not (project.folder / ".recipe" / "data").exists()


def test_a_profile_of_one_process_is_what_happens_without_one(
    project: Project, compute: Path
) -> None:
    laptop = project.run("plan", "recipe.yaml", "--on", "laptop", "--compute", str(compute))

    assert "laptop: one process on this machine" in laptop.out


WRONG = """\
compute: v1
profiles:
  a: {engine: slurm, nodes: 2, tasks: 4}
  b: {engine: slrum}
  c: {engine: slurm, nodes: 0}
  d: {engine: slurm, processes: eight}
  e: {engine: slurm, time: 8 hours}
  f: {engine: slurm, options: {queue: gpu}}
  g: {engine: slurm, options: {account: 'a; rm'}}
  h: {engine: slurm, store: {trust: read}}
  i: {engine: ray, nodes: 2, address: 'ray://h:1'}
  j: {engine: skypilot, device: "H100:eight", store: "s3://b/r"}
  k: {engine: skypilot, spot: maybe, store: "s3://b/r"}
  l: {engine: skypilot, max_cost: -1, store: "s3://b/r"}
  m: {engine: kubernetes}
"""
"""A mistake in each of thirteen."""
UNFIT = """\
compute: v1
profiles:
  a: {engine: slurm, spot: true}
  b: {engine: skypilot}
  c: {engine: ray}
  d: {nodes: 2}
"""
"""Profiles whose keys do not go together."""


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once a tool of a cluster was called."""
    folder, mark = tmp_path / "tools", tmp_path / "called"
    folder.mkdir()
    for name in ("sbatch", "scontrol", "sinfo", "squeue", "srun", "ray", "sky"):
        (folder / name).write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 1\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return mark


@pytest.mark.parametrize("verb", ["run", "compile", "plan"])
@pytest.mark.parametrize(("text", "count"), [(WRONG, 13), (UNFIT, 4)])
def test_each_wrong_profile_is_shown_with_line_and_column_before_a_tool_is_called(
    verb: str, text: str, count: int, project: Project, compute: Path, called: Path
) -> None:
    compute.write_text(text, encoding="utf-8")
    refused = project.run(verb, "recipe.yaml", "--on", "a", "--compute", str(compute))

    places = re.findall(r"profiles\.yaml:(\d+):(\d+)  R\d+", refused.err)
    assert refused.code == 2
    assert [int(line) for line, _ in places] == list(range(3, 3 + count))
    assert all(int(column) >= 3 for _, column in places)
    assert not called.exists()


def test_a_right_profile_comes_to_its_tool(
    project: Project, compute: Path, called: Path, pico: Path
) -> None:
    compute.write_text("compute: v1\nprofiles:\n  a: {engine: slurm}\n", encoding="utf-8")
    words = ("--on", "a", "--compute", str(compute), "--allow-read", str(pico))
    refused = project.run("run", "recipe.yaml", *words)

    assert refused.code != 0
    assert called.exists()
