"""A threshold beside the value of the accepted model: what the change lets pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.review.file_tree import Disk
from engine.review.findings import review
from engine.review.version import load_side
from engine.store import Store
from support.recipe_pairs import CPU, cases


@pytest.mark.parametrize(
    ("before", "after", "means"),
    [
        ("0.75", "0.65", "it passes now and did not before"),
        ("0.65", "0.75", "it no longer passes"),
        ("0.65", "0.61", "it passes as before"),
        ("0.90", "0.85", "it does not pass, as before"),
    ],
)
def test_the_accepted_value_stands_beside_a_threshold(
    before: str, after: str, means: str, tmp_path: Path
) -> None:
    base = next(one for one in cases() if one.name == "another run is accepted")
    case = replace(
        base,
        new_lock="accepted",
        before=(("macro_f1: {min: 0.60}", f"macro_f1: {{min: {before}}}"),),
        edit=((f"macro_f1: {{min: {before}}}", f"macro_f1: {{min: {after}}}"),),
    )
    sides = [load_side(path, Disk(), label=path.name) for path in case.write(tmp_path)]

    (found,) = review(*sides, store=Store(tmp_path / "store"), device=CPU).findings

    assert found.says == f"the accepted model has 0.81: {means}"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            "decide_on: lower_bound",
            "decide_on: point",
            "the accepted model has macro_f1 0.81 (0.71 to 0.95): it passes now and did not before",
        ),
        (
            "confidence: 0.95",
            "confidence: 0.9",
            "the accepted model has macro_f1 0.81 (0.71 to 0.95)",
        ),
        (
            "min_gain: 0.05",
            "min_gain: 0.01",
            "the accepted model has macro_f1 0.81 on the holdout; what this bound compares it with is in its report",
        ),
    ],
)
def test_the_accepted_value_stands_beside_other_bounds(
    before: str, after: str, says: str, tmp_path: Path
) -> None:
    base = next(one for one in cases() if one.name == "another run is accepted")
    case = replace(
        base,
        new_lock="accepted",
        before=(("macro_f1: {min: 0.60}", "macro_f1: {min: 0.75}"),),
        edit=((before, after),),
    )
    sides = [load_side(path, Disk(), label=path.name) for path in case.write(tmp_path)]

    (found,) = review(*sides, store=Store(tmp_path / "store"), device=CPU).findings

    assert found.says.removeprefix("; ").endswith(says)


def test_a_value_below_zero_has_a_minus_sign(tmp_path: Path) -> None:
    base = next(one for one in cases() if one.name == "another run is accepted")
    case = replace(base, new_lock="accepted", edit=(("min_gain: 0.05", "min_gain: 0.01"),))
    sides = [load_side(path, Disk(), label=path.name) for path in case.write(tmp_path)]
    accepted = sides[1].lock.accepted if sides[1].lock else None
    assert accepted is not None
    accepted.metrics["macro_f1"]["value"] = -0.0312

    found = review(*sides, store=Store(tmp_path / "store"), device=CPU).findings

    assert "has macro_f1 \u22120.0312 on the holdout" in " ".join(one.says for one in found)
