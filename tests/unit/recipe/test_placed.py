"""Problems of a backend name the line of the recipe, as those of the language do."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.backends import check_backend
from engine.cli.main import main
from engine.errors import Problem
from engine.recipe import load_recipe
from engine.recipe.text.extends import placed
from support.paths import EXAMPLES

OVERRIDES = """
backend:
  name: axolotl
  overrides:
    learning_rte: 3
    learning_rate: 3
    max_grad_norm: -1
"""
WHERE = {"B404": (27, 5), "B405": (28, 5), "B407": (29, 20)}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    text = (EXAMPLES / "valid" / "minimal.yaml").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,topic\na,bug\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = Path("r.yaml")
    recipe.write_text(text.replace("../data/", "") + OVERRIDES[1:], encoding="utf-8")
    return recipe


@pytest.mark.parametrize("verb", ["validate", "plan", "compile"])
def test_every_verb_shows_the_lines_of_overrides(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, str(file)]) == 2

    shown = "".join(capsys.readouterr())
    for code, (line, column) in WHERE.items():
        assert f"r.yaml:{line}:{column}  {code}" in shown
    assert "27 |     learning_rte: 3" in shown


def test_an_option_of_another_backend_stands_at_its_key(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("kind: lora", "kind: lora\n  dora: true")
    text, _, _ = text.partition("backend:")
    file.write_text(f"{text}backend: {{name: nanotron}}\n", encoding="utf-8")
    recipe, _ = load_recipe(file)
    found = {problem.path: problem for problem in placed(check_backend(recipe), file)}
    problem = found["method.dora"]

    assert problem.code == "R351"
    assert problem.place is not None
    assert problem.place.spot == "r.yaml:21:3"


@pytest.mark.parametrize(
    "problem",
    [
        Problem(code="B405", message="decided", path="backend.overrides.lr"),
        Problem(code="B433", message="with one process"),
        Problem(code="D301", message="missing", path="data.label.column"),
    ],
)
def test_what_the_file_does_not_say_has_no_place(problem: Problem, file: Path) -> None:
    assert placed([problem], file) == (problem,)
    assert placed([problem], Path("absent.yaml")) == (problem,)
