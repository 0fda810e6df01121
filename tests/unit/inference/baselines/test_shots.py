from collections import Counter

import pytest

from engine.data.examples.example import Example
from engine.inference.baselines.shots import nearest_shots, pick_shots, shots_of
from engine.recipe.model import Baseline, Task
from engine.values import replace
from support.stage_bench import examples
from support.tasks import task


def labels_of(names: list[str] | tuple[str, ...]) -> Task:
    return task("classification", labels=tuple(names))


def labelled(labels: list[str], *, length: int = 10) -> list[Example]:
    return [
        Example(id=f"{place:016x}", origin="", input=f"{place} " * length, target=label)
        for place, label in enumerate(labels * 30)
    ]


@pytest.mark.parametrize(
    ("labels", "shots", "each"),
    [(2, 4, {2}), (8, 16, {2}), (9, 9, {1}), (16, 16, {1}), (77, 16, {1})],
)
def test_shots_are_two_a_label_up_to_sixteen(labels: int, shots: int, each: set[int]) -> None:
    names = [f"label {place}" for place in range(labels)]

    found = pick_shots(labelled(names), labels_of(names), seed=7)

    assert len(found) == shots
    assert set(Counter(label for _, label in found).values()) == each


@pytest.mark.parametrize(("count", "each"), [(1, [1]), (5, [2, 2, 1]), (9, [3, 3, 3])])
def test_a_number_of_shots_is_spread_evenly_over_the_labels(count: int, each: list[int]) -> None:
    names = ["a", "b", "c"]

    found = pick_shots(labelled(names), labels_of(names), seed=7, count=count)

    assert sorted(Counter(label for _, label in found).values(), reverse=True) == each


def test_more_shots_than_rows_are_all_rows() -> None:
    rows = labelled(["a", "b"])[:5]

    assert len(pick_shots(rows, labels_of(["a", "b", "c"]), seed=7, count=64)) == 5


def test_shots_depend_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows, asked = examples(60), labels_of(("negative", "positive"))

    assert pick_shots(rows, asked, seed=7) == pick_shots(rows[::-1], asked, seed=7)
    assert pick_shots(rows, asked, seed=7) != pick_shots(rows, asked, seed=8)


def test_long_texts_are_no_shots_while_there_are_short_ones() -> None:
    short, long = labelled(["a", "b"]), labelled(["a", "b"], length=500)
    long = [replace(row, id=f"f{row.id[1:]}") for row in long]
    asked = labels_of(("a", "b"))

    found = pick_shots([*long, *short], asked, seed=7)

    assert max(len(text) for text, _ in found) < 400
    assert len(pick_shots(long, asked, seed=7)) == 4


def test_several_labels_are_each_shown_and_none_at_all_too() -> None:
    asked = task("multilabel", labels=("food", "staff", "price"))
    sets = [("food",), ("food", "staff"), (), ("food",), ("price",), ("food",)]
    rows = [
        Example(
            id=f"{place:016x}",
            origin="",
            input=f"row {place}",
            target=", ".join(sets[place % 6]) or "none",
            labels=sets[place % 6],
        )
        for place in range(60)
    ]

    shown = [target for _, target in pick_shots(rows, asked, seed=7, count=4)]

    assert {"food", "staff", "price", "none"} <= set(", ".join(shown).split(", "))


def test_tasks_without_labels_have_four() -> None:
    rows = [
        Example(id=f"{place:016x}", origin="", input=f"q {place}", target=f"a {place}")
        for place in range(30)
    ]

    assert len(pick_shots(rows, task("generation"), seed=7)) == 4


def test_the_nearest_example_stands_last() -> None:
    train = [
        Example(id=str(place), origin="", input=text, target=target)
        for place, (text, target) in enumerate(
            [("the card was stolen", "a"), ("change my pin", "b"), ("my card was stolen", "c")]
        )
    ]
    judged = [Example(id="x", origin="", input="my card was stolen today", target="c")]

    (found,) = nearest_shots(train, judged, count=2)

    assert [target for _, target in found] == ["a", "c"]


def test_a_row_is_never_shown_its_own_text() -> None:
    train, judged = examples(20), examples(20)[:5]
    twins = [replace(row, input=row.input.upper()) for row in judged]

    for row, shots in zip(twins, nearest_shots(train, twins, count=4), strict=True):
        assert row.input.lower() not in [text.lower() for text, _ in shots]
        assert len(shots) == 4


@pytest.mark.parametrize("kind", ["few_shot", "model"])
def test_a_row_is_never_shown_its_own_text_among_drawn_ones(kind: str) -> None:
    train, asked = examples(20), labels_of(("negative", "positive"))
    judged = [*examples(60)[40:], *(replace(row, input=row.input.upper()) for row in train)]
    baseline = Baseline(kind=kind, name=kind, shots=4)  # type: ignore[arg-type]
    found = shots_of(baseline, asked, train, judged, seed=7)

    for row, shots in zip(judged, found, strict=True):
        assert row.input.lower() not in [text.lower() for text, _ in shots]
        assert Counter(label for _, label in shots) == {"negative": 2, "positive": 2}
    assert Counter(found).most_common(1) == [(found[0], len(judged) - 4)]


def test_each_baseline_has_its_own_shots() -> None:
    train, judged, asked = examples(40), examples(60)[40:], labels_of(("negative", "positive"))

    def shots(kind: str, count: int = 0) -> list[int]:
        baseline = Baseline(kind=kind, name=kind, shots=count)  # type: ignore[arg-type]
        found = shots_of(baseline, asked, train, judged, seed=7)
        assert len(found) == len(judged)
        return sorted({len(own) for own in found})

    assert shots("zero_shot") == [0]
    assert shots("model") == [0]
    assert shots("model", 3) == [3]
    assert shots("few_shot") == [4]
    assert shots("retrieved_few_shot") == [4]
    assert shots("retrieved_few_shot", 2) == [2]
