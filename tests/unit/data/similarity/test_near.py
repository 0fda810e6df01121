"""Near-duplicates and leaks: both ways against a plain comparison of every pair."""

import random
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations
from typing import Any

import pytest

from engine.data.similarity import near, near_many
from engine.data.similarity.near import (
    SIMILAR,
    comparable,
    leaks,
    near_duplicates,
    shingles,
    similarity_of,
)

WORDS = ["".join(pair) for pair in combinations("abcdeghiknorst", 3)]
STRANGE = [
    "",
    "a",
    "ab cd",
    "abcde",
    "ABCDE",
    "abcdef",
    "\uff26\uff35\uff2c\uff2c text",
    "Straße",
    "strasse",
    "x" * 40,
]
STRANGE += [
    "a copied\u200b row with a mark in it, which nobody sees",
    "a copied row with a mark in it, which nobody\u00ad sees",
    "x" * 41,
    "🙂🙃🙂🙃🙂🙃🙂",
    "lone \ud800 surrogate text",
    " spaced   out ",
    "spaced out",
]


def some_texts(rows: int, seed: int) -> list[str]:
    """Random texts; every second is an edited copy of an earlier one."""
    draw = random.Random(seed)
    texts: list[str] = []
    for row in range(rows):
        words = draw.choices(WORDS, k=draw.randint(1, 25))
        if texts and row % 2:
            words = draw.choice(texts).split(" ")
            for _ in range(draw.randint(0, 2)):
                words[draw.randrange(len(words))] = draw.choice(WORDS)
        texts.append(" ".join(words) if draw.random() < 0.8 else " ".join(words).upper())
    return texts


@lru_cache(maxsize=4096)
def shingles_of(text: str) -> Any:
    return shingles(comparable(text))


def jaccard(one: str, other: str) -> float:
    return similarity_of(shingles_of(one), shingles_of(other), 0.0)


def every_pair(texts: list[str], similarity: float) -> set[tuple[int, int, float, bool]]:
    """What `near_duplicates` promises, the slow way."""
    first: dict[str, int] = {}
    found = set()
    for row, text in enumerate(texts):
        known = first.setdefault(comparable(text), row)
        if known != row:
            found.add((known, row, 1.0, True))
    for one, other in combinations(first.values(), 2):
        same = jaccard(texts[one], texts[other])
        if same >= similarity:
            found.add((one, other, same, False))
    return found


def as_set(found: Iterable[near.Near]) -> set[tuple[int, int, float, bool]]:
    return {(one.first, one.second, one.similarity, one.exact) for one in found}


@pytest.mark.parametrize("similarity", [0.6, SIMILAR, 0.9, 1.0])
def test_few_rows_give_every_pair(similarity: float) -> None:
    texts = some_texts(300, seed=1) + STRANGE
    expected = every_pair(texts, similarity)
    assert len(expected) > 20
    assert as_set(near_duplicates(texts, similarity=similarity)[0]) == expected


def test_many_rows_give_the_same_pairs_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = some_texts(1_500, seed=2) + STRANGE
    few = as_set(near_duplicates(texts)[0])
    monkeypatch.setattr(near, "MANY", 1)
    many = as_set(near_duplicates(texts)[0])
    assert many <= few
    assert len(many) >= 0.99 * len(few) > 300


def test_recall_of_the_many_way_at_the_threshold_is_at_least_99_percent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(3)
    texts: list[str] = []
    while len(texts) < 4_000:
        base = "".join(draw.choices("abcdefghijklmnop", k=104))
        at = draw.randrange(12, 80)  # 11 new shingles of 100: (100 - 11) / (100 + 11) = 0.8018
        copy = f"{base[:at]}{''.join(draw.choices('qrstuvwxyz', k=7))}{base[at + 7 :]}"
        if 0.8 <= jaccard(base, copy) < 0.803:
            texts += [base, copy]
    pairs = {(row, row + 1) for row in range(0, len(texts), 2)}
    monkeypatch.setattr(near, "MANY", 1)
    found = {(one.first, one.second) for one in near_duplicates(texts)[0]}
    assert len(found & pairs) >= 0.99 * len(pairs)
    assert found <= pairs


def test_pairs_come_in_the_order_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = some_texts(400, seed=4)
    for many in (near.MANY, 1):
        monkeypatch.setattr(near, "MANY", many)
        rows = [(one.first, one.second) for one in near_duplicates(texts)[0]]
        assert rows == sorted(rows)
        assert len(rows) == len(set(rows)) > 50


def test_batches_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = some_texts(700, seed=5)
    monkeypatch.setattr(near, "MANY", 1)
    whole = list(near_duplicates(texts)[0])
    monkeypatch.setattr(near_many, "BATCH", 13)
    monkeypatch.setattr(near_many, "PAIRS", 7)
    assert list(near_duplicates(texts)[0]) == whole


@pytest.mark.parametrize("many", [1, 10_000])
def test_equal_rows_make_no_square(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(near, "MANY", many)
    found = list(near_duplicates(["thank you for your order"] * 2_000)[0])
    assert [(one.first, one.second) for one in found] == [(0, row) for row in range(1, 2_000)]
    assert all(one.exact for one in found)


def test_a_large_group_of_alike_rows_is_capped_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = "thank you for your order, it will be sent as soon as the goods have come in, number {}"
    texts = [form.format(number) for number in range(1_000, 3_000)]
    monkeypatch.setattr(near, "MANY", 1)
    found, capped = near_duplicates(texts)
    pairs = list(found)
    assert capped > 0
    assert len(pairs) < 0.2 * len(texts) ** 2 / 2
    assert {one.second for one in pairs} | {0} == set(range(2_000)), "each is near some first one"


def test_the_texts_may_be_none_or_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for many in (near.MANY, 1):
        monkeypatch.setattr(near, "MANY", many)
        assert list(near_duplicates([])[0]) == []
        assert list(near_duplicates(["one"])[0]) == []


@pytest.mark.parametrize("similarity", [0.6, SIMILAR, 1.0])
def test_leaks_are_every_pair(similarity: float) -> None:
    texts = some_texts(700, seed=7) + STRANGE
    holdout, others = texts[::3], texts[1::3] + STRANGE
    expected = [
        (one, other, jaccard(holdout[one], text), comparable(holdout[one]) == comparable(text))
        for other, text in enumerate(others)
        for one in range(len(holdout))
        if jaccard(holdout[one], text) >= similarity
    ]
    assert len(expected) > 20
    found = leaks(holdout, enumerate(others), similarity=similarity)
    assert [(one.holdout, one.other, one.similarity, one.exact) for one in found] == expected


def test_leaks_keep_the_numbers_of_a_stream() -> None:
    stream = ((number, text) for number, text in [(70, "Something else"), (9, "The SAME  text")])
    (found,) = leaks(["the same text"], stream)
    assert (found.holdout, found.other, found.exact) == (0, 9, True)
    assert list(leaks([], [(0, "text")])) == []
    assert list(leaks(["text"], [])) == []


def test_texts_of_equal_shingles_are_not_called_equal() -> None:
    (found,) = near_duplicates(["x" * 40, "x" * 41])[0]
    assert (found.similarity, found.exact) == (1.0, False)


def test_the_bands_miss_no_more_than_they_say() -> None:
    for similarity in (0.5, 0.7, SIMILAR, 0.9, 1.0):
        bands, rows = near_many.banding(similarity)
        assert (1 - min(similarity, 0.999) ** rows) ** bands <= near_many.MISSED


def test_a_copy_with_a_mark_that_nobody_sees_is_the_same_row() -> None:
    (match,) = leaks(["one of the rows"], [(7, "one of\u200b the\ufeff ro\u00adws")])

    assert (match.other, match.similarity, match.exact) == (7, 1.0, True)
