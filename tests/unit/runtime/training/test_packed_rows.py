"""Documents of a packed row do not see each other, and a model in which they would is found before it is trained."""

from collections.abc import Mapping, Sequence
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
from engine.runtime.training.batches import PackedRows, documents_of, packed_batch

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "initializer_range": 0.4,
}
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


def plain(rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
    """Rows one below another, padded and masked, as trainers do."""
    longest = max(len(row["input_ids"]) for row in rows)
    batch: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "attention_mask": []}
    for row in rows:
        count = len(row["input_ids"])
        batch["input_ids"].append([*row["input_ids"], *[0] * (longest - count)])
        batch["labels"].append([*row["labels"], *[-100] * (longest - count)])
        batch["attention_mask"].append([1] * count + [0] * (longest - count))
    return {name: torch.tensor(rows) for name, rows in batch.items()}


def llama(attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, attn_implementation=attention)).eval()


def sliding(attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    config = MistralConfig(**SIZES, sliding_window=3, attn_implementation=attention)
    return MistralForCausalLM(config).eval()


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
@pytest.mark.parametrize("make", [llama, sliding])
def test_no_document_sees_another(make: Any, attention: str) -> None:
    assert largest_difference(make(attention), packed_batch(ROWS)) < NEAR


def test_a_mask_of_ones_a_cache_or_positions_that_go_on_would_show_documents_to_each_other() -> (
    None
):
    batch = packed_batch(ROWS)
    ones = torch.ones_like(batch["input_ids"])
    without = {name: one for name, one in batch.items() if name != "position_ids"}

    assert "attention_mask" not in batch
    assert largest_difference(llama(), {**batch, "attention_mask": ones}) > FAR
    assert largest_difference(llama(), {**batch, "use_cache": True}) > FAR
    assert largest_difference(llama(), without) > FAR


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
        self.data_collator = plain
        self.eval_data_collator = plain
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
    model = llama()
    found: Any = get_peft_model(model, LoraConfig(target_modules=["q_proj"], lora_dropout=0.5))
    for name, weight in found.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return found


def with_noise() -> Any:
    model = llama()
    activate_neftune(model, 5.0)
    return model


def with_attention_dropout() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, attention_dropout=0.5))


@pytest.mark.parametrize("make", [with_dropout, with_noise, with_attention_dropout])
def test_what_training_draws_is_not_taken_for_documents_that_see_each_other(make: Any) -> None:
    model = make().train()

    event = Trainer(model).begin()

    assert event["difference"] < 1e-5
    assert all(module.training for module in model.modules())


def test_batches_of_training_and_evaluation_are_packed_and_teach_what_documents_do() -> None:
    trainer = Trainer(llama())

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
