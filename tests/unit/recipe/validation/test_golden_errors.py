"""Whole error screens, word for word; regenerate on purpose: RECIPE_GOLDEN=write pytest THIS_FILE."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.recipe import check_recipe
from engine.render.problems import render_problems
from support.paths import TESTS

SCREENS = (
    "unknown_key",
    "many_mistakes_at_once",
    "label_that_is_a_number",
    "unreachable_bound",
    "moving_model",
    "tab_indentation",
)


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_reads_as_agreed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TESTS / "examples")
    golden = TESTS / "golden" / "recipe" / f"{name}.txt"

    screen = render_problems(check_recipe(Path(f"invalid/{name}.yaml"))[1], colour=False)

    if os.environ.get("RECIPE_GOLDEN") == "write":
        golden.write_text(screen, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == screen
