"""Passes beside each other give what they give one after another, and end before an error of one is raised."""

import threading
import time
from functools import partial
from typing import Any

import pytest
import torch

from engine.runtime.models.load import Lanes, LoadedModel
from engine.runtime.scoring.label_scoring import PackedSearch
from engine.runtime.scoring.label_search import Search, make_tree

CPU = torch.device("cpu")
TEXTS = [f"{'good ' * (number % 7)}film {number}" for number in range(40)]
ANSWERS = ["positive", "negative", "neutral", "not sure", "not at all"]


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _scores(pico: LoadedModel, threads: int, rounds: list[int]) -> list[dict[int, float]]:
    torch.set_num_threads(threads)
    prompts = [pico.chat.prompt([{"role": "user", "content": text}]) for text in TEXTS]
    answers = [pico.chat.token_ids(one + pico.chat.terminator) for one in ANSWERS]
    tree = make_tree(answers)
    found: dict[int, dict[int, float]] = {}
    with torch.inference_mode():
        rows = [[*pico.chat.token_ids(prompt), *tree.forced] for prompt in prompts]
        packed = PackedSearch(pico, rows, tree)
        packed._tokens = 64
        run = packed._lanes.run

        def counted(calls: Any) -> Any:
            rounds.append(len(calls))
            return run(calls)

        packed._lanes.run = counted  # type: ignore[method-assign]
        packed.run(
            lambda: Search(tree, exhaustive=True),
            lambda row, search: found.__setitem__(row, search.scores),
        )
    assert torch.get_num_threads() == threads
    return [found[row] for row in range(len(prompts))]


def test_rows_have_the_scores_that_one_lane_gives_them(pico: LoadedModel) -> None:
    alone, beside = list[int](), list[int]()

    one, several = _scores(pico, 1, alone), _scores(pico, 3, beside)

    assert set(alone) == {1}
    assert max(beside) == 3
    assert len(beside) < len(alone)
    for own, other in zip(one, several, strict=True):
        assert own == pytest.approx(other, abs=1e-4)


def test_results_come_in_the_order_of_their_calls_and_each_has_its_share_of_the_threads() -> None:
    torch.set_num_threads(4)

    def call(number: int) -> tuple[int, int, bool]:
        time.sleep(0.01 * (3 - number))
        return number, torch.get_num_threads(), torch.is_inference_mode_enabled()

    with Lanes(CPU) as lanes:
        found = lanes.run([partial(call, number) for number in range(4)])

    assert found == [(number, 1, True) for number in range(4)]
    assert torch.get_num_threads() == 4


def test_a_single_call_has_all_threads_and_this_one() -> None:
    torch.set_num_threads(2)

    with Lanes(CPU) as lanes:
        found = lanes.run([lambda: (torch.get_num_threads(), threading.current_thread())])

    assert found == [(2, threading.main_thread())]


def test_an_error_is_raised_when_the_others_have_ended() -> None:
    torch.set_num_threads(2)
    ended = threading.Event()

    def slow() -> None:
        time.sleep(0.2)
        ended.set()

    def fails() -> None:
        raise ValueError("no")

    with Lanes(CPU) as lanes, pytest.raises(ValueError, match="no"):
        lanes.run([fails, slow])
    assert ended.is_set()


def test_another_device_computes_one_after_another() -> None:
    assert Lanes(torch.device("meta")).count == 1
