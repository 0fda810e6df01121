"""What each request for a synthetic row says, and what the answer to it has to look like."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.data.examples.example import Example
from engine.inference.synthetic_requests import (
    answer_key,
    row_requests,
    row_schema,
    writes_answer,
    writing_task,
)
from engine.recipe.model import Recipe
from engine.recipe.teacher import synthesis_of
from engine.values import replace
from support.tasks import task
from support.written_rows import labelled
from unit.data.test_unlabelled import recipe_with

TRAIN = [
    Example(id=text, origin="rows.csv:2", input=text, target=label, labels=(label,))
    for text, label in labelled(30, seed=3)
]


def asking(folder: Path, **changes: Any) -> Recipe:
    written = {"teacher": {"path": "base"}, "rows": 12, **changes}
    data = {"sources": [{"path": "rows.csv"}], "label": {"column": "label"}}
    return recipe_with(folder, data={**data, "synthesize": written})


def test_labels_are_wanted_in_turn_and_examples_have_the_wanted_one(tmp_path: Path) -> None:
    found = row_requests(asking(tmp_path, examples=3), TRAIN)

    assert [one.number for one in found] == list(range(1, 13))
    assert Counter(one.target for one in found) == {"negative": 6, "positive": 6}
    for one in found:
        shown = [row for row in TRAIN if row.input in one.text]
        assert len(shown) == 3
        assert {row.target for row in shown} == {one.target}
        assert f"has to be: {one.target}" in one.text
    assert len({one.text for one in found}) == 12, "examples are drawn anew"


def test_another_order_of_the_rows_asks_the_same_and_another_seed_does_not(tmp_path: Path) -> None:
    first = row_requests(asking(tmp_path), TRAIN)

    assert row_requests(asking(tmp_path), TRAIN[::-1]) == first
    assert row_requests(asking(tmp_path, rows=20), TRAIN)[:12] == first
    assert row_requests(asking(tmp_path, seed=8), TRAIN) != first


def test_as_data_wants_labels_as_the_training_rows_have_them(tmp_path: Path) -> None:
    mostly = [row for row in TRAIN if row.target == "positive"] + TRAIN[:1]
    lopsided = [row for row in mostly if row.target == "positive"][:15] + [
        row for row in TRAIN if row.target == "negative"
    ][:1]
    found = row_requests(asking(tmp_path, balance="as_data", rows=40), lopsided)

    counts = Counter(one.target for one in found)
    assert counts["positive"] > 30


def test_of_several_labels_those_of_a_row_are_wanted_together(tmp_path: Path) -> None:
    sets = (("negative", "positive"), ("positive",), ())
    rows = [
        Example(
            id=str(number),
            origin="rows.csv:2",
            input=f"row {number} of many words",
            target=", ".join(sets[number % 3]) or "none",
            labels=sets[number % 3],
        )
        for number in range(12)
    ]
    several = asking(tmp_path, rows=8)
    several = replace(several, task=replace(several.task, kind="multilabel"))
    found = row_requests(several, rows)
    all_kinds = row_requests(
        replace(
            several,
            data=replace(
                several.data, synthesize=replace(synthesis_of(several), balance="as_data", rows=40)
            ),
        ),
        rows,
    )

    assert {one.target for one in found[::2]} == {"negative, positive"}
    assert {one.target for one in found[1::2]} <= {"negative, positive", "positive"}
    assert {one.target for one in all_kinds} == {"negative, positive", "positive", "none"}
    for one in found:
        shown = [row for row in rows if row.input in one.text]
        assert {row.target for row in shown} == {one.target}


def test_a_prompt_names_the_answer_and_the_values(tmp_path: Path) -> None:
    prompt = "A {tone} sentence about {label}, {{as it is}}."
    found = row_requests(asking(tmp_path, prompt=prompt, vary={"tone": ["calm", "loud"]}), TRAIN)

    heads = {one.text.partition("\n\n")[0] for one in found}
    assert heads == {
        f"A {tone} sentence about {label}, {{as it is}}."
        for tone in ("calm", "loud")
        for label in ("negative", "positive")
    }


def test_without_examples_none_is_shown_and_a_label_without_a_row_is_asked_for(
    tmp_path: Path,
) -> None:
    none = row_requests(asking(tmp_path, examples=0), TRAIN)
    only = row_requests(asking(tmp_path), [row for row in TRAIN if row.target == "positive"])

    assert not [row for row in TRAIN for one in none if row.input in one.text]
    assert [one for one in only if one.target == "negative"]


def test_a_row_has_the_columns_and_of_extraction_its_answer() -> None:
    plain = task("classification", input="{title}: {body.text}, {title}")
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {}}}
    extraction = task("extraction", input="{answer}", schema=schema)

    assert list(row_schema(plain)["properties"]) == ["title", "body.text"]
    assert not writes_answer(plain)
    assert writes_answer(extraction)
    assert answer_key(extraction) == "_answer"
    found = row_schema(extraction)
    assert found["$defs"] == {"x": {}}, "references start at the root"
    assert found["properties"]["_answer"] == {k: schema[k] for k in ("type", "properties")}
    json.dumps(found)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_written_row_has_room_for_the_longest_training_row(tmp_path: Path, output: str) -> None:
    recipe = asking(tmp_path)
    found = writing_task(recipe, TRAIN)

    longest = max(len(row.input) for row in TRAIN)
    assert found.kind == "extraction"
    assert found.output == "text", output
    assert found.max_new_tokens >= longest
    assert not found.system
