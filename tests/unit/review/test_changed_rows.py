"""Local files that changed under their name, where their rows are too many to be divided here."""

from pathlib import Path

import pytest

from engine.review.findings import review
from engine.review.rows import RowDivider
from engine.review.version import Disk, load_side
from support.recipe_pairs import CPU, cases


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
