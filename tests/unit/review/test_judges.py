"""Who judges, computed: changes of data that a table of keys would miss, and harmless ones that it would report."""

from __future__ import annotations

import copy
import hashlib
import random
from pathlib import Path

import pytest

from engine.evidence.review import Gate, Review
from engine.review.file_tree import Disk
from engine.review.review import review
from engine.review.version import load_side
from engine.store import Store
from support.changed_data import Pair, file_bytes, judges, pairs, version
from support.data_changes import HARMLESS, WEAKENINGS
from support.recipe_pairs import CPU

SEED = 3
WEAKER = {
    "easy source added": ("stratified shares", "files", "column", "folds"),
    "copies of rows": ("random shares", "stratified sizes, lock"),
    "source that contradicts": ("groups, lock", "folds"),
    "label by header": ("random sizes, lock", "time"),
    "rows with other answers": ("random sizes", "time"),
    "rows deleted": ("time", "groups, lock"),
    "members of groups rewritten": ("groups, lock",),
    "other texts": ("files", "groups"),
    "personal data masked": ("column",),
    "near duplicates dropped": ("stratified shares, lock",),
}
QUIET = {
    "gzip": ("stratified sizes", "files"),
    "JSON lines": ("random shares, lock",),
    "two files": ("files", "stratified sizes"),
    "columns renamed": ("random shares", "groups"),
    "labels to themselves": ("stratified shares",),
    "more training rows": ("files", "column"),
    "typos in training rows": ("column",),
    "more folds": ("folds",),
    "renewed pins": ("files", "stratified sizes, lock"),
    "header written out": ("column",),
}


def chosen(classes: dict[str, tuple[str, ...]]) -> list[Pair]:
    names = {f"{kind}, {way}" for kind, ways in classes.items() for way in ways}
    drawn = pairs(SEED, {kind: {**WEAKENINGS, **HARMLESS}[kind] for kind in classes})
    return [pair for pair in drawn if pair.name in names]


def reviewed(pair: Pair, folder: Path) -> Review:
    old, new = pair.write(folder)
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    return review(*sides, store=Store(folder / "store"), device=CPU)


@pytest.mark.parametrize("pair", chosen(WEAKER), ids=lambda pair: pair.name)
def test_other_judges_are_found(pair: Pair, tmp_path: Path) -> None:
    result = reviewed(pair, tmp_path)

    old, new = (judges(tmp_path / side / "tickets.yaml") for side in ("old", "new"))
    assert old is not None
    assert old != new
    assert result.gate is Gate.WEAKER


@pytest.mark.parametrize("pair", chosen(QUIET), ids=lambda pair: pair.name)
def test_the_same_judges_raise_no_alarm(pair: Pair, tmp_path: Path) -> None:
    result = reviewed(pair, tmp_path)

    old, new = (judges(tmp_path / side / "tickets.yaml") for side in ("old", "new"))
    assert old is not None
    assert old == new
    assert result.gate in (Gate.STAYS, Gate.STRONGER)


def test_every_class_is_drawn() -> None:
    wanted = sum(map(len, [*WEAKER.values(), *QUIET.values()]))

    assert len([*chosen(WEAKER), *chosen(QUIET)]) == wanted


def test_the_share_of_new_judges_is_said(tmp_path: Path) -> None:
    pair = next(one for one in chosen(WEAKER) if one.name == "easy source added, files")

    (found,) = reviewed(pair, tmp_path).findings

    assert (found.code, found.path) == ("W206", "data.sources[2]")
    assert found.says == "`more.csv`: 60 of 110 rows that judge are new"


@pytest.mark.parametrize("way", ["stratified sizes", "random sizes"])
def test_sizes_that_the_rows_no_longer_give_are_not_known(way: str, tmp_path: Path) -> None:
    old = version(way, random.Random(SEED))
    new = copy.deepcopy(old)
    new.files["tickets.csv"] = new.files["tickets.csv"][:50]

    result = reviewed(Pair(name=way, old=old, new=new, locked=True), tmp_path)

    assert result.gate in (Gate.UNKNOWN, Gate.WEAKER)


def test_a_pin_that_no_longer_fits_its_file_is_not_known(tmp_path: Path) -> None:
    old = version("column", random.Random(SEED))
    content = file_bytes(old.files["tickets.csv"], "")
    old.sources[0]["sha256"] = hashlib.sha256(content).hexdigest()
    new = copy.deepcopy(old)
    new.written["tickets.csv"] = "crlf"

    result = reviewed(Pair(name="pin", old=old, new=new, locked=False), tmp_path)

    assert [(one.code, one.path) for one in result.findings] == [("W121", "data.sources[0].sha256")]
    assert result.gate is Gate.UNKNOWN
