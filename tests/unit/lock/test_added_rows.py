"""What a lock says of rows that others added (teacher, writer, replayed text), and what repeating it compares."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.lock.comparison import NUMBERS, compared_rows
from engine.lock.file import lock_from_text, lock_text
from engine.values import replace
from support.recipe_pairs import accepted_run
from unit.lock.test_file import LOCK

A, B, OTHER = "ab" * 32, "cd" * 32, "ef" * 32
POOL = ({"name": "pool.csv", "sha256": A},)
GIVEN: dict[str, Any] = {"sources": POOL, "texts": 12, "digest": B}
FACTS: dict[str, dict[str, Any]] = {
    "teacher": {
        "reference": {"hub": "owner/larger", "revision": "0" * 40},
        "sources": POOL,
        "rows": 800,
        "trained": B,
    },
    "synthetic": {
        "reference": {"endpoint": "http://localhost:8000/v1", "model": "m"},
        "judge": {"hub": "owner/judge", "revision": "0" * 40},
        "rows": 640,
        "digest": A,
        "trained": B,
    },
    "replay": GIVEN,
}
CHANGES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("teacher", {}, []),
    ("teacher", {"reference": {"hub": "owner/larger"}}, []),
    ("teacher", {"reference": {"hub": "owner/other"}}, ["teacher"]),
    ("teacher", {"rows": 799}, ["teacher's rows"]),
    ("teacher", {"trained": OTHER}, ["rows with the teacher's"]),
    ("teacher", {"targets": OTHER}, []),
    ("teacher", {"sources": ({"name": "pool.csv", "sha256": B},)}, ["pool.csv for the teacher"]),
    ("synthetic", {}, []),
    ("synthetic", {"judge": {"hub": "owner/judge"}}, []),
    ("synthetic", {"judge": {}}, ["judge of rows"]),
    ("synthetic", {"reference": {"path": "elsewhere"}}, ["writer of rows"]),
    ("synthetic", {"rows": 639}, ["synthetic rows"]),
    ("synthetic", {"digest": OTHER}, ["text of synthetic rows"]),
    ("synthetic", {"trained": OTHER}, ["rows with synthetic ones"]),
    ("replay", {}, []),
    ("replay", {"sources": ({"name": "pool.csv", "sha256": None},)}, []),
    ("replay", {"sources": ({"name": "pool.csv", "sha256": B},)}, ["pool.csv that is replayed"]),
    ("replay", {"texts": 11}, ["replayed texts"]),
    ("replay", {"digest": OTHER}, ["replayed text"]),
]


@pytest.mark.parametrize(
    ("kind", "facts"), [*FACTS.items(), ("replay", {**GIVEN, "sources": ()})], ids=str
)
def test_facts_are_written_and_read_back_and_leave_no_trace_where_there_are_none(
    kind: str, facts: dict[str, Any], root: Path
) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    plain = replace(LOCK, accepted=accepted_run(LOCK))
    added = replace(LOCK, accepted=replace(accepted_run(LOCK), **{kind: facts}))

    jsonschema.validate(json.loads(lock_text(added)), schema)
    for lock in (plain, added):
        assert lock_from_text(Path("recipe.lock.json"), lock_text(lock)) == lock
    assert kind not in lock_text(plain)


@pytest.mark.parametrize(("kind", "change", "named"), CHANGES, ids=str)
def test_what_differs_is_named(kind: str, change: dict[str, Any], named: list[str]) -> None:
    found = list(compared_rows(kind, FACTS[kind], {**FACTS[kind], **change}))

    assert [one.name for one in found if not one.equal] == named
    assert {one.part for one in found} == {"data"}


@pytest.mark.parametrize("kind", FACTS)
def test_nothing_is_compared_where_one_of_the_runs_has_none(kind: str) -> None:
    assert [*compared_rows(kind, FACTS[kind], None), *compared_rows(kind, None, FACTS[kind])] == []


@pytest.mark.parametrize(
    ("kind", "facts", "key", "name"),
    [
        ("teacher", {**FACTS["teacher"], "targets": A}, "targets", "the teacher's probabilities"),
        ("replay", {**GIVEN, "sources": ()}, "digest", "replayed text"),
    ],
)
def test_what_a_model_computes_is_another_number_and_no_other_data(
    kind: str, facts: dict[str, Any], key: str, name: str
) -> None:
    found = compared_rows(kind, facts, {**facts, key: OTHER})

    assert [(one.part, one.name) for one in found if not one.equal] == [(NUMBERS, name)]
