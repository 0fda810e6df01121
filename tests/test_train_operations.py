"""The products that the benchmark of training steps sets beside the machine's limit, counted by hand."""

import pytest

from engine.runtime.models.load import filling_of
from engine.runtime.rendering.rendered_files import IGNORED
from support.results import put_report  # noqa: F401 # says where the benchmarks are

# after `support.results`
from train_operations import Sizes, operations_a_token  # isort: skip

SIZES = Sizes(weights=10, adapter=1, attention=100, logits=1000)


def row(*last: int) -> dict[str, list[int]]:
    ids = [1, 2, 3, *last]
    return {"input_ids": ids, "labels": [IGNORED] * (len(ids) - 1) + [ids[-1]]}


def test_a_step_needs_what_its_tokens_are_multiplied_with() -> None:
    # 3 tokens of the start and one of each row go through the model; each sees itself and those before it.
    tokens, pairs, learned = 3 + 2, (1 + 2 + 3) + 2 * 4, 2

    found = operations_a_token([row(4, 5), row(6, 7)], SIZES, batch=2)

    products = 2 * tokens * 10 + 3 * tokens * 1 + 6 * pairs * 100 + 2 * learned * 1000
    assert found == pytest.approx(2 * products / (tokens + filling_of(tokens)))


def test_rows_of_two_steps_compute_their_start_twice() -> None:
    tokens, pairs, learned = 2 * (3 + 1), 2 * (1 + 2 + 3 + 4), 2

    found = operations_a_token([row(4, 5), row(6, 7)], SIZES, batch=1)

    products = 2 * tokens * 10 + 3 * tokens * 1 + 6 * pairs * 100 + 2 * learned * 1000
    assert found == pytest.approx(2 * products / (tokens + 2 * filling_of(tokens // 2)))
