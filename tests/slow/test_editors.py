"""The JSON Schema in a real editor's server: the same mistakes at the same places, keys, and their docs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.recipe import check_recipe
from support.language_server import language_server

pytestmark = pytest.mark.slow
RECIPE = """\
recipe: v1
name: tickets
task:
  kind: classification
  instruction: "Which of these is it: {labels}?"
  labels: [billing, bug]
base_model:
  hub: HuggingFaceTB/SmolLM2-360M-Instruct
  revision: 0123456789abcdef0123456789abcdef01234567
data:
  sources:
    - path: rows.csv
  label:
    column: topic
splits:
  train: 400
  validation: 100
  holdout: 300
method:
  kind: lora
  rank: 16
acceptance:
  metrics:
    macro_f1: {min: 0.80}
export:
  formats: [gguf]
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The server: `YAML_LANGUAGE_SERVER` names an installed one; else npm installs it for this test."""
    if named := os.environ.get("YAML_LANGUAGE_SERVER"):
        return [named]
    if shutil.which("npm") is None:
        pytest.skip("NOT TESTED: npm is absent, so no YAML language server could be installed")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "yaml-language-server@1"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"NOT TESTED: npm could not install yaml-language-server: {done.stderr[-300:]}")
    return [str(folder / "node_modules" / ".bin" / "yaml-language-server")]


@pytest.fixture
def schema(root: Path) -> Path:
    return root / "schemas" / "recipe.schema.json"


def test_three_mistakes_stand_where_validate_says(
    command: list[str], schema: Path, tmp_path: Path
) -> None:
    wrong = RECIPE.replace("rank: 16", "rnk: 16").replace("train: 400", "train: [400]")
    wrong = wrong.replace("formats: [gguf]", "formats: [gguff]")
    path = tmp_path / "recipe.yaml"
    path.write_text(wrong, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,topic\nx,bug\n", encoding="utf-8")
    expected = {
        (problem.place.line, problem.place.column)
        for problem in check_recipe(path)[1]
        if problem.place is not None
    }

    with language_server(command, schema) as server:
        found = [problem["range"]["start"] for problem in server.open(wrong)]

    assert len(expected) == 3
    assert {(start["line"] + 1, start["character"] + 1) for start in found} == expected


def test_a_recipe_without_mistakes_has_none_in_the_editor(command: list[str], schema: Path) -> None:
    with language_server(command, schema) as server:
        assert server.open(RECIPE) == []


def test_keys_are_completed_where_they_belong(command: list[str], schema: Path) -> None:
    text = RECIPE.replace("  rank: 16\n", "  \n")
    line = text.splitlines().index("  ")

    with language_server(command, schema) as server:
        server.open(text)
        found = server.at("completion", line, 2)

    keys = {item["label"] for item in found["items"]}
    assert {"rank", "alpha", "epochs", "learning_rate", "max_length", "seed"} <= keys
    assert "labels" not in keys
    assert "kind" not in keys  # it is there already


def test_hovering_over_a_key_shows_what_it_means(command: list[str], schema: Path) -> None:
    with language_server(command, schema) as server:
        server.open(RECIPE)
        found = server.at("hover", RECIPE.splitlines().index("  rank: 16"), 3)

    from engine.recipe.validation.schema import recipe_schema  # what is expected

    description = recipe_schema()["$defs"]["method"]["properties"]["rank"]["description"]
    shown = str(found["contents"]).replace("\\", "").replace("&nbsp;", " ")
    assert description.split(".")[0] in shown


def test_half_a_recipe_has_no_mistakes_under_the_schema_of_parts(
    command: list[str], schema: Path
) -> None:
    part = schema.with_name("recipe-part.schema.json")
    child = "recipe: v1\nextends: base.yaml\nname: x\nmethod:\n  rank: 8\n"

    with language_server(command, part) as server:
        assert server.open(child) == []
    with language_server(command, part) as server:
        assert len(server.open(child.replace("rank", "rnk"))) == 1
