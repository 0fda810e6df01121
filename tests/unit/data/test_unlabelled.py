"""Rows without labels: checked as training rows, held apart from every split, and answered as rows of a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.data.examples.example import Example
from engine.data.reading.row import Row
from engine.data.unlabelled import UnlabelledRows, answered_rows, unlabelled_rows
from engine.errors import DataError
from engine.recipe import load_recipe
from engine.recipe.model import Recipe
from engine.values import replace
from support.project import BASE

LONG = "the quick brown fox jumps over the lazy dog near the river bank at night"


def recipe_with(folder: Path, **changes: Any) -> Recipe:
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base" / "config.json").write_text("{}", encoding="utf-8")
    for name in ("rows.csv", "unlabelled.csv"):
        (folder / name).write_text("text,label\na,positive\n", encoding="utf-8")
    fields = {**BASE, **changes}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")[0]


def example(text: str, *, group: str = "") -> Example:
    return Example(id=text, origin="rows.csv:2", input=text, target="positive", group=group)


def read(
    recipe: Recipe, texts: Sequence[str], *, most: int = 0, **splits: Sequence[Example]
) -> UnlabelledRows:
    rows = [
        Row(origin=f"unlabelled.csv:{number}", values={"text": text, "who": text[:1]})
        for number, text in enumerate(texts, start=2)
    ]
    return unlabelled_rows(
        rows,
        recipe,
        sources=recipe.data.sources,
        splits=splits,  # type: ignore[arg-type]  # names of splits
        most=most,
    )


def texts(found: UnlabelledRows) -> set[str]:
    return {row.input for row in found.rows}


def test_a_row_near_the_holdout_or_validation_is_left_out_whatever_the_check_says(
    tmp_path: Path,
) -> None:
    recipe = recipe_with(tmp_path)
    assert recipe.data.checks.leakage == "warn"
    holdout, validation = [example(LONG)], [example("a cat sat on a mat in the sun today")]

    found = read(
        recipe,
        [f"{LONG}.", "A cat sat on a MAT in the sun today", "quite another text"],
        holdout=holdout,
        validation=validation,
    )

    assert texts(found) == {"quite another text"}
    assert found.left_out == {"near the holdout": 1, "near the validation rows": 1}
    assert found.read == 3


def test_a_text_of_the_training_rows_is_left_out_and_a_near_one_only_where_those_are_dropped(
    tmp_path: Path,
) -> None:
    train, asked = [example(LONG)], [LONG, f"{LONG}."]
    keeps = read(recipe_with(tmp_path), asked, train=train)
    checks = {"leakage": "warn", "near_duplicates": "drop"}
    drops = read(recipe_with(tmp_path, data={**BASE["data"], "checks": checks}), asked, train=train)

    assert texts(keeps) == {f"{LONG}."}
    assert texts(drops) == set()
    assert drops.left_out == {"a training row already": 2}


def test_repeats_and_blanks_are_left_out_and_a_check_that_fails_refuses(tmp_path: Path) -> None:
    checks = {"empty": "drop", "leakage": "warn"}
    recipe = recipe_with(tmp_path, data={**BASE["data"], "checks": checks})

    assert read(recipe, ["one text", "One  text", ""]).left_out == {"duplicate": 1, "empty": 1}

    with pytest.raises(DataError) as refused:
        read(recipe_with(tmp_path), ["one text", ""])
    assert [one.code for one in refused.value.problems] == ["D304"]
    assert refused.value.problems[0].path == "teacher.inputs"


def test_the_first_rows_of_the_seeded_order_are_asked_whatever_their_order(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path)
    many = [f"text number {number}" for number in range(20)]

    some = read(recipe, many, most=5)

    assert some.left_out == {"more than are asked": 15}
    assert texts(some) == texts(read(recipe, many[::-1], most=5))
    assert texts(some) < texts(read(recipe, many, most=9))


def test_a_row_of_a_group_that_judges_is_left_out(tmp_path: Path) -> None:
    splits = {"by": {"group": "who"}, "train": 4, "validation": 0, "holdout": 4}
    recipe = recipe_with(tmp_path, splits=splits, method={**BASE["method"], "keep": "last"})

    found = read(recipe, ["a first", "b second", "c third"], holdout=[example("zz", group="b")])

    assert texts(found) == {"a first", "c third"}
    assert found.left_out == {"of a group that judges": 1}


def test_answers_become_training_rows_as_those_of_a_file_do(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path)
    (row,) = read(recipe, ["one text"]).rows
    answered = answered_rows(recipe.task, recipe.data)
    made = answered(row, "positive")

    assert made is not None
    assert (made.target, made.labels, made.input) == ("positive", ("positive",), "one text")
    assert made.id != row.id
    assert answered(row, "neither") is None


def test_several_labels_and_objects_are_read_too(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path)
    (row,) = read(recipe, ["one text"]).rows
    several = replace(recipe.task, kind="multilabel")
    schema: Any = {"type": "object", "properties": {"name": {"type": "string"}}}
    extraction = replace(recipe.task, kind="extraction", labels=(), schema=schema)

    both = answered_rows(several, recipe.data)(row, "positive, negative")
    none = answered_rows(several, recipe.data)(row, "none")
    found = answered_rows(extraction, recipe.data)(row, '{"name":"Ann"}')

    assert both is not None
    assert both.labels == ("negative", "positive")
    assert none is not None
    assert none.labels == ()
    assert found is not None
    assert found.payload == {"answer": {"name": "Ann"}}
    assert answered_rows(extraction, recipe.data)(row, '{"name":1}') is None


def test_every_row_that_is_left_out_is_listed_by_its_place_and_no_text_of_the_holdout(
    tmp_path: Path,
) -> None:
    recipe = recipe_with(tmp_path)
    rows = [
        Row(origin=f"unlabelled.csv:{number}", values={"text": text})
        for number, text in enumerate([f"{LONG}.", "one text", "one  text"], start=2)
    ]
    listed = tmp_path / "left_out.jsonl"

    unlabelled_rows(
        rows,
        recipe,
        sources=recipe.data.sources,
        splits={"holdout": [example(LONG)]},
        listed=listed,
    )
    lines = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]

    assert {(line["check"], line["row"]) for line in lines} == {
        ("duplicates", "unlabelled.csv:3"),
        ("leakage", "unlabelled.csv:2"),
    }
    assert LONG not in listed.read_text(encoding="utf-8")
