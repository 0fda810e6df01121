"""`keep: best` beside `validation: 0`: what a recipe then stands for, and what it may say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.recipe import check_recipe, dump_resolved, load_recipe
from engine.recipe.metrics import headline
from engine.recipe.model import FROM_TRAIN
from support.paths import EXAMPLES

VALID = EXAMPLES / "valid" / "minimal.yaml"


def written(folder: Path, *, validation: Any = 0, top: Any = None, **method: Any) -> Path:
    fields = yaml.safe_load(VALID.read_text("utf-8"))
    fields["splits"]["validation"] = validation
    fields["method"] |= method
    fields |= top or {}
    (folder / "valid").mkdir()
    (folder / "data").symlink_to(VALID.parents[1] / "data")
    path = folder / "valid" / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False), "utf-8")
    return path


@pytest.mark.parametrize(
    ("method", "validation", "expected"),
    [
        ({"keep": "best"}, 0, ("best", FROM_TRAIN)),
        ({}, 0, ("last", 0)),
        ({"keep": "last"}, 0, ("last", 0)),
        ({"keep": "best"}, 50, ("best", 50)),
        ({}, 50, ("last", 50)),
    ],
)
def test_only_best_that_is_written_draws_validation_rows_from_train(
    tmp_path: Path, method: dict[str, Any], validation: int, expected: tuple[str, Any]
) -> None:
    recipe, _ = load_recipe(written(tmp_path, validation=validation, **method))

    assert (recipe.method.keep, recipe.splits.validation) == expected


def test_the_resolved_recipe_reads_as_what_it_was_written_from(tmp_path: Path) -> None:
    path = written(tmp_path, keep="best")
    recipe, _ = load_recipe(path)
    path.write_text(dump_resolved(recipe), "utf-8")
    again, _ = load_recipe(path)

    assert yaml.safe_load(dump_resolved(recipe))["splits"]["validation"] == 0
    assert again.splits == recipe.splits


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize(
    ("code", "top", "method"),
    [
        ("R217", {}, {"early_stopping": {"patience": 2}}),
        ("R270", {"learning_curve": True}, {}),
        ("R282", {"sweep": {"grid": {"rank": [8, 16]}}}, {}),
    ],
)
def test_what_needs_validation_rows_may_stand_where_they_are_drawn(
    tmp_path: Path, keep: str, code: str, top: dict[str, Any], method: dict[str, Any]
) -> None:
    _, problems = check_recipe(written(tmp_path, top=top, keep=keep, **method))

    assert (code in {one.code for one in problems}) is (keep == "last")


# The metric that summaries show.
@pytest.mark.parametrize(
    ("kind", "bounded", "expected"),
    [
        ("classification", ("accuracy",), "accuracy"),
        ("classification", ("accuracy", "macro_f1"), "macro_f1"),
        ("classification", ("f1.urgent", "valid_output", "mcc"), "mcc"),
        ("classification", ("f1.urgent", "valid_output", "ece"), "macro_f1"),
        ("classification", (), "macro_f1"),
        ("extraction", ("exact_match",), "exact_match"),
        ("chat", ("perplexity",), "perplexity"),
    ],
)
def test_it_is_the_kinds_own_unless_others_are_bounded(
    kind: str, bounded: tuple[str, ...], expected: str
) -> None:
    assert headline(kind, bounded) == expected
