"""Which of several waivers accepts a weakening: a fresh one, whatever older ones stand beside it."""

from pathlib import Path

import pytest

from engine.evidence.review import Gate
from engine.review.findings import review
from engine.review.version import Disk, load_side
from support.recipe_pairs import CPU, cases

OLD = "  - {what: acceptance, why: The first rows were too easy.}\n"


@pytest.mark.parametrize(
    ("added", "gate"),
    [
        ("  - {what: W101, why: Half of the class was mislabelled.}\n", Gate.WAIVED),
        ("  - {what: W101, why: 'the first rows were too easy'}\n", Gate.WEAKER),
        ("", Gate.WEAKER),
    ],
)
def test_only_a_new_reason_accepts(added: str, gate: Gate, tmp_path: Path) -> None:
    case = next(one for one in cases() if one.name == "a minimum is lowered")
    old, new = case.write(tmp_path)
    for path, more in ((old, ""), (new, added)):
        path.write_text(f"{path.read_text('utf-8')}\nwaivers:\n{OLD}{more}", encoding="utf-8")
    sides = [load_side(path, Disk(), label=path.name) for path in (old, new)]

    assert review(*sides, device=CPU).gate is gate
