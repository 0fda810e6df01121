"""Rows that share one copy of their start give the loss and the gradients of rows that each hold their own."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.runtime.rendering.files import IGNORED
from engine.runtime.training import prefix_attention as module
from engine.runtime.training.batches import Row, shared_batch, shared_prefix
from engine.runtime.training.gradients import difference, gradients_of
from engine.runtime.training.prefix_attention import NAME

VOCABULARY = 50


def row(start: Sequence[int], rest: Sequence[int], *, learned: int = 1) -> Row:
    """A row whose last tokens are learned."""
    ids = [*start, *rest]
    return {
        "input_ids": ids,
        "labels": [IGNORED] * (len(ids) - learned) + ids[len(ids) - learned :],
    }


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "vocab_size": VOCABULARY,
    }
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    # Large weights: with the usual small ones attention is next to uniform, and a wrong mask hardly shows.
    config = LlamaConfig(**{**sizes, **heads, "initializer_range": 0.4, **settings})
    return LlamaForCausalLM(config)


def padded(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    longest = max(len(one["input_ids"]) for one in rows)

    def fill(key: str, with_: int) -> torch.Tensor:
        return torch.tensor([[*one[key], *[with_] * (longest - len(one[key]))] for one in rows])

    ones = [{"ones": [1] * len(one["input_ids"])} for one in rows]
    mask = torch.tensor([[*o["ones"], *[0] * (longest - len(o["ones"]))] for o in ones])
    return {
        "input_ids": fill("input_ids", 0),
        "labels": fill("labels", IGNORED),
        "attention_mask": mask,
    }


START = [3, 9, 4, 4, 7, 1]
BATCHES: dict[str, list[Row]] = {
    "rows of one length": [row(START, [5, 6, 8]), row(START, [6, 5, 8])],
    "rows of several lengths": [
        row(START, [5, 6]),
        row(START, [6, 5, 8, 8, 9], learned=3),
        row(START, [7, 8, 9, 2]),
    ],
    "nothing in common": [row([1, 2], [5, 6]), row([2, 1], [6, 5, 8])],
    "one row": [row(START, [5, 6, 8])],
    "the same row twice": [row(START, [5, 6, 8]), row(START, [5, 6, 8])],
    "one row begins as the other is": [row(START, [5, 6]), row(START, [5, 6, 8, 9])],
    "everything is learned": [row(START, [5], learned=7), row(START, [6], learned=7)],
    "gaps in what is learned": [
        {"input_ids": [*START, 5, 6, 7, 8], "labels": [IGNORED] * 6 + [5, IGNORED, 7, 8]},
        {"input_ids": [*START, 8, 6], "labels": [IGNORED] * 7 + [6]},
    ],
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("heads", [{}, {"num_key_value_heads": 4}, {"num_key_value_heads": 1}])
# Every precision but fp32 goes through attention in the way of bf16, where rounding would hide an error.
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
# A start of two blocks and more, whose keys are one product with all rows' queries, and one beside every row.
@pytest.mark.sampled(8)
@pytest.mark.parametrize("block", [2, 5, 100])
def test_loss_and_gradients_are_those_of_padded_rows(
    name: str,
    heads: dict[str, int],
    precision: torch.dtype,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    tiny, rows = model(**heads).to(precision), BATCHES[name]

    plain = gradients_of(tiny, padded(rows))
    tiny.set_attn_implementation(NAME)
    shared = gradients_of(tiny, shared_batch(rows))

    assert difference(plain, shared) < 1e-5


@pytest.mark.parametrize("block", [2, 100])
def test_attention_is_of_autocasts_precision(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.runtime.training.prefix_attention import Layout, attend

    monkeypatch.setattr(module, "BLOCK", block)
    query, key, value = (torch.randn(1, heads, 11, 8) for heads in (4, 2, 2))

    def attended(value: torch.Tensor) -> torch.Tensor:
        module, layout = torch.nn.Identity(), Layout.of(6, [2, 3])
        return attend(module, query, key, value, None, layout=layout)[0]

    with torch.autocast("cpu", torch.bfloat16):
        # as where weights of 32 bits are trained: positions are turned in 32 bits, values come from a product
        found = attended(value.bfloat16())

    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), attended(value), atol=0.05)


@pytest.mark.parametrize("block", [2, 100])
def test_many_scores_are_not_kept_for_the_backward_pass(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    rows, tiny = BATCHES["rows of several lengths"], model().to(torch.float64)
    tiny.set_attn_implementation(NAME)
    kept = gradients_of(tiny, shared_batch(rows))
    monkeypatch.setattr(module, "SCORE_BYTES", 0)

    assert difference(kept, gradients_of(tiny, shared_batch(rows))) < 1e-6


def test_the_comparison_sees_a_row_that_reads_another() -> None:
    rows = BATCHES["rows of several lengths"]
    tiny = model()
    plain = gradients_of(tiny, padded(rows))
    tiny.set_attn_implementation(NAME)
    batch = shared_batch(rows)
    batch["position_ids"] = torch.arange(batch["input_ids"].shape[1])[None]

    assert difference(plain, gradients_of(tiny, batch)) > 0.01


def test_every_token_that_something_is_learned_from_goes_through_the_model_once() -> None:
    rows = BATCHES["rows of several lengths"]

    batch = shared_batch(rows)

    filled = [5] * 2
    assert batch["input_ids"].tolist() == [[*START, 5, *filled, 6, 5, 8, 8, 7, 8, 9]]
    assert batch["labels"].tolist() == [[6, 8, 8, 9, 2]]
    assert batch["logits_to_keep"].tolist() == [6, 10, 11, 12, 15]


def test_of_a_row_that_learns_nothing_one_token_is_left() -> None:
    rows = [row(START, [5, 6, 8]), {"input_ids": [*START, 7, 9], "labels": [IGNORED] * 8}]

    batch = shared_batch(rows)

    assert batch["input_ids"].tolist() == [[*START, 5, 6, 7, *[7] * 7]]
    assert batch["labels"].tolist() == [[8]]


def test_a_batch_that_learns_nothing_has_no_logits() -> None:
    tiny = model()
    tiny.set_attn_implementation(NAME)

    found = tiny(**shared_batch([{"input_ids": [3, 4, 5], "labels": [IGNORED] * 3}]))

    assert found.logits.shape == (1, 0, VOCABULARY)


def test_tokens_that_fill_a_batch_stand_at_a_position_that_its_row_has() -> None:
    batch = shared_batch(BATCHES["rows of several lengths"])

    assert batch["position_ids"].tolist()[0][6:10] == [6, *[6] * 2, 6]


@pytest.mark.parametrize(
    ("rows", "tokens"),
    [
        ([row([1, 2, 3], [4, 5]), row([1, 2, 3], [5, 5])], 3),
        ([row([1, 2, 3], [4]), row([1, 2, 3], [5])], 2),
        ([row([1, 2], [3, 4], learned=3), row([1, 2], [3, 5], learned=3)], 0),
        ([row([1, 2], [3, 4]), row([2, 2], [3, 4])], 0),
    ],
    ids=["all", "not the token that predicts", "not what is learned", "none"],
)
def test_the_common_start_ends_before_what_is_learned(rows: list[Row], tokens: int) -> None:
    assert shared_prefix(rows) == tokens


@pytest.mark.parametrize(
    "break_it",
    [lambda given: given | {"sliding_window": 8}, lambda given: given | {"dropout": 0.1}],
)
def test_attention_of_another_kind_is_refused(break_it: Callable[[Any], Any]) -> None:
    from engine.runtime.scoring.packed_cache import UnsupportedModelError
    from engine.runtime.training.prefix_attention import attend

    layout = shared_batch(BATCHES["one row"])["layout"]
    states = torch.zeros(1, 2, 9, 4)
    with pytest.raises(UnsupportedModelError):
        attend(torch.nn.Identity(), states, states, states, None, **break_it({"layout": layout}))
