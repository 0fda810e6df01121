"""The main job, whole: the shipped quickstart with its real model and data, from an empty store."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.slow

NAME = "review-sentiment"


def recipe(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quickstart") / "store"


@pytest.fixture(scope="module")
def report(store: Path) -> dict[str, Any]:
    result = recipe(
        ROOT, "run", "recipes/quickstart.yaml", "--store", str(store), "--format", "json"
    )

    assert result.returncode == 0, result.stderr + result.stdout[-4000:]
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_is_accepted_and_beats_every_baseline(report: dict[str, Any]) -> None:
    (tuned,) = [m["value"] for m in report["holdout"]["metrics"] if m["name"] == "macro_f1"]
    baselines = {
        item["name"]: m["value"]
        for item in report["baselines"]
        for m in item["scores"]["metrics"]
        if m["name"] == "macro_f1"
    }

    assert report["outcome"] == "accepted"
    assert {*baselines} == {"majority", "tfidf_svm", "encoder_linear", "zero_shot", "few_shot"}
    assert tuned > max(baselines.values())
    assert report["verify"]["status"] == "pass"
    assert report["training"]["precision"] in ("bf16", "fp32")


def test_every_holdout_prompt_has_the_same_tokens_in_both_worlds(report: dict[str, Any]) -> None:
    (parity,) = [c for c in report["verify"]["checks"] if c["name"] == "token_parity"]

    assert (parity["got"], parity["n"]) == (1.0, 300)


def test_a_second_run_reuses_every_stage(report: dict[str, Any], root: Path, store: Path) -> None:
    again = recipe(
        root, "run", "recipes/quickstart.yaml", "--store", str(store), "--format", "json"
    )
    statuses = {stage["stage"]: stage["status"] for stage in json.loads(again.stdout)["stages"]}

    assert again.returncode == 0
    assert set(statuses.values()) == {"reused"}
    assert len(statuses) == len(report["stages"])


def test_the_file_answers(report: dict[str, Any], root: Path, store: Path) -> None:
    assert report["files"]
    answered = recipe(
        root, "try", NAME, "An hour of my life I will not get back.", "--store", str(store)
    )

    assert (answered.returncode, answered.stdout) == (0, "negative\n"), answered.stderr
