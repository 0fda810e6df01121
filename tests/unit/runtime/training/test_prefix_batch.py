"""Rows that share one copy of their start give the loss and the gradients of rows that each hold their own."""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)
from transformers.integrations.neftune import activate_neftune

from engine.backends.refusals import refuse
from engine.errors import StageError
from engine.runtime.rendering.rendered_files import IGNORED
from engine.runtime.training import prefix_attention as module
from engine.runtime.training.batches import (
    PackedRows,
    Row,
    documents_of,
    packed_batch,
    shared_batch,
    shared_prefix,
)
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


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    # With the usual small weights attention is next to uniform, and a wrong mask hardly shows.
    "initializer_range": 0.4,
}


def model(**settings: Any) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, **settings}))


def padded(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    longest = max(len(one["input_ids"]) for one in rows)

    def fill(key: str, with_: int) -> torch.Tensor:
        return torch.tensor([[*one[key], *[with_] * (longest - len(one[key]))] for one in rows])

    lengths = torch.tensor([len(one["input_ids"]) for one in rows])
    return {
        "input_ids": fill("input_ids", 0),
        "labels": fill("labels", IGNORED),
        "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
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


def test_every_token_that_something_is_learned_from_goes_through_the_model_once() -> None:
    rows = BATCHES["rows of several lengths"]

    batch = shared_batch(rows)

    assert batch["input_ids"].tolist() == [[*START, 5, *[5] * 2, 6, 5, 8, 8, 7, 8, 9]]
    assert batch["position_ids"].tolist()[0][6:10] == [6, *[6] * 2, 6]
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


# Documents of a packed row do not see each other, and a model in which they would is found before it is trained.
DOCUMENTS = ([3, 9, 4, 4, 7], [1, 3, 8], [12, 13, 14, 15], [20, 21, 22, 23, 24, 25])
NEAR, FAR = 1e-4, 0.1
"""Between logits: rounded otherwise, or of tokens that see more."""


def packed(*documents: Sequence[int]) -> dict[str, list[int]]:
    return {
        "input_ids": [token for one in documents for token in one],
        "labels": [label for one in documents for label in (-100, *one[1:])],
        "attention_mask": [number for number, one in enumerate(documents, 1) for _ in one],
    }


ROWS = (packed(*DOCUMENTS[:3]), packed(DOCUMENTS[3]))
"""Of another length, so that the second is padded."""


def sliding(attn_implementation: str) -> Any:
    torch.manual_seed(0)
    config = MistralConfig(**SIZES, sliding_window=3, attn_implementation=attn_implementation)
    return MistralForCausalLM(config)


def largest_difference(model: Any, batch: Mapping[str, Any]) -> float:
    """Between the logits of packed documents and those of each document by itself."""
    with torch.no_grad():
        together = model(**{name: one for name, one in batch.items() if name != "labels"}).logits
        found = []
        for number, row in enumerate(ROWS):
            begin = 0
            for document in documents_of(row):
                ids = torch.tensor([list(document["input_ids"])])
                end = begin + ids.shape[1]
                alone = model(input_ids=ids).logits[0]
                found.append(float((together[number, begin:end] - alone).abs().max()))
                begin = end
    return max(found)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [model, sliding])
def test_no_document_sees_another(make: Any, attention: str) -> None:
    assert largest_difference(make(attn_implementation=attention), packed_batch(ROWS)) < NEAR


def test_a_mask_of_ones_a_cache_or_positions_that_go_on_would_show_documents_to_each_other() -> (
    None
):
    batch = packed_batch(ROWS)
    ones = torch.ones_like(batch["input_ids"])
    without = {name: one for name, one in batch.items() if name != "position_ids"}

    assert "attention_mask" not in batch
    assert largest_difference(model(), {**batch, "attention_mask": ones}) > FAR
    assert largest_difference(model(), {**batch, "use_cache": True}) > FAR
    assert largest_difference(model(), without) > FAR


def test_positions_start_again_and_nothing_is_learned_at_a_start_or_of_padding() -> None:
    batch = packed_batch(ROWS)

    assert batch["position_ids"].tolist() == [
        [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3],
        [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5],
    ]
    assert batch["labels"].tolist() == [
        [-100, 9, 4, 4, 7, -100, 3, 8, -100, 13, 14, 15],
        [-100, 21, 22, 23, 24, 25, *[-100] * 6],
    ]


class Trainer:
    """What of a trainer is looked at, with a model of its own."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.data_collator = padded
        self.eval_data_collator = padded
        self.events: list[Mapping[str, Any]] = []
        self.packing = PackedRows(self, self.events.append)

    def begin(self) -> Mapping[str, Any]:
        given: Any = (
            SimpleNamespace(bf16=False, fp16=False),
            SimpleNamespace(is_world_process_zero=True),
            SimpleNamespace(),
        )
        loader = SimpleNamespace(dataset=ROWS)
        self.packing.on_train_begin(*given, model=self.model, train_dataloader=loader)
        return self.events[-1]


def with_dropout() -> Any:
    found: Any = get_peft_model(model(), LoraConfig(target_modules=["q_proj"], lora_dropout=0.5))
    for name, weight in found.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return found


def with_noise() -> Any:
    found = model()
    activate_neftune(found, 5.0)
    return found


def with_attention_dropout() -> Any:
    return model(attention_dropout=0.5)


@pytest.mark.parametrize("make", [with_dropout, with_noise, with_attention_dropout])
def test_what_training_draws_is_not_taken_for_documents_that_see_each_other(make: Any) -> None:
    made = make().train()

    event = Trainer(made).begin()

    assert event["difference"] < 1e-5
    assert all(module.training for module in made.modules())


def test_batches_of_training_and_evaluation_are_packed_and_teach_what_documents_do() -> None:
    trainer = Trainer(model())

    event = trainer.begin()

    assert event["difference"] < 1e-5
    refuse(event)
    for collate in (trainer.data_collator, trainer.eval_data_collator):
        assert "position_ids" in collate(ROWS)


def test_a_model_that_passes_a_state_from_document_to_document_is_refused() -> None:
    torch.manual_seed(0)
    config = Lfm2Config(
        **SIZES, layer_types=["conv", "full_attention"], conv_L_cache=3, block_dim=32
    )

    event = Trainer(Lfm2ForCausalLM(config)).begin()

    assert event["difference"] > 2 * event["allowed"]
    with pytest.raises(StageError) as refused:
        refuse(event)
    assert [problem.code for problem in refused.value.problems] == ["X735"]
