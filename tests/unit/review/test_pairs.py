"""Pairs of recipes with their expected findings: every way to weaken a gate, and edits that weaken nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.codes import pages_of_areas
from engine.evidence.review import Effect, Gate, Review
from engine.review.file_tree import Disk
from engine.review.review import review
from engine.review.version import load_side
from engine.store import Store
from support.recipe_pairs import CPU, Case, cases

ALL = cases()
PAIRS = [case for case in ALL if case.group != "harmless"]
HARMLESS = [case for case in ALL if case.group == "harmless"]


OF_REPOSITORIES = {"W119", "W120", "W121"}
"""Found by `recipe ci` without a comparison."""


def reviewed(case: Case, folder: Path) -> Review:
    old, new = case.write(folder)
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    return review(*sides, store=Store(folder / "store"), device=CPU)


def found(result: Review, effect: Effect) -> list[str]:
    return sorted(f"{one.code} {one.path}" for one in result.findings if one.effect is effect)


def test_the_pairs_are_found() -> None:
    assert len(PAIRS) >= 60
    assert len(HARMLESS) >= 20
    assert len({case.name for case in ALL}) == len(ALL)


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_no_weakening_is_missed(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    assert found(result, Effect.WEAKER) == sorted(case.expect)
    assert found(result, Effect.STRONGER) == sorted(case.also)
    assert result.gate is Gate.WEAKER


@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.name)
def test_no_alarm_is_false(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    assert found(result, Effect.WEAKER) == []
    assert found(result, Effect.STRONGER) == sorted(case.also)
    assert result.gate in (Gate.STAYS, Gate.STRONGER)


def test_every_code_of_a_weaker_gate_is_expected_by_a_pair() -> None:
    expected = {line.split()[0] for case in PAIRS for line in case.expect}

    assert expected == {code for code in pages_of_areas() if code.startswith("W")} - OF_REPOSITORIES


SAME = ("comments", "another order of the sections", "block style", "flow style", "quotes",
        "blank lines and indentation", "defaults written out", "defaults left out",
        "numbers written otherwise", "another order of formats", "another order of bins")  # fmt: skip


@pytest.mark.parametrize("case", [c for c in HARMLESS if c.name in SAME], ids=lambda c: c.name)
def test_what_only_looks_otherwise_means_the_same(case: Case, tmp_path: Path) -> None:
    result = reviewed(case, tmp_path)

    assert result.changes == ()
    assert result.reruns == ()
    assert result.is_empty
