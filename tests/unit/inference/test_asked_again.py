"""The answer that is asked again is sure, and not that of the rows beside it."""

from collections.abc import Sequence

from engine.inference import cached
from engine.metrics.predictions import Prediction


def rows(*answers: tuple[str | None, float]) -> list[Prediction]:
    return [
        Prediction(id=str(at), target="a", label=label, text=label or "", probability=probability)
        for at, (label, probability) in enumerate(answers)
    ]


def between_others(written: Sequence[Prediction]) -> list[int]:
    return cached.between_others(written, [10 - at for at in range(len(written))])


def test_sure_ones_between_others_are_taken_the_shortest_first() -> None:
    found = rows(("a", 0.9), ("b", 0.85), ("a", 0.95), ("b", 0.99), ("b", 0.9))

    assert between_others(found) == [2, 1]
    assert cached.between_others(found, [3, 1, 2, 1, 1]) == [1, 2]


def test_of_many_the_surest_are_taken() -> None:
    found = rows(*(("ab"[at % 2], 0.9 + at / 1000) for at in range(90)))
    taken = cached.between_others(found, [len(found) - at for at in range(len(found))])

    assert taken == [88, 87, 86]
    assert min(cached.between_others(found, [*range(len(found))])) == 57


def test_none_is_where_none_is_sure() -> None:
    assert between_others(rows(("a", 0.9), ("b", 0.6), ("a", 0.9))) == []


def test_none_is_where_no_answer_differs_from_both() -> None:
    assert between_others(rows(("a", 0.9), ("a", 0.9), ("b", 0.9), ("b", 0.9))) == []
    assert between_others(rows(("a", 0.9), ("b", 0.9))) == []
    assert between_others([]) == []


def test_nor_beside_a_row_without_an_answer() -> None:
    assert between_others(rows((None, 0.0), ("b", 0.9), ("a", 0.9))) == []
