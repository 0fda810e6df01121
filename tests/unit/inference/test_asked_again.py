"""The answer that is asked again is sure, and not that of the rows beside it."""

from __future__ import annotations

from engine.inference.asked_again import between_others
from engine.metrics.predictions import Prediction


def rows(*answers: tuple[str | None, float]) -> list[Prediction]:
    return [
        Prediction(id=str(at), target="a", label=label, text=label or "", probability=probability)
        for at, (label, probability) in enumerate(answers)
    ]


def test_the_surest_between_others_are_taken() -> None:
    found = rows(("a", 0.9), ("b", 0.85), ("a", 0.95), ("b", 0.99), ("b", 0.9))

    assert between_others(found) == [2, 1]


def test_none_is_where_none_is_sure() -> None:
    assert between_others(rows(("a", 0.9), ("b", 0.6), ("a", 0.9))) == []


def test_none_is_where_no_answer_differs_from_both() -> None:
    assert between_others(rows(("a", 0.9), ("a", 0.9), ("b", 0.9), ("b", 0.9))) == []
    assert between_others(rows(("a", 0.9), ("b", 0.9))) == []
    assert between_others([]) == []


def test_nor_beside_a_row_without_an_answer() -> None:
    assert between_others(rows((None, 0.0), ("b", 0.9), ("a", 0.9))) == []
