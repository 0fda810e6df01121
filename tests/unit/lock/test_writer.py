"""The lock that a run writes, the decisions it counts, and what it says about another holdout."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engine.evidence import StageRecord, StageStatus
from engine.lock.file import Wear, lock_path, read_lock
from engine.lock.writer import JUDGES, WORN_AT, LockWriter, change_notes, judges, lock_of
from engine.recipe import load_recipe
from engine.recipe.model import Baseline, Recipe
from engine.store import Artifact, Store, product_key
from engine.store.records import Runs
from engine.values import replace
from support.data_artifacts import data_artifact, digest

FIRST = {"train": ["a", "b"], "validation": ["c"], "holdout": ["d", "e"], "none": ["f"]}
GROWN = {"train": ["a", "b", "g"], "validation": ["c"], "holdout": ["d", "e"], "none": []}
OTHER = {"train": ["d", "e"], "validation": ["c"], "holdout": ["a", "g"], "none": []}

NUMBERS = count()
DAYS = ("2026-11-28-081149", "2026-11-28-090953", "2026-11-28-093353", "2026-11-28-110000")
MAJORITY = Baseline(kind="majority", name="majority")


@pytest.fixture
def recipe(root: Path, tmp_path: Path) -> Recipe:
    path = tmp_path / "reviews.yaml"
    text = (root / "recipes" / "quickstart.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".recipe")


def ran(*stages: str, status: StageStatus = StageStatus.RAN) -> list[StageRecord]:
    return [
        StageRecord(stage=name, status=status, key="", reason="", seconds=0.0) for name in stages
    ]


def verdicts(store: Store, *stages: str) -> dict[str, Artifact]:
    """Verdicts that nobody has formed before."""
    return {
        name: store.put(name, product_key(name, {"of": next(NUMBERS)}), lambda _: None)
        for name in stages
    }


def finish(
    keeper: LockWriter,
    records: Sequence[StageRecord],
    artifacts: Mapping[str, Artifact] | None = None,
    *,
    run: str = "one",
    outcome: str = "refused",
    repeats: bool = False,
) -> Any:
    """End a run; without `artifacts` its stages have left new ones."""
    left = verdicts(keeper.store, *(record.stage for record in records))
    use = keeper.finish(
        records,
        left if artifacts is None else artifacts,
        run=run,
        started="2026-11-24T10:00:00+00:00",
        outcome=outcome,
        repeats=repeats,
    )
    keeper.keep()
    return use


def keep(recipe: Recipe, store: Store, splits: Any, **payload: Any) -> LockWriter:
    """A keeper that has recorded these splits."""
    keeper = LockWriter(recipe=recipe, store=store, before=read_lock(lock_path(recipe.file)))
    keeper.after_data(data_artifact(store, splits, **payload))
    return keeper


def test_the_first_run_records_the_splits_and_says_so(recipe: Recipe, store: Store) -> None:
    keeper = keep(recipe, store, FIRST)

    lock = read_lock(lock_path(recipe.file))
    assert lock is not None
    assert lock == keeper.now
    assert keeper.messages == ["holdout recorded in reviews.lock.json: commit it with the recipe"]
    assert {name: split.rows for name, split in lock.splits.items()} == {
        "train": 2,
        "validation": 1,
        "holdout": 2,
    }
    assert lock.splits["holdout"].digest == digest(FIRST["holdout"])
    assert sorted(lock.members()) == ["holdout", "none", "train", "validation"]
    assert lock.firewall is not None
    assert (lock.firewall.found_near, lock.firewall.left_near) == (1, 0)
    assert (lock.drawn_with, lock.holdout) == (None, Wear(looks=0, redraws=0))


def test_the_same_splits_are_neither_written_nor_reported_again(
    recipe: Recipe, store: Store
) -> None:
    keep(recipe, store, FIRST)

    assert keep(recipe, store, FIRST).messages == []


def test_baselines_decide_where_they_could_have_stopped_the_run(recipe: Recipe) -> None:
    recipe = replace(recipe, stop_if_baseline_passes=True, baselines=(MAJORITY,))

    assert judges(recipe) == ("baseline", *JUDGES)
    assert judges(replace(recipe, baselines=())) == JUDGES
    assert judges(replace(recipe, stop_if_baseline_passes=False)) == JUDGES


@pytest.mark.parametrize("stages", [("gate",), ("gate", "verify")])
def test_a_run_is_one_look_however_many_verdicts_it_forms(
    stages: tuple[str, ...], recipe: Recipe, store: Store
) -> None:
    formed = verdicts(store, *stages)
    use = finish(keep(recipe, store, FIRST), ran(*stages), formed)
    again = finish(keep(recipe, store, FIRST), ran(*stages, status=StageStatus.REUSED), formed)
    lock = read_lock(lock_path(recipe.file))

    assert (use.looks, again.looks) == (1, 1)
    assert use.digest == digest(FIRST["holdout"])
    assert lock is not None
    assert lock.holdout.looks == 1


def test_a_run_that_asks_nobody_the_holdout_is_no_look(recipe: Recipe, store: Store) -> None:
    use = finish(keep(recipe, store, FIRST), ran("data", "train"), {})

    assert use.looks == 0


def test_a_score_that_was_shown_is_a_look_and_the_verdict_on_it_is_the_same(
    recipe: Recipe, store: Store
) -> None:
    def look(run: str, known: dict[str, Artifact], *stages: str) -> int:
        keeper = keep(recipe, store, FIRST)
        return int(finish(keeper, ran(*stages), known, run=run, outcome="stopped").looks)

    score, verdict = verdicts(store, "evaluate"), verdicts(store, "gate")
    others = verdicts(store, "evaluate"), verdicts(store, "evaluate")

    # `--until evaluate`, and the same recipe to its end
    assert look(f"{DAYS[0]}-2157bf11", score, "evaluate") == 1
    assert look(f"{DAYS[1]}-2157bf11", score | verdict, "gate") == 1
    # settings that are tried by their score on the holdout, one after the other
    assert look(f"{DAYS[2]}-30aa11cc", others[0], "evaluate") == 2
    assert look(f"{DAYS[3]}-41bb22dd", others[1], "evaluate") == 3


@pytest.mark.parametrize("outcome", ["stopped", "interrupted", "failed"])
def test_a_run_that_goes_on_from_its_verdict_is_one_look_with_it(
    outcome: str, recipe: Recipe, store: Store
) -> None:
    def look(number: int, known: dict[str, Artifact], *stages: str, key: str = "2157bf11") -> int:
        run = f"{DAYS[number]}-{key}"
        use = finish(keep(recipe, store, FIRST), ran(*stages), known, run=run, outcome=outcome)
        return int(use.looks)

    gate, other, verify, again = (
        verdicts(store, *stages) for stages in (("gate",), ("gate",), ("verify",), ("verify",))
    )

    assert look(0, gate, "gate") == 1
    assert look(1, gate | verify, "verify") == 1
    # The same command, whose verification was forced: one of two was chosen.
    assert look(2, gate | again, "verify") == 2
    # The same recipe, and another model: trained again, or on rows that changed.
    assert look(3, other | verify, "gate") == 3


def test_another_recipe_that_goes_on_from_a_verdict_is_another_look(
    recipe: Recipe, store: Store
) -> None:
    gate, verify = verdicts(store, "gate"), verdicts(store, "verify")

    finish(keep(recipe, store, FIRST), ran("gate"), gate, run=f"{DAYS[0]}-2157bf11")
    # Chosen when the verdict was there to be read.
    use = finish(
        keep(recipe, store, FIRST), ran("verify"), gate | verify, run=f"{DAYS[1]}-30aa11cc"
    )

    assert use.looks == 2


def test_a_verdict_whose_run_was_killed_before_it_counted_is_counted_by_the_next(
    recipe: Recipe, store: Store
) -> None:
    gate = verdicts(store, "gate")

    use = finish(keep(recipe, store, FIRST), ran("gate", status=StageStatus.REUSED), gate)
    again = finish(keep(recipe, store, FIRST), ran("gate", status=StageStatus.REUSED), gate)

    assert (use.looks, again.looks) == (1, 1)


def test_a_verdict_of_others_is_counted_where_it_was_formed(recipe: Recipe, store: Store) -> None:
    (gate,) = verdicts(store, "gate").values()
    others = {"gate": replace(gate, taken_from="elsewhere")}

    assert finish(keep(recipe, store, FIRST), ran("data"), others).looks == 0


def test_verdicts_that_an_earlier_version_counted_are_not_counted_again(
    recipe: Recipe, store: Store
) -> None:
    gate = verdicts(store, "gate")
    finish(keep(recipe, store, FIRST), ran("gate"), gate)
    (record,) = (store.root / "holdouts").iterdir()
    fields = json.loads(record.read_text("utf-8"))
    del fields["verdicts"]
    record.write_text(json.dumps(fields), "utf-8")
    reused = ran("gate", status=StageStatus.REUSED)

    assert finish(keep(recipe, store, FIRST), reused, gate).looks == 1
    record.unlink()  # the lock knows of one
    assert finish(keep(recipe, store, FIRST), reused, gate).looks == 1


def test_a_run_that_repeats_an_accepted_one_is_no_look_and_none_later(
    recipe: Recipe, store: Store
) -> None:
    gate = verdicts(store, "gate")
    finish(keep(recipe, store, FIRST), ran("gate"), verdicts(store, "gate"), run="one")

    use = finish(keep(recipe, store, FIRST), ran("gate"), gate, run="two", repeats=True)
    reused = ran("gate", status=StageStatus.REUSED)
    again = finish(keep(recipe, store, FIRST), reused, gate, run="three")

    assert (use.looks, again.looks) == (1, 1)


def test_looks_are_counted_across_recipes_and_machines(
    recipe: Recipe, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "twin.yaml"
    twin.write_text(recipe.file.read_text(encoding="utf-8"), encoding="utf-8")
    finish(keep(recipe, store, FIRST), ran("gate"))

    by_twin = finish(keep(load_recipe(twin)[0], store, FIRST), ran("gate"))
    elsewhere = finish(keep(recipe, Store(tmp_path / "fresh"), FIRST), ran("gate"))

    assert by_twin.looks == 2
    assert elsewhere.looks == 2  # a store that knows nothing: the lock knows of the first


def test_a_run_that_decides_nothing_records_what_others_decided(
    recipe: Recipe, store: Store
) -> None:
    gate = verdicts(store, "gate")
    finish(keep(recipe, store, FIRST), ran("gate"), gate)
    lock_path(recipe.file).unlink()

    reused = ran("gate", status=StageStatus.REUSED)
    use = finish(keep(recipe, store, FIRST), reused, gate, run="two")

    lock = read_lock(lock_path(recipe.file))
    assert lock is not None
    assert lock.holdout.looks == use.looks == 1


def test_a_worn_holdout_is_reported_with_reason_and_advice(recipe: Recipe, store: Store) -> None:
    for number in range(1, WORN_AT):
        keeper = keep(recipe, store, FIRST)
        assert finish(keeper, ran("gate"), run=str(number)).looks == number
        assert keeper.warnings == []

    keeper = keep(recipe, store, FIRST)
    finish(keeper, ran("gate"))

    (warning,) = keeper.warnings
    assert f"has decided {WORN_AT} times" in warning
    assert "Dwork" in warning
    assert "new rows" in warning


def test_new_rows_in_training_are_no_redraw(recipe: Recipe, store: Store) -> None:
    finish(keep(recipe, store, FIRST), ran("gate"))

    keeper = keep(recipe, store, GROWN, sources="more", recorded="77" * 32)

    assert keeper.now is not None
    assert keeper.now.holdout == Wear(looks=1, redraws=0)
    assert keeper.now.drawn_with == "77" * 32


def test_another_draw_is_counted_and_begins_without_looks(recipe: Recipe, store: Store) -> None:
    finish(keep(recipe, store, FIRST), ran("gate"))
    other = replace(recipe, splits=replace(recipe.splits, seed=8))

    use = finish(keep(other, store, OTHER, seed=8), [])
    back = finish(keep(recipe, store, FIRST), [])

    assert (use.looks, use.redraws) == (0, 1)
    assert (back.looks, back.redraws) == (1, 2)  # the store remembers the first holdout


def test_a_redraw_that_keeps_most_rows_is_not_fresh(recipe: Recipe, store: Store) -> None:
    finish(keep(recipe, store, FIRST), ran("gate"))
    other = replace(recipe, splits=replace(recipe.splits, holdout=3))

    use = finish(keep(other, store, {**GROWN, "holdout": ["d", "e", "x"]}, holdout=3), [])

    assert (use.looks, use.redraws) == (1, 1)


def test_a_draw_that_gives_the_same_rows_is_no_redraw(recipe: Recipe, store: Store) -> None:
    keep(recipe, store, FIRST)
    other = replace(recipe, splits=replace(recipe.splits, by="random"))

    keeper = keep(other, store, FIRST, by="random")

    assert keeper.now is not None
    assert keeper.now.holdout.redraws == 0
    assert keeper.messages  # the new draw is recorded


def test_a_folder_that_cannot_be_written_is_a_warning(
    recipe: Recipe, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any) -> bool:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("engine.lock.writer.write_lock", forbidden)
        keeper = keep(recipe, store, FIRST)
        use = finish(keeper, ran("gate"))

    assert keeper.messages == []
    assert use.looks == 1
    (warning,) = keeper.warnings
    assert warning.startswith("D384")
    assert "reviews.lock.json" in warning


def test_another_holdout_than_before_is_noted_with_the_rows_that_were_trained_on(
    recipe: Recipe, store: Store
) -> None:
    first, other = data_artifact(store, FIRST), data_artifact(store, OTHER, seed=8)
    runs = Runs(store.root)
    run = runs.create(recipe.name, "ab" * 32)
    runs.record(run, {"stages": {"data": {"status": "ran", "key": first.key}}})

    assert change_notes(recipe, store, first) == []
    assert change_notes(recipe, store, other) == [
        "the holdout is another one than in the previous run: 1 of its 2 rows were training rows then"
    ]
    grown = data_artifact(store, GROWN, sources="more")
    assert change_notes(recipe, store, grown) == []


def test_nothing_is_held_out_where_there_is_no_holdout(recipe: Recipe, store: Store) -> None:
    keeper = keep(recipe, store, {"train": ["a", "b"]})

    assert finish(keeper, ran("gate")) is None


def test_the_lock_holds_what_the_artifact_says(recipe: Recipe, store: Store) -> None:
    data = data_artifact(store, FIRST)

    assert lock_of(recipe, data, None) == lock_of(recipe, data, lock_of(recipe, data, None))
