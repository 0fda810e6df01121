"""Kinds of tasks that nothing evaluates yet are refused before anything is spent."""

from pathlib import Path

import pytest

from engine.cli.main import main
from engine.errors import ExitCode, RecipeError
from engine.kinds import KINDS, Kind
from engine.pipeline.preflight import refuse_unmeasured
from engine.recipe import load_recipe
from engine.recipe.model import Task
from engine.values import fields, replace
from support.paths import EXAMPLES

VALID = EXAMPLES / "valid"
UNBOUND = ("multilabel", "extraction_from_tags", "generation", "chat", "text", "preference")
"""Their examples say nothing of what must hold."""


class OfNewKind(Task):
    """A task of a kind that is read and checked, and not judged yet."""

    @property
    def spec(self) -> Kind:
        return replace(KINDS[self.kind], metrics=())


@pytest.mark.parametrize("until", [None, "baseline", "train"])
def test_a_kind_without_evaluation_is_refused(until: str | None) -> None:
    written, _ = load_recipe(VALID / "preference.yaml")
    task = OfNewKind(**{one.name: getattr(written.task, one.name) for one in fields(Task)})
    recipe = replace(written, task=task)

    with pytest.raises(RecipeError, match="R249") as caught:
        refuse_unmeasured(recipe, until=until)

    assert caught.value.exit_code is ExitCode.USAGE
    assert "--until data" in str(caught.value.problems[0].hint)


@pytest.mark.parametrize("name", UNBOUND)
@pytest.mark.parametrize("until", [None, "baseline", "train"])
def test_a_run_without_a_bound_is_refused(name: str, until: str | None) -> None:
    recipe, _ = load_recipe(VALID / f"{name}.yaml")

    with pytest.raises(RecipeError, match="R246"):
        refuse_unmeasured(recipe, until=until)


@pytest.mark.parametrize("name", UNBOUND)
def test_its_data_can_be_prepared(name: str) -> None:
    recipe, _ = load_recipe(VALID / f"{name}.yaml")

    refuse_unmeasured(recipe, until="data")


def test_a_classification_runs_to_the_end() -> None:
    recipe, _ = load_recipe(VALID / "minimal.yaml")

    refuse_unmeasured(recipe, until=None)


def test_the_plan_of_preferences_trains_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["plan", str(VALID / "preference.yaml"), "--store", str(tmp_path / "store")])

    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    states = {words[0]: words[1:] for words in lines if len(words) == 3}
    assert [states[name][0] for name in ("data", "baseline", "train")] == ["run"] * 3
