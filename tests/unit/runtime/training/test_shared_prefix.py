"""Batches change from plain to shared once they were checked, and stay plain, with a reason, where they differ."""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from engine.runtime.training import batches
from engine.runtime.training import prefix_attention as module
from engine.runtime.training.batches import SharedPrefix, shared_batch
from engine.runtime.training.prefix_attention import NAME, Layout, lanes_of

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "initializer_range": 0.4,
}
START = [3, 9, 4, 4, 7, 1]
ROWS = [
    {"input_ids": [*START, number, 5, 6], "labels": [-100] * 8 + [6]} for number in range(10, 20)
]


def plain(rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
    """Rows of one length as they are."""
    return {name: torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels")}


class Trainer:
    """What of a trainer is looked at, with a model of its own."""

    def __init__(self, model: Any, collate: Any = plain) -> None:
        self.model = model
        self.is_first = True
        self.data_collator = collate
        self.eval_data_collator = collate
        self.events: list[Mapping[str, Any]] = []
        self.sharing = SharedPrefix(self, self.events.append)

    def begin(self, rows: Sequence[Mapping[str, Sequence[int]]] = ROWS) -> Mapping[str, Any]:
        """Training begins; return what is reported."""
        loader = SimpleNamespace(dataset=rows)
        self.sharing.on_train_begin(*self.given(), model=self.model, train_dataloader=loader)
        return self.events[-1]

    def end(self) -> None:
        self.sharing.on_train_end(*self.given(), model=self.model)

    def given(self) -> Any:
        args = SimpleNamespace(bf16=False, fp16=False)
        return args, SimpleNamespace(is_world_process_zero=self.is_first), SimpleNamespace()


def llama() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


def test_batches_are_shared_from_the_start_of_training_to_its_end() -> None:
    trainer = Trainer(llama())
    before = trainer.data_collator(ROWS)

    event = trainer.begin()

    assert event["used"], event
    assert event["difference"] < 1e-5
    assert before["input_ids"].shape == (10, 9)
    for collate in (trainer.data_collator, trainer.eval_data_collator):
        assert collate(ROWS)["input_ids"].shape == (1, 32)  # 6 + 10 * 2, filled up
    assert trainer.model.config._attn_implementation == NAME
    trainer.end()
    assert trainer.model.config._attn_implementation == "sdpa"
    assert trainer.data_collator(ROWS)["input_ids"].shape == (10, 9)


def test_a_few_rows_are_computed_both_ways_and_leave_no_trace() -> None:
    seen: list[int] = []

    def collate(rows: Any) -> Any:
        seen.append(len(rows))
        return plain(rows)

    trainer = Trainer(llama(), collate)
    state = torch.random.get_rng_state()
    trainer.begin()

    assert seen == [2]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(weight.grad is None for weight in trainer.model.parameters())


def test_they_are_short_ones_of_two_lengths_so_that_one_is_padded() -> None:
    seen: list[int] = []

    def collate(rows: Any) -> Any:
        seen.extend(len(row["input_ids"]) for row in rows)
        return plain(rows)

    long = {"input_ids": [*START, *[9] * 30, 5, 6], "labels": [-100] * 37 + [6]}
    shorter = {"input_ids": [*START, 5, 6], "labels": [-100] * 7 + [6]}
    Trainer(llama(), collate).begin([long, *ROWS, shorter])

    assert seen == [8, 9]


def test_a_model_that_asks_for_a_sliding_window_is_trained_plainly() -> None:
    trainer = Trainer(MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)))

    event = trainer.begin()

    assert not event["used"]
    assert event["reason"] == "the model's attention asks for sliding_window"
    assert trainer.model.config._attn_implementation == "sdpa"
    assert trainer.data_collator(ROWS)["input_ids"].shape == (10, 9)


def test_rows_that_cannot_be_read_are_trained_plainly() -> None:
    event = Trainer(llama()).begin([{"prompt": [1]}, {"prompt": [2]}])

    assert not event["used"]
    assert event["reason"] == "KeyError: 'input_ids'"


def test_another_than_the_first_process_shares_too_and_reports_nothing() -> None:
    trainer = Trainer(llama())
    trainer.is_first = False
    with pytest.raises(IndexError):
        trainer.begin()

    assert trainer.data_collator(ROWS)["input_ids"].shape == (1, 32)  # 6 + 10 * 2, filled up


@pytest.mark.parametrize("wrong", [2.0, float("nan")])
def test_batches_with_another_loss_are_not_used(wrong: float) -> None:
    model = llama()
    forward = model.forward

    def changed(*given: Any, **named: Any) -> Any:
        found = forward(*given, **named)
        if "layout" in named:
            found.loss = found.loss * wrong
        return found

    model.forward = changed
    trainer = Trainer(model)

    event = trainer.begin()

    assert not event["used"]
    assert event["reason"] == "loss or gradients are not those of plain batches"
    assert trainer.data_collator(ROWS)["input_ids"].shape == (10, 9)


def passes(model: Any) -> list[int]:
    """Tokens of a row of each pass from here on."""
    seen: list[int] = []
    model.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["input_ids"].shape[1]), with_kwargs=True
    )
    return seen


def test_the_end_of_the_start_is_asked_alone() -> None:
    trainer = Trainer(llama())
    seen = passes(trainer.model)
    longer = [
        {name: [row[name][0]] * 20 + row[name] for name in ("input_ids", "labels")} for row in ROWS
    ]

    event = trainer.begin(longer)

    assert event["used"], event
    assert seen == [11, 16]  # 8 + 3, and 8 + 2 * 3 filled up


def positions_go_on(batch: dict[str, Any]) -> None:
    batch["position_ids"] = torch.arange(batch["input_ids"].shape[1])[None]


def logits_before(batch: dict[str, Any]) -> None:
    batch["logits_to_keep"] = batch["logits_to_keep"] - 1


def another_rows_logits(batch: dict[str, Any]) -> None:
    batch["logits_to_keep"] = batch["logits_to_keep"][:1].repeat(len(batch["logits_to_keep"]))


@pytest.mark.parametrize("change", [positions_go_on, logits_before, another_rows_logits])
def test_batches_that_teach_otherwise_stay_plain(
    change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(rows: Any) -> Any:
        batch = shared_batch(rows)
        change(batch)
        return batch

    monkeypatch.setattr(batches, "shared_batch", changed)
    trainer = Trainer(llama())

    assert not trainer.begin()["used"]
    assert trainer.model.config._attn_implementation == "sdpa"


# Which rows stand beside each other in attention, and what each of them sees.
def cost(lanes: list[list[int]], lengths: list[int], prefix: int) -> int:
    longest = [-(-max(lengths[row] for row in rows) // 8) * 8 for rows in lanes]
    scores = sum(
        len(rows) * most * (prefix + most) for rows, most in zip(lanes, longest, strict=True)
    )
    return scores + module.LANE_SCORES * len(lanes)


@pytest.mark.parametrize(
    "lengths", [[5], [60, 8, 9, 58, 7, 61], [300, 20, 100, 20, 90, 280, 19], [4] * 9]
)
def test_no_other_division_into_pairs_by_length_costs_less(lengths: list[int]) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found = lanes_of(lengths, 30)

    for cuts in product((False, True), repeat=len(lengths) - 1):
        ends = [0, *(n for n, cut in enumerate(cuts, 1) if cut), len(order)]
        lanes = [order[start:end] for start, end in pairwise(ends)]
        if all(len(rows) % 2 == 0 for rows in lanes[1:]):
            assert cost(found, lengths, 30) <= cost(lanes, lengths, 30)
    assert sorted(row for rows in found for row in rows) == [*range(len(lengths))]


def test_rows_of_like_length_share_a_lane_and_long_ones_have_their_own() -> None:
    assert lanes_of([300, 20, 301, 22], 10) == [[1, 3], [0, 2]]


def test_lanes_of_many_batches_are_of_few_sizes() -> None:
    draw = random.Random(7)
    batches = [[draw.randint(8, 70) for _ in range(16)] for _ in range(50)]

    found = [lane.places.shape for lengths in batches for lane in Layout.of(32, lengths).lanes[1:]]

    assert len(set(found)) < 0.4 * len(found)


@pytest.mark.parametrize("prefix", [0, 3])
def test_each_place_is_one_pieces_own_and_goes_back_to_where_it_was(prefix: int) -> None:
    lengths = [4, 90, 2, 95]
    layout = Layout.of(prefix, lengths)
    states = torch.randn(prefix + sum(lengths), 4, 8)
    asking, answering = layout.asking(4, 2), layout.answering(2)

    lanes = module._IntoLanes.apply(states, asking, [0] * len(layout.lanes))

    assert torch.equal(module._OutOfLanes.apply(asking, 4, *lanes), states)
    assert len(answering.places) == 2 * len(states)
    assert len(layout.lanes) == 2 + bool(prefix)


def test_a_layout_moves_with_its_batch() -> None:
    layout = Layout.of(2, [3, 5]).to("meta")

    assert {lane.places.device.type for lane in layout.lanes} == {"meta"}


def test_a_long_start_goes_through_in_blocks_that_see_those_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)
    layout = Layout.of(10, [2, 3])
    blocks = layout.in_blocks

    assert blocks is not None
    found = [(lane.places.tolist(), lane.prefix) for lane in blocks.lanes[:-1]]
    assert found == [([[0, 1, 2, 3]], 0), ([[4, 5, 6]], 4), ([[7, 8, 9]], 7)]
    assert torch.equal(blocks.lanes[-1].places, layout.lanes[-1].places)


@pytest.mark.parametrize("prefix", [0, 2])
def test_a_short_start_has_no_blocks(prefix: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)

    assert Layout.of(prefix, [2, 3]).in_blocks is None
