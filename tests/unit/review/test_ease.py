"""Whether other judges are easier is shown by a count of words, with the numbers that it rests on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.evidence.review import Finding
from engine.review.ease import Answered, WordCounts, ease_text
from engine.review.file_tree import Disk
from engine.review.review import review
from engine.review.version import load_side
from engine.store import Store
from support.changed_data import pairs
from support.data_changes import HARMLESS, WEAKENINGS
from support.recipe_pairs import CPU


def findings(kind: str, way: str, folder: Path) -> tuple[Finding, ...]:
    classes = {**WEAKENINGS, **HARMLESS}
    pair = next(iter(pairs(3, {kind: classes[kind]}, [way])))
    sides = [load_side(path, Disk(), label=path.parent.name) for path in pair.write(folder)]
    return review(*sides, store=Store(folder / "store"), device=CPU).findings


@pytest.mark.parametrize("way", ["files", "column"])
def test_easy_rows_are_called_easier(way: str, tmp_path: Path) -> None:
    (found,) = findings("easy source added", way, tmp_path)

    assert found.code == "W206"
    assert "rows that judge are new; " in found.says
    assert "for a count of words (an estimate): " in found.says


@pytest.mark.parametrize("way", ["files", "folds", "random sizes"])
def test_it_is_reported_once(way: str, tmp_path: Path) -> None:
    sentences = [
        one for one in findings("rows deleted", way, tmp_path) if "a count of words" in one.says
    ]

    assert len(sentences) == 1


def test_nothing_is_reported_of_judges_that_stay(tmp_path: Path) -> None:
    assert findings("columns renamed", "files", tmp_path) == ()


def test_words_of_a_label_are_counted() -> None:
    counts = WordCounts()
    for text, label in (
        ("late invoice", "billing"),
        ("wrong invoice", "billing"),
        ("crash", "bug"),
    ):
        counts.learn(text, label)

    assert [counts.answer(text) for text in ("An INVOICE!", "another crash", "?")] == [
        "billing",
        "bug",
        "billing",
    ]


def test_a_text_is_answered_without_itself() -> None:
    counts = WordCounts()
    for text, label in (("one", "a"), ("one", "b"), ("one", "b"), ("two", "b")):
        counts.learn(text, label)

    assert counts.answer("two", without="b") == "b"
    assert counts.answer("one", without="a") == "b"


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        ((30, 60), (95, 110), "easier"),
        ((55, 60), (60, 110), "harder"),
        ((40, 60), (42, 60), "not clearly"),
    ],
)
def test_a_difference_within_its_error_is_no_claim(
    before: tuple[int, int], now: tuple[int, int], word: str
) -> None:
    one, other = (Answered(right=right, rows=rows) for right, rows in (before, now))

    assert ease_text(one, other).startswith(word)
    assert f"{now[0]} of {now[1]} right, before {before[0]} of {before[1]}" in ease_text(one, other)
