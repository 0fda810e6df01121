"""What a lock says of a teacher, and what a run that repeats it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.lock.comparison import compared_rows
from engine.lock.file import TeacherFacts, lock_from_text, lock_text
from engine.values import replace
from support.recipe_pairs import accepted_run
from unit.lock.test_file import LOCK

FACTS: TeacherFacts = {
    "reference": {"hub": "owner/larger", "revision": "0" * 40},
    "sources": ({"name": "pool.csv", "sha256": "ab" * 32},),
    "rows": 800,
    "trained": "cd" * 32,
}
PLAIN = replace(LOCK, accepted=accepted_run(LOCK))
TAUGHT = replace(LOCK, accepted=replace(accepted_run(LOCK), teacher=FACTS))


def test_a_teacher_is_written_and_read_back_and_leaves_no_trace_where_there_is_none(
    root: Path,
) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    text = lock_text(TAUGHT)

    jsonschema.validate(json.loads(text), schema)
    assert lock_from_text(Path("recipe.lock.json"), text) == TAUGHT
    assert "teacher" not in lock_text(PLAIN)
    assert lock_from_text(Path("recipe.lock.json"), lock_text(PLAIN)) == PLAIN


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"reference": {"hub": "owner/larger"}}, []),
        ({"reference": {"hub": "owner/other"}}, ["teacher"]),
        ({"rows": 799}, ["teacher's rows"]),
        ({"trained": "ef" * 32}, ["rows with the teacher's"]),
        ({"targets": "ef" * 32}, []),
        ({"sources": ({"name": "pool.csv", "sha256": "ef" * 32},)}, ["pool.csv for the teacher"]),
    ],
    ids=str,
)
def test_what_differs_of_a_teacher_is_named(change: Any, named: list[str]) -> None:
    now: Any = {**FACTS, **change}

    found = list(compared_rows("teacher", FACTS, now))

    assert [one.name for one in found if not one.equal] == named
    assert {one.part for one in found} == {"data"}


def test_nothing_is_compared_where_one_of_the_runs_has_no_teacher() -> None:
    assert (
        list(compared_rows("teacher", FACTS, None))
        == list(compared_rows("teacher", None, FACTS))
        == []
    )


def test_other_probabilities_of_a_teacher_are_another_number_and_no_other_data() -> None:
    soft: TeacherFacts = {**FACTS, "targets": "ab" * 32}

    [other] = [
        one
        for one in compared_rows("teacher", soft, {**soft, "targets": "cd" * 32})
        if not one.equal
    ]

    assert (other.part, other.name) == ("numbers", "the teacher's probabilities")
