"""What a lock says of replayed text, and what a run that repeats it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.lock.comparison import NUMBERS, compared_rows
from engine.lock.file import ReplayFacts, lock_from_text, lock_text
from engine.values import replace
from support.recipe_pairs import accepted_run
from unit.lock.test_file import LOCK

GIVEN: ReplayFacts = {
    "sources": ({"name": "general.txt", "sha256": "ab" * 32},),
    "texts": 12,
    "digest": "cd" * 32,
}
SAMPLED: ReplayFacts = {**GIVEN, "sources": ()}
PLAIN = replace(LOCK, accepted=accepted_run(LOCK))


@pytest.mark.parametrize("facts", [GIVEN, SAMPLED], ids=["given", "sampled"])
def test_replayed_text_is_written_and_read_back(facts: ReplayFacts, root: Path) -> None:
    schema = json.loads((root / "schemas" / "lock.v1.schema.json").read_text(encoding="utf-8"))
    lock = replace(LOCK, accepted=replace(accepted_run(LOCK), replay=facts))
    text = lock_text(lock)

    jsonschema.validate(json.loads(text), schema)
    assert lock_from_text(Path("recipe.lock.json"), text) == lock


def test_a_lock_without_replay_is_written_as_before() -> None:
    assert "replay" not in lock_text(PLAIN)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"sources": ({"name": "general.txt", "sha256": None},)}, []),
        ({"sources": ({"name": "general.txt", "sha256": "ef" * 32},)}, ["general.txt that is replayed"]),
        ({"texts": 11}, ["replayed texts"]),
        ({"digest": "ef" * 32}, ["replayed text"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_differs_of_given_text_is_named(change: Any, named: list[str]) -> None:
    found = list(compared_rows("replay", GIVEN, {**GIVEN, **change}))

    assert [one.name for one in found if not one.equal] == named
    assert {one.part for one in found} == {"data"}


def test_other_samples_of_the_base_model_are_other_numbers_and_not_other_data() -> None:
    found = list(compared_rows("replay", SAMPLED, {**SAMPLED, "digest": "ef" * 32}))

    assert [(one.part, one.name) for one in found if not one.equal] == [(NUMBERS, "replayed text")]


def test_nothing_is_compared_where_one_of_the_runs_replays_nothing() -> None:
    assert (
        list(compared_rows("replay", GIVEN, None))
        == list(compared_rows("replay", None, GIVEN))
        == []
    )
