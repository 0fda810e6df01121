"""A row that is padded in a batch is found there, and a model that sees what comes later."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.runtime.rendering.files import IGNORED
from engine.runtime.training.first_step import nats_and_ahead, padded_row

SHORT = ((5, 6, 7), [IGNORED, 6, 7])
LONG = ((5, 6, 7, 8, 9), [IGNORED, IGNORED, 7, 8, 9])


def test_a_row_is_found_in_front_of_what_pads_it() -> None:
    ids, labels = [list(LONG[0]), [5, 6, 7, 0, 0]], [LONG[1], [*SHORT[1], IGNORED, IGNORED]]

    number, part, row = padded_row(ids, labels, iter([LONG, SHORT])) or (0, slice(0), {})

    assert (number, part, row["input_ids"]) == (1, slice(0, 3), SHORT[0])


def test_so_is_one_behind_it() -> None:
    ids, labels = [list(LONG[0]), [0, 0, 5, 6, 7]], [LONG[1], [IGNORED, IGNORED, *SHORT[1]]]

    number, part, _ = padded_row(ids, labels, iter([LONG, SHORT])) or (0, slice(0), {})

    assert (number, part) == (1, slice(2, 5))


def test_the_longest_is_not_padded() -> None:
    assert padded_row([list(LONG[0])], [LONG[1]], iter([LONG, SHORT])) is None


def test_rows_that_learn_otherwise_are_not_taken() -> None:
    ids, labels = [[5, 6, 7, 0, 0]], [[IGNORED, IGNORED, 7, IGNORED, IGNORED]]

    assert padded_row(ids, labels, iter([SHORT])) is None


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "vocab_size": 50, "initializer_range": 0.4}
    made = LlamaForCausalLM(LlamaConfig(**sizes, **heads, attn_implementation="eager", **settings))
    return made.eval()


START = [3, 9, 4, 4, 7, 1, 8, 2, 6]
ALIKE = [[*START, *range(10, 20)], [*START, *range(20, 32)]]
APART = [[5, *START, *range(10, 20)], [*START, *range(20, 32)]]


def looked(ids: list[list[int]], *, sees_all: bool) -> tuple[list[Any], float, list[int]]:
    """What is found of two rows, and how many rows each pass has."""
    asked, passes = model(), list[int]()
    if sees_all:
        for layer in asked.model.layers:
            attend = layer.self_attn.forward
            layer.self_attn.forward = lambda *given, attend=attend, **named: attend(
                *given, **{**named, "attention_mask": None}
            )
    asked.register_forward_pre_hook(
        lambda _, __, named: passes.append(len(named["input_ids"])), with_kwargs=True
    )
    return *nats_and_ahead(asked, rows_of(ids)), passes


def rows_of(ids: list[list[int]]) -> list[Any]:
    return [{"input_ids": one, "labels": [IGNORED, *one[1:]]} for one in ids]


@pytest.mark.parametrize(("ids", "size"), [(ALIKE, 3), (APART, 3), (ALIKE[:1], 2)])
def test_a_model_that_sees_what_comes_later_is_found(ids: Any, size: int) -> None:
    found, sound, passes = looked(ids, sees_all=False)
    _, ahead, _ = looked(ids, sees_all=True)

    assert sum(passes) == size
    assert sound < 1e-5
    assert ahead > 0.1
    by_itself = [nats_and_ahead(model(), [row])[0] for row in rows_of(ids)]
    for one, (other,) in zip(found, by_itself, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
