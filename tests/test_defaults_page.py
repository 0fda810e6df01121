"""The page on defaults: it shows what was measured, and that was measured with the defaults that the engine has."""

from pathlib import Path

import pytest
import yaml

from engine.recipe import load_recipe
from engine.recipe.text.dump import resolved_mapping
from support.paths import EXAMPLES
from support.results import put_report  # noqa: F401 # says where the benchmarks are

# after `support.results`
from defaults import DEFAULTS, OF_BASELINES, PAGE, RESULTS  # isort: skip
from defaults_page import grid, read_lines, with_grid  # isort: skip


def test_the_page_shows_what_the_cells_came_to() -> None:
    page = PAGE.read_text("utf-8")

    assert with_grid(page, read_lines(RESULTS), read_lines(OF_BASELINES)) == page


def test_no_training_stands_twice() -> None:
    cells = [
        tuple(cell[key] for key in ("set", "rows", "seed", "changes"))
        for cell in read_lines(RESULTS)
    ]

    assert len(set(cells)) == len(cells)


def test_the_cells_are_trained_with_what_a_recipe_gets_that_says_nothing(tmp_path: Path) -> None:
    written = yaml.safe_load((EXAMPLES / "valid" / "minimal.yaml").read_text("utf-8"))
    base = {"hub": "HuggingFaceTB/SmolLM2-135M-Instruct", "revision": "0" * 40}
    written |= {"method": {"kind": "lora"}, "base_model": base}
    written["data"]["sources"] = [{"path": "rows.csv"}]
    (tmp_path / "rows.csv").write_text("text,topic\na,bug\n", "utf-8")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(written), "utf-8")

    method = resolved_mapping(load_recipe(tmp_path / "recipe.yaml")[0])["method"]

    assert {key: method[key] for key in DEFAULTS} == DEFAULTS


def test_a_baseline_that_was_not_asked_is_a_dash() -> None:
    cell = {"set": "spam", "rows": 200, "changes": "{}", "best": 0.8, "last": 0.9}
    asked = {"set": "spam", "rows": 200, "seed": 2, "tfidf_svm": 0.75, "encoder_linear": 0.95}

    found = "\n".join(grid([cell | {"seed": 1}, cell | {"seed": 2}], [asked]))

    assert "| spam | 0.900, 0.900 | 0.900 | -, 0.750 | -, 0.950 | -, \N{MINUS SIGN}0.050 |" in found


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="grid: begin"):
        with_grid("no marks", [], [])
