"""Texts of the holdout in the prompt, by the rows or by the hashes of a lock; other words in it are no finding."""

import random
from pathlib import Path

import pytest

from engine.lock.file import lock_path, write_lock
from engine.recipe import load_recipe
from engine.review.findings import review
from engine.review.rows import RowDivider
from engine.review.version import Disk, load_side
from support.changed_data import version
from support.judged_pairs import judges
from support.recipe_pairs import CPU, made_lock


def written(folder: Path, instruction: str, *, way: str = "random shares") -> Path:
    made = version(way, random.Random(5))
    made.recipe["task"]["instruction"] = instruction
    return made.write(folder)


ASKS = "Which topic is this ticket about: {labels}?"


def texts(folder: Path) -> list[str]:
    found = judges(load_side(folder / "tickets.yaml", Disk(), label="now"))
    assert found is not None
    return sorted(found)


def codes(old: Path, new: Path, folder: Path, rows: RowDivider | None = None) -> list[str]:
    sides = [load_side(path, Disk(), label=path.parent.name) for path in (old, new)]
    result = review(*sides, device=CPU, rows=rows)
    return [f"{one.code} {one.path}: {one.says}" for one in result.findings]


@pytest.mark.parametrize(
    ("quote", "rows"),
    [
        ("Example: {0} -> bug", 1),
        ("Some of them:\n{0}\n{1}", 2),
        ('The ticket "{0}!" is about a bug.', 1),
    ],
)
def test_rows_that_judge_are_found_in_the_prompt(quote: str, rows: int, tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    quoted = quote.format(*texts(tmp_path / "old"))
    new = written(tmp_path / "new", f"{ASKS} {quoted}")

    assert [one.split(":")[0] for one in codes(old, new, tmp_path)] == ["W211 task.instruction"]
    assert f"{rows} row" in codes(old, new, tmp_path)[0]


def test_other_words_in_the_prompt_are_no_finding(tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    new = written(tmp_path / "new", f"{ASKS} An example: invoice kiosk 1234 is about billing.")

    assert codes(old, new, tmp_path) == []


def test_a_lock_tells_rows_that_are_not_here(tmp_path: Path) -> None:
    old = written(tmp_path / "old", ASKS)
    new = written(tmp_path / "new", f"{ASKS}\n{texts(tmp_path / 'old')[0]}")
    lock = made_lock(load_recipe(old)[0])
    for path in (old, new):
        write_lock(lock_path(path), lock)

    found = codes(old, new, tmp_path, RowDivider(room=0))

    assert [one.split(":")[0] for one in found] == ["W211 task.instruction"]
