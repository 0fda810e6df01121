# ruff: noqa: RUF001 - characters that look alike are what is tested
"""What holds for any data and any splits: the promises of `engine.data.splitting.splits`."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.examples.example import normalised
from engine.data.row_index import Assignment, Pool
from engine.data.splitting.recorded import held_by, membership
from engine.data.splitting.splits import ORDER, Division, divide
from engine.recipe.model import Splits
from engine.values import replace
from support.examples import examples
from support.pools import Made, asked, place_of_text, pool_of, texts

PLACES = (Assignment.TRAIN, Assignment.VALIDATION, Assignment.HOLDOUT)
WORDS = (
    "Straße",
    "STRASSE",
    "ﬁne",
    "fine",
    "e\u0301t\u00e9",
    "ÉTÉ",
    "ｗｉｄｅ",
    "wide",
    "x",
    "K",
    "\u212a",
)
SPACES = (" ", "  ", "\t", "\u00a0", "\u2003", "\n")


@st.composite
def nasty(draw: Any) -> str:
    """Texts that are often the same after NFKC, case folding and collapsing white space."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    space = draw(st.sampled_from(SPACES))
    edge = draw(st.sampled_from(("", *SPACES)))
    text = edge + space.join(words) + edge
    return draw(st.sampled_from((text, text.upper(), text.lower(), text.title())))


LABELS = st.sampled_from([("a",), ("b",), ("c",)])
SETS = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(tuple)


def made(labels: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[Made]:
    texts_ = nasty() | st.integers(0, 300).map(lambda n: f"Text {n}")
    return st.builds(
        Made,
        text=texts_,
        labels=labels,
        group=st.sampled_from("ghijklm"),
        time=st.integers(0, 15).map(float),
        place=st.sampled_from(PLACES),
    )


def rows(smallest: int = 0) -> st.SearchStrategy[list[Made]]:
    return st.one_of(
        st.lists(made(LABELS), min_size=smallest, max_size=60),
        st.lists(made(SETS), min_size=smallest, max_size=60),
    )


SHARES = st.sampled_from([(0.6, 0.1, 0.3), ("all", 0.2, 0.2), (0.2, 0.0, 0.1)])
COUNTS = st.sampled_from([(6, 2, 4), ("all", 3, 5), (1, 0, 2), (0, 0, 8)])
WAYS = st.sampled_from(["random", "stratified", "group", "time"])
PLACED = st.sampled_from(["files", "column"])


@st.composite
def any_splits(draw: Any, sizes: Any = None) -> Splits:
    train, validation, holdout = draw(SHARES | COUNTS if sizes is None else sizes)
    folds = draw(st.sampled_from([0, 0, 0, 2, 3])) if sizes is None else 0
    by = draw(st.sampled_from(["random", "stratified", "group"]) if folds else WAYS)
    return asked(
        by=by,
        train="all" if folds else train,
        validation=1 if folds else validation,
        holdout=1 / folds if folds else holdout,
        folds=folds,
        seed=draw(st.integers(0, 5)),
    )


def divided(of: list[Made], splits: Splits) -> tuple[Pool, Division]:
    pool = pool_of(of, splits)
    return pool, divide(pool, splits)


@settings(deadline=None, max_examples=examples(300))
@given(of=rows(), splits=any_splits())
def test_no_normalised_text_stands_in_two_splits(of: list[Made], splits: Splits) -> None:
    found = texts(*divided(of, splits))
    held = [{normalised(text) for text in found[name]} for name in ORDER]

    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(), splits=any_splits())
def test_no_group_is_torn(of: list[Made], splits: Splits) -> None:
    if splits.by != "group":
        return
    pool, division = divided(of, splits)
    where: dict[str, set[int]] = {}
    folds: dict[str, set[int]] = {}
    for row in range(len(pool)):
        if division.places[row]:
            group = pool.mark[row]
            where.setdefault(group, set()).add(division.places[row] == Assignment.HOLDOUT)
            folds.setdefault(group, set()).add(division.folds[row] if division.folds else 0)
            if not splits.folds:
                where[group].add(division.places[row] + 2)

    most = 1 if splits.folds else 2  # with folds, validation is drawn from the groups that train
    assert all(len(places) <= most for places in where.values())
    assert all(len(held_out) == 1 for held_out in folds.values())


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(), more=rows(), splits=any_splits(sizes=SHARES))
def test_by_fractions_added_rows_move_none(
    of: list[Made], more: list[Made], splits: Splits
) -> None:
    if splits.by in ("time", "group"):
        return
    before = place_of_text(*divided(of, splits))
    after = place_of_text(*divided([*of, *more], splits))

    assert all(after[key] == places for key, places in before.items())


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(), more=rows(), splits=any_splits(sizes=SHARES))
def test_by_fractions_added_rows_move_no_group(
    of: list[Made], more: list[Made], splits: Splits
) -> None:
    """A row may be left out because its text came into a stricter split; none changes its split."""
    splits = asked(by="group", train=splits.train, validation=splits.validation, seed=splits.seed,
                   holdout=splits.holdout)  # fmt: skip
    pool, before = divided(of, splits)
    _, after = divided([*of, *more], splits)

    for row in range(len(pool)):
        assert after.places[row] in (before.places[row], Assignment.NONE) or not before.places[row]


@settings(deadline=None, max_examples=examples(300))
@given(of=rows(12), more=rows(), splits=any_splits(sizes=COUNTS))
def test_by_counts_added_rows_move_none_out_of_or_into_a_recorded_holdout(
    of: list[Made], more: list[Made], splits: Splits
) -> None:
    pool, first = divided(of, splits)
    if first.problems:
        return
    held = held_by(membership(pool, first.drawn))
    before = place_of_text(pool, first)
    larger = pool_of([*of, *more], splits)
    after = place_of_text(larger, divide(larger, splits, held))

    for key, places in before.items():
        out_of = Assignment.HOLDOUT in places and Assignment.HOLDOUT not in after[key]
        into = Assignment.HOLDOUT in after[key] and Assignment.HOLDOUT not in places
        assert not out_of
        assert not into or splits.by == "group"  # a text that joins a group of the holdout


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(12), more=rows(), splits=any_splits(sizes=SHARES))
def test_by_time_a_record_holds_shares_too(
    of: list[Made], more: list[Made], splits: Splits
) -> None:
    """Newer rows would move the cut; the lock makes every run but the first one held."""
    splits = asked(by="time", train=splits.train, validation=splits.validation,
                   holdout=splits.holdout)  # fmt: skip
    pool, first = divided(of, splits)
    larger = pool_of([*of, *more], splits)
    after = divide(larger, splits, held_by(membership(pool, first.drawn)))

    for row in range(len(pool)):
        assert (after.places[row] == Assignment.HOLDOUT) == (
            first.places[row] == Assignment.HOLDOUT
        ) or (after.places[row] == Assignment.NONE and first.places[row] != Assignment.HOLDOUT)


@settings(deadline=None, max_examples=examples(300))
@given(of=rows(12), more=rows(), by=PLACED, sizes=st.sampled_from([("all", 2, 3), (4, 1, "all")]))
def test_where_a_file_says_the_split_numbers_are_held_to_the_record(
    of: list[Made], more: list[Made], by: str, sizes: tuple[Any, Any, Any]
) -> None:
    splits = asked(by=by, train=sizes[0], validation=sizes[1], holdout=sizes[2])
    pool, first = divided(of, splits)
    if first.problems:
        return
    larger = pool_of([*of, *more], splits)
    after = divide(larger, splits, held_by(membership(pool, first.drawn)))

    for row in range(len(pool)):
        if first.places[row] == Assignment.HOLDOUT:
            assert after.places[row] == Assignment.HOLDOUT
        if after.places[row] == Assignment.HOLDOUT:
            assert pool.place[row] == Assignment.HOLDOUT


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(12), splits=any_splits(sizes=COUNTS), other=COUNTS)
def test_other_sizes_of_train_and_validation_take_nothing_from_the_recorded_holdout(
    of: list[Made], splits: Splits, other: tuple[Any, Any, Any]
) -> None:
    pool, first = divided(of, splits)
    if first.problems:
        return
    changed = replace(splits, train=other[0], validation=other[1])
    again = divide(pool, changed, held_by(membership(pool, first.drawn)))
    if again.problems:
        return
    record = membership(pool, again.drawn)
    third = divide(pool, changed, held_by(record))

    held_out = [place == Assignment.HOLDOUT for place in first.places]
    assert [place == Assignment.HOLDOUT for place in again.places] == held_out
    assert third.places == again.places
    assert membership(pool, third.drawn) == record


@settings(deadline=None, max_examples=examples(300))
@given(of=rows(12), splits=any_splits(sizes=COUNTS))
def test_dividing_again_with_the_result_as_record_changes_nothing(
    of: list[Made], splits: Splits
) -> None:
    pool, first = divided(of, splits)
    if first.problems:
        return
    record = membership(pool, first.drawn)
    again = divide(pool, splits, held_by(record))

    assert again.places == first.places
    assert membership(pool, again.drawn) == record


@settings(deadline=None, max_examples=examples(200))
@given(
    labels=st.lists(st.sampled_from([("a",), ("b",), ("a", "b"), ()]), min_size=12, max_size=60),
    splits=any_splits(sizes=COUNTS),
)
def test_sizes_in_rows_are_met_exactly_by_different_texts(
    labels: list[tuple[str, ...]], splits: Splits
) -> None:
    of = [Made(text=f"t{n}", labels=label, group=f"{n}", time=n) for n, label in enumerate(labels)]
    pool, division = divided(of, splits)

    assert division.problems == []
    rest = len(of)
    for name in ORDER:
        size = getattr(splits, name)
        expected = rest if size == "all" else size
        assert len(division.rows(pool, name)) == expected
        rest -= expected


@settings(deadline=None, max_examples=examples(200))
@given(of=rows(), splits=any_splits(), shuffle=st.integers(0, 99))
def test_the_order_of_rows_changes_nothing(of: list[Made], splits: Splits, shuffle: int) -> None:
    mixed = list(of)
    random.Random(shuffle).shuffle(mixed)

    assert texts(*divided(of, splits)) == texts(*divided(mixed, splits))


def test_rows_of_one_text_and_time_stay_together_where_a_record_is_cut() -> None:
    times = {"Text 0": 3, "Text 1": 2, "Text 2": 1, "Text 3": 1, "Text 4": 0}
    of = [
        Made(text=text, labels=("a",), group="g", time=float(time), place=Assignment.TRAIN)
        for text, time in times.items()
        for _ in range(2)
    ]
    splits = asked(by="time", train=6, validation=2, holdout=2)
    pool, first = divided(of, splits)
    fewer = replace(splits, train=1)
    again = divide(pool, fewer, held_by(membership(pool, first.drawn)))
    third = divide(pool, fewer, held_by(membership(pool, again.drawn)))

    assert third.places == again.places
