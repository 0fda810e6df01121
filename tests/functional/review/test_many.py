"""Many recipes in one `recipe ci`: each is answered for itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.git_repository import recipe, repository
from support.recipe_pairs import CASES, write_rows

NAMES = [f"tickets-{number}" for number in range(8)]
REDRAWN = NAMES[5]


def test_a_redrawn_holdout_among_many_recipes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = (CASES / "base" / "tickets.yaml").read_text("utf-8")
    text = text.replace("      sha256: TICKETS\n", "")
    files = {f"{name}.yaml": text.replace("name: tickets", f"name: {name}") for name in NAMES}
    (tmp_path / "team").mkdir()
    write_rows(tmp_path / "team")
    git = repository(tmp_path / "team", files)
    git.run("checkout", "--quiet", "-b", "work")
    monkeypatch.chdir(git.folder)
    for name in NAMES:
        git.edit(f"{name}.yaml", "path: tickets.csv", "path: tickets.csv\n      format: csv")
    git.edit(f"{REDRAWN}.yaml", "  seed: 7", "  seed: 8")

    outcome = recipe(capsys, "ci", "--from", "main", "--fail-on", "weaker-gate", "--format", "json")

    found = {one["path"]: one["gate"]["verdict"] for one in json.loads(outcome.out)["recipes"]}
    expected = dict.fromkeys((f"{name}.yaml" for name in NAMES), "stays")
    assert found == {**expected, f"{REDRAWN}.yaml": "redrawn"}
    assert outcome.code == 0
