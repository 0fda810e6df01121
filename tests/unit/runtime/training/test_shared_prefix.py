"""Batches change from plain to shared once they were checked, and stay plain, with a reason, where they differ."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from engine.runtime.training import batches
from engine.runtime.training import prefix_attention as module
from engine.runtime.training.batches import SharedPrefix, shared_batch
from engine.runtime.training.prefix_attention import NAME, Layout

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
        return args, SimpleNamespace(is_world_process_zero=True), SimpleNamespace()


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


def test_two_rows_of_other_lengths_are_computed_both_ways_and_leave_no_trace() -> None:
    seen: list[int] = []

    def collate(rows: Any) -> Any:
        seen.extend(len(row["input_ids"]) for row in rows)
        return plain(rows)

    long = {"input_ids": [*START, *[9] * 30, 5, 6], "labels": [-100] * 37 + [6]}
    shorter = {"input_ids": [*START, 5, 6], "labels": [-100] * 7 + [6]}

    trainer = Trainer(llama(), collate)
    state = torch.random.get_rng_state()
    trainer.begin([long, *ROWS, shorter])

    assert seen == [8, 9]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(weight.grad is None for weight in trainer.model.parameters())


def test_a_model_that_asks_for_a_sliding_window_is_trained_plainly() -> None:
    trainer = Trainer(MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)))

    event = trainer.begin()

    assert not event["used"]
    assert event["reason"] == "the model's attention asks for sliding_window"
    assert trainer.model.config._attn_implementation == "sdpa"
    assert trainer.data_collator(ROWS)["input_ids"].shape == (10, 9)


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
    assert Layout.of(2, [2, 3]).in_blocks is None
