"""Who judges, computed: changes of data that a table of keys would miss, and harmless ones that it would report."""

import copy
import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.evidence.review import Effect, Gate, Review
from engine.review.findings import review
from engine.review.row_changes import RowDivider
from engine.review.version import Disk, load_side
from support.changed_data import SPLITS, Pair, Version, file_bytes, pairs, version
from support.changed_kinds import SHAPES
from support.data_changes import HARMLESS, HARMLESS_FOR_ALL, OF_EVERY_KIND, WEAKENINGS
from support.file_changes import MORE_HARMLESS, MORE_WEAKENINGS
from support.judged_pairs import FOUND, LEFT_OUT, QUIET, WRONG, JudgedPairs
from support.recipe_pairs import CPU, TOPICS, cases

SEED = 3


def reviewed(pair: Pair, folder: Path) -> Review:
    old, new = pair.write(folder)
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    return review(*sides, device=CPU)


LEFT_OUT_AT_MOST = 6
"""Pairs of one way that say nothing: after them the same rows judge, or a run would refuse the data."""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("way", SPLITS)
def test_changes_of_data_are_judged_by_who_judges(way: str, tmp_path: Path) -> None:
    judged = JudgedPairs(folder=tmp_path)
    outcomes = {
        pair.name: judged.outcome(pair, changes=changes)
        for classes, changes in ((WEAKENINGS, True), (HARMLESS, False))
        for pair in pairs(SEED, classes, [way])
    }
    counts = Counter(outcomes.values())

    assert {name: found for name, found in outcomes.items() if found in WRONG} == {}
    assert counts[FOUND] >= 29
    assert counts[QUIET] >= 24
    assert counts[LEFT_OUT] <= LEFT_OUT_AT_MOST


WAY_OF = dict(
    zip(SHAPES, ("random shares", "random sizes", "files", "folds", "column", "time"), strict=True)
)
"""Of each kind, the one that is tried here; `benchmarks/review.py --kinds` tries all."""
ALL_HARMLESS = {**HARMLESS, **MORE_HARMLESS}


def judged_wrongly(folder: Path, found: Iterable[Pair], *, changes: bool) -> list[str]:
    judged = JudgedPairs(folder=folder)
    return [pair.name for pair in found if judged.outcome(pair, changes=changes) in WRONG]


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["time", "files", "groups"])
def test_further_changes_of_data_are_judged_by_who_judges(way: str, tmp_path: Path) -> None:
    for classes, changes in ((MORE_WEAKENINGS, True), (MORE_HARMLESS, False)):
        found = pairs(SEED, classes, [way])
        assert judged_wrongly(tmp_path / str(changes), found, changes=changes) == []


@pytest.mark.thorough
@pytest.mark.parametrize("kind", SHAPES)
def test_changes_of_data_of_every_kind_are_judged_by_who_judges(kind: str, tmp_path: Path) -> None:
    for classes, changes in ((OF_EVERY_KIND, True), (HARMLESS_FOR_ALL, False)):
        found = pairs(SEED, classes, [WAY_OF[kind]], kind=kind)
        assert judged_wrongly(tmp_path / str(changes), found, changes=changes) == []


@pytest.mark.thorough
def test_a_harmless_edit_beside_it_hides_no_weakening(tmp_path: Path) -> None:
    found = pairs(SEED, {**WEAKENINGS, **MORE_WEAKENINGS}, ["files"], beside=ALL_HARMLESS)

    assert judged_wrongly(tmp_path, found, changes=True) == []


def test_every_way_to_divide_is_tried() -> None:
    assert len(SPLITS) >= 8


def test_the_share_of_new_judges_is_reported(tmp_path: Path) -> None:
    (pair, *_) = pairs(SEED, {"easy source added": WEAKENINGS["easy source added"]}, ["files"])

    (found,) = reviewed(pair, tmp_path).findings

    assert (found.code, found.path) == ("W206", "data.sources[2]")
    assert found.says == "`more.csv`: 40 of 70 rows that judge are new"


def test_rows_that_are_rewritten_until_they_judge_are_no_growth(tmp_path: Path) -> None:
    name = "characters nobody sees"
    (pair, *_) = pairs(0, {name: MORE_WEAKENINGS[name]}, ["random shares"])

    result = reviewed(pair, tmp_path)

    assert result.gate is Gate.WEAKER
    assert "6 of 24 rows that judge are new" in result.findings[0].says


def of_the_hub(**checks: str) -> Version:
    made = version("files", random.Random(SEED))
    made.recipe["data"]["checks"] = checks
    made.recipe["data"]["sources"] = [
        {"hub": "owner/rows", "revision": "0" * 40, "split": split, "into": into}
        for split, into in (("train", "train"), ("dev", "validation"), ("test", "holdout"))
    ]
    return made


def test_a_label_that_stands_for_itself_is_no_change_wherever_the_rows_are(tmp_path: Path) -> None:
    old, new = of_the_hub(), of_the_hub()
    new.recipe["data"]["label"]["relabel"] = {name: name for name in TOPICS}

    result = reviewed(Pair(name="", old=old, new=new, locked=False), tmp_path)

    assert (result.gate, result.findings) == (Gate.STAYS, ())


@pytest.mark.parametrize("check", ["conflicting_labels", "near_duplicates"])
def test_training_rows_that_may_take_out_judges_are_not_known(check: str, tmp_path: Path) -> None:
    for action, gate in (("drop", Gate.UNKNOWN), ("fail", Gate.STAYS)):
        old, new = (of_the_hub(**{check: action}) for _ in range(2))
        more = {"hub": "owner/more", "revision": "1" * 40, "split": "train", "into": "train"}
        new.recipe["data"]["sources"].append(more)

        result = reviewed(Pair(name="", old=old, new=new, locked=False), tmp_path / action)

        assert result.gate is gate


@pytest.mark.parametrize("way", ["stratified sizes", "random sizes"])
def test_sizes_that_the_rows_no_longer_give_are_not_known(way: str, tmp_path: Path) -> None:
    old = version(way, random.Random(SEED))
    new = copy.deepcopy(old)
    new.files["tickets.csv"] = new.files["tickets.csv"][:24]

    result = reviewed(Pair(name=way, old=old, new=new, locked=True), tmp_path)

    assert result.gate in (Gate.UNKNOWN, Gate.WEAKER)
    (unknown,) = [one for one in result.findings if one.effect is Effect.UNKNOWN]
    assert "55 rows are needed (30 train + 5 validation + 20 holdout), there are 24" in unknown.says


@pytest.mark.parametrize(("way", "found"), [("folds", ["W125"]), ("random shares", [])])
def test_doubted_rows_are_no_gain_where_every_row_judges(
    way: str, found: list[str], tmp_path: Path
) -> None:
    old = version(way, random.Random(SEED))
    old.checks["label_errors"] = "warn"
    new = copy.deepcopy(old)
    new.checks["label_errors"] = "drop"

    result = reviewed(Pair(name=way, old=old, new=new, locked=False), tmp_path)

    assert [one.code for one in result.findings if one.effect is Effect.WEAKER] == found
    assert (result.gate is Gate.STRONGER) is not bool(found)


def test_a_pin_that_no_longer_fits_its_file_is_not_known(tmp_path: Path) -> None:
    old = version("column", random.Random(SEED))
    content = file_bytes(old.files["tickets.csv"], "")
    old.sources[0]["sha256"] = hashlib.sha256(content).hexdigest()
    new = copy.deepcopy(old)
    new.written["tickets.csv"] = "crlf"

    result = reviewed(Pair(name="pin", old=old, new=new, locked=False), tmp_path)

    assert [(one.code, one.path) for one in result.findings] == [("W121", "data.sources[0].sha256")]
    assert result.gate is Gate.UNKNOWN


# Local files that changed under their name, where their rows are too many to be divided here.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rows that judged are taken out of the file", ["W206 data.sources[0]"]),
        ("rows that judge get another answer in the file", ["W206 data.sources[0]"]),
        ("recorded rows that judge get another answer in the file", ["W206 data.sources[0]"]),
        ("rows are added to the file, of which a share judges", []),
    ],
)
def test_lines_that_are_gone_are_reported(name: str, expected: list[str], tmp_path: Path) -> None:
    case = next(one for one in cases() if one.name == name)
    sides = [load_side(path, Disk(), label=path.name) for path in case.write(tmp_path)]

    result = review(*sides, device=CPU, rows=RowDivider(room=0))

    assert [f"{one.code} {one.path}" for one in result.findings] == expected


# A threshold beside the value of the accepted model: what the change lets pass.
VALUE = "the accepted model has macro_f1 0.81 (0.71 to 0.95)"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("macro_f1: {min: 0.75}", "macro_f1: {min: 0.65}"),
        ("decide_on: lower_bound", "decide_on: point"),
        ("confidence: 0.95", "confidence: 0.9"),
        ("min_gain: 0.05", "min_gain: 0.01"),
    ],
)
def test_the_accepted_value_is_shown_with_a_bound(before: str, after: str, tmp_path: Path) -> None:
    base = next(one for one in cases() if one.name == "another run is accepted")
    case = replace(
        base,
        new_lock="accepted",
        before=(("macro_f1: {min: 0.60}", "macro_f1: {min: 0.75}"),),
        edit=((before, after),),
    )
    sides = [load_side(path, Disk(), label=path.name) for path in case.write(tmp_path)]

    (found,) = review(*sides, device=CPU).findings

    assert found.says == VALUE
