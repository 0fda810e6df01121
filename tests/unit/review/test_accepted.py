"""A threshold beside the value of the accepted model: what the change lets pass."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.review.findings import review
from engine.review.version import Disk, load_side
from support.recipe_pairs import CPU, cases

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
