"""How often each holdout has decided, across recipes and processes."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.lock.holdout_uses import HoldoutUses
from engine.store import Store

DIGEST = "5e" * 32


def look(root: Path) -> int:
    return HoldoutUses(Store(root)).add(DIGEST, {"recipe": "reviews", "run": "one"})


def test_each_decision_counts_once_and_is_distinguished(tmp_path: Path) -> None:
    holdouts = HoldoutUses(Store(tmp_path))

    first = holdouts.add(DIGEST, {"recipe": "reviews", "run": "one"})
    second = holdouts.add(DIGEST, {"recipe": "other", "run": "two"})

    assert (first, second, holdouts.looks(DIGEST)) == (1, 2, 2)
    assert holdouts.looks("6f" * 32) == 0
    record = json.loads((tmp_path / "holdouts" / f"{DIGEST}.json").read_text(encoding="utf-8"))
    assert [one["recipe"] for one in record["decisions"]] == ["reviews", "other"]


def test_decisions_that_only_the_lock_knows_count_too(tmp_path: Path) -> None:
    holdouts = HoldoutUses(Store(tmp_path))

    assert holdouts.add(DIGEST, {"run": "one"}, known=5) == 6
    assert holdouts.add(DIGEST, {"run": "two"}, known=2) == 7


def test_a_broken_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "holdouts").mkdir()
    (tmp_path / "holdouts" / f"{DIGEST}.json").write_text("{", encoding="utf-8")

    assert HoldoutUses(Store(tmp_path)).add(DIGEST, {"run": "one"}) == 1


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "holdouts").write_text("in the way", encoding="utf-8")

    with pytest.raises(StoreError) as caught:
        HoldoutUses(Store(tmp_path)).add(DIGEST, {"run": "one"})

    assert caught.value.problems[0].code == "E750"


def test_no_decision_is_lost_among_processes(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(look, [tmp_path] * 12))

    assert sorted(found) == list(range(1, 13))
