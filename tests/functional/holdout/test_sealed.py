"""A sealed lock holds the holdout to its rows as a plain one does, and refuses without its key."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from support.project import Outcome, Project, rows

pytestmark = pytest.mark.thorough


def lock(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (project.folder / "recipe.lock.json").read_text(encoding="utf-8")
    )
    return found


def drawn(project: Project) -> Outcome:
    return project.run("run", "recipe.yaml", "--until", "data")


@pytest.fixture
def sealed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.folder)
    drawn(project)
    outcome = project.run("data", "recipe.yaml", "--no-tokens", "--seal-lock")
    assert "`recipe.lock.json` is sealed; keep `recipe.lock.key` safe" in outcome.err
    return project


def test_the_holdout_keeps_its_rows(sealed: Project) -> None:
    before = lock(sealed)
    with (sealed.folder / "rows.csv").open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows(160)[140:])

    outcome = drawn(sealed)

    after = lock(sealed)
    assert outcome.code == 0, outcome.err
    assert after["sealed"] == before["sealed"]
    assert after["inputs"] != before["inputs"]
    assert after["splits"]["holdout"] == before["splits"]["holdout"]


def test_nothing_runs_again_because_a_lock_was_sealed(sealed: Project) -> None:
    before = (sealed.folder / "recipe.lock.json").read_bytes()

    outcome = drawn(sealed)

    assert outcome.code == 0, outcome.err
    assert "reused" in outcome.out + outcome.err
    assert (sealed.folder / "recipe.lock.json").read_bytes() == before


def test_without_its_key_nothing_is_drawn(sealed: Project) -> None:
    before = (sealed.folder / "recipe.lock.json").read_bytes()
    (sealed.folder / "recipe.lock.key").unlink()

    outcome = drawn(sealed)

    assert (outcome.code, "D402" in outcome.err) == (3, True)
    assert (sealed.folder / "recipe.lock.json").read_bytes() == before
