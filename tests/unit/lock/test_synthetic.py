"""What a lock says of synthetic rows, and what a run that repeats it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.lock.comparison import compared_rows
from engine.lock.file import SyntheticFacts, lock_from_text, lock_text
from engine.values import replace
from support.recipe_pairs import accepted_run
from unit.lock.test_file import LOCK

FACTS: SyntheticFacts = {
    "reference": {"endpoint": "http://localhost:8000/v1", "model": "m"},
    "judge": {"hub": "owner/judge", "revision": "0" * 40},
    "rows": 640,
    "digest": "ab" * 32,
    "trained": "cd" * 32,
}
PLAIN = replace(LOCK, accepted=accepted_run(LOCK))
WRITTEN = replace(LOCK, accepted=replace(accepted_run(LOCK), synthetic=FACTS))


def test_synthetic_rows_are_written_and_read_back_and_leave_no_trace_where_there_are_none(
    root: Path,
) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    text = lock_text(WRITTEN)

    jsonschema.validate(json.loads(text), schema)
    assert lock_from_text(Path("recipe.lock.json"), text) == WRITTEN
    assert "synthetic" not in lock_text(PLAIN)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"judge": {"hub": "owner/judge"}}, []),
        ({"judge": {}}, ["judge of rows"]),
        ({"reference": {"path": "elsewhere"}}, ["writer of rows"]),
        ({"rows": 639}, ["synthetic rows"]),
        ({"digest": "ef" * 32}, ["text of synthetic rows"]),
        ({"trained": "ef" * 32}, ["rows with synthetic ones"]),
    ],
    ids=str,
)
def test_what_differs_of_synthetic_rows_is_named(change: Any, named: list[str]) -> None:
    now: Any = {**FACTS, **change}

    found = list(compared_rows("synthetic", FACTS, now))

    assert [one.name for one in found if not one.equal] == named
    assert {one.part for one in found} == {"data"}


def test_nothing_is_compared_where_one_of_the_runs_has_no_such_rows() -> None:
    assert (
        list(compared_rows("synthetic", FACTS, None))
        == list(compared_rows("synthetic", None, FACTS))
        == []
    )
