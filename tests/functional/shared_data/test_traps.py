"""Real data sets with a known fault are refused, with the fault named and counted."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.paths import EXAMPLES, SHARED_DATA
from support.project import Outcome

RECIPES = EXAMPLES / "shared"
LEAKED = 926
"""Test rows of naijasenti_pcm that stand in its training file, by the README of the set."""
LEAKED_WITH_ANOTHER_LABEL = 112
DATA_ERROR = 3
QUICK = "{label_errors: off}"
"""The strict defaults, without the one check that fits models."""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared data sets are not here"),
]


def write(name: str, folder: Path, changes: dict[str, str]) -> Path:
    """Write a recipe of the examples with some of its text replaced."""
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in {**changes, "DATA/": f"{os.path.relpath(SHARED_DATA, folder)}/"}.items():
        assert old in text
        text = text.replace(old, new)
    recipe = folder / f"{name}.yaml"
    recipe.write_text(text, encoding="utf-8")
    return recipe


def test_official_files_that_leak_are_refused(tmp_path: Path, run: Callable[..., Outcome]) -> None:
    recipe = write("naijasenti_pcm", tmp_path, {"{leakage: drop, conflicting_labels: drop}": QUICK})

    outcome = run("data", str(recipe), "--no-tokens")

    assert outcome.code == DATA_ERROR
    assert f"{LEAKED} " in outcome.err + outcome.out
    assert f"{LEAKED_WITH_ANOTHER_LABEL} " in outcome.err + outcome.out


def test_with_drop_the_holdout_is_clean_and_whole(
    tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    recipe = write(
        "naijasenti_pcm", tmp_path, {"labels: drop}": "labels: drop, label_errors: off}"}
    )

    outcome = run("data", str(recipe), "--no-tokens", "--format", "json")

    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)["summary"]
    wall = data["firewall"]
    assert wall["found_exact"] >= LEAKED
    assert (wall["left_exact"], wall["left_near"]) == (0, 0)
    assert wall["removed"] > 0
    assert data["dropped"]["near the holdout"] == wall["removed"]


def test_a_masked_holdout_of_one_label_is_refused(
    tmp_path: Path, run: Callable[..., Outcome]
) -> None:
    recipe = write(
        "indonlu_emot_id",
        tmp_path,
        {
            "/test.csv": "/test_masked_label.csv",
            "labels: drop}": "labels: drop, label_errors: off}",
        },
    )

    outcome = run("data", str(recipe), "--no-tokens")

    assert outcome.code == DATA_ERROR
    assert "holdout" in outcome.err
    assert "happy" in outcome.err
