"""Profiles from the command line: what `plan --on` says, and what is refused before anything is done."""

from __future__ import annotations

import json
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
        ("run", "spot", "R434"),
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
