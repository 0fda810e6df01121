"""Rows that are asked in two parts have the same numbers beside each other and one part after the other."""

import random
from typing import Any

import pytest

from engine.runtime.llama.client import GgufAnswers
from engine.runtime.models.load import LoadedModel
from support.gguf_labels import choose_gguf
from support.pico import pico_gguf

ANSWERS = ["positive<|im_end|>", "negative<|im_end|>", "not sure<|im_end|>"]
ROWS = 48


@pytest.fixture(scope="module")
def prompts(pico: LoadedModel) -> list[str]:
    texts = [f"{'good ' * (number % 9)}film {number}" for number in range(ROWS)]
    return [pico.chat.prompt([{"role": "user", "content": text}]) for text in texts]


def _asked(prompts: list[str], progress: Any, *, threads: int) -> GgufAnswers:
    common: Any = {"threads": threads, "progress": progress}
    return choose_gguf(pico_gguf(), prompts, ANSWERS, **common, distribution=True)


def test_the_number_of_threads_changes_no_number(prompts: list[str], progress: Any) -> None:
    one, two, many = (_asked(prompts, progress, threads=threads).choices for threads in (1, 2, 5))

    assert len(one) == ROWS
    assert one == two == many


def test_two_parts_answer_as_rows_alone(prompts: list[str], progress: Any) -> None:
    together = _asked(prompts, progress, threads=2).choices

    for place in (0, 7, ROWS - 1):
        (alone,) = _asked([prompts[place]], progress, threads=2).choices
        assert alone.probabilities == pytest.approx(together[place].probabilities, abs=1e-3)


def test_the_order_of_the_rows_changes_no_number(prompts: list[str], progress: Any) -> None:
    places = random.Random(1).sample(range(ROWS), ROWS)

    usual = _asked(prompts, progress, threads=2).choices
    other = _asked([prompts[at] for at in places], progress, threads=2).choices

    assert [usual[at] for at in places] == other
