"""A run without a bound that must hold is refused before anything is spent."""

from pathlib import Path

import pytest

from engine.cli.main import main
from engine.errors import RecipeError
from engine.pipeline.requirements import refuse_unbound
from engine.recipe import load_recipe
from support.paths import EXAMPLES

VALID = EXAMPLES / "valid"
UNBOUND = ("multilabel", "extraction_from_tags", "generation", "chat", "text", "preference")
"""Their examples say nothing of what must hold."""


@pytest.mark.parametrize("name", UNBOUND)
@pytest.mark.parametrize("until", [None, "baseline", "train"])
def test_a_run_without_a_bound_is_refused(name: str, until: str | None) -> None:
    recipe, _ = load_recipe(VALID / f"{name}.yaml")

    with pytest.raises(RecipeError, match="R246"):
        refuse_unbound(recipe, until=until)


@pytest.mark.parametrize("name", UNBOUND)
def test_its_data_can_be_prepared(name: str) -> None:
    recipe, _ = load_recipe(VALID / f"{name}.yaml")

    refuse_unbound(recipe, until="data")


def test_a_classification_runs_to_the_end() -> None:
    recipe, _ = load_recipe(VALID / "minimal.yaml")

    refuse_unbound(recipe, until=None)


def test_the_plan_of_preferences_trains_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["plan", str(VALID / "preference.yaml"), "--store", str(tmp_path / "store")])

    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    states = {words[0]: words[1:] for words in lines if len(words) == 3}
    assert [states[name][0] for name in ("data", "baseline", "train")] == ["run"] * 3
