"""Predictions written by hand: `answers({"a": "aab", "b": "b-"})`, outputs by true class."""

from collections.abc import Callable, Mapping

import pytest

from engine.metrics.predictions import Prediction

Answers = Callable[[Mapping[str, str]], list[Prediction]]


@pytest.fixture
def answers() -> Answers:
    """One letter a row; `-` is an output that is no label."""

    def make(outputs: Mapping[str, str]) -> list[Prediction]:
        return [
            Prediction(
                id=f"{target}{place:015d}",
                target=target,
                label=None if output == "-" else output,
                text=output,
                probability=None,
            )
            for target, row in outputs.items()
            for place, output in enumerate(row)
        ]

    return make
