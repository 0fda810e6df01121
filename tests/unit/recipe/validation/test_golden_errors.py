"""Whole error screens, word for word."""

from pathlib import Path

import pytest

from engine.recipe import check_recipe
from engine.render.problems import render_problems
from support.golden import Golden
from support.paths import EXAMPLES

SCREENS = (
    "unknown_key",
    "many_mistakes_at_once",
    "label_that_is_a_number",
    "unreachable_bound",
    "moving_model",
    "tab_indentation",
)


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_reads_as_agreed(
    name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES)

    screen = render_problems(check_recipe(Path(f"invalid/{name}.yaml"))[1], colour=False)

    golden(f"recipe/{name}.txt", screen)
