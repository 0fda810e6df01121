"""The 16 configurations of `benchmarks/estimates.py`: models with random weights, and rows for them."""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STEPS = 4
VALIDATION, HOLDOUT = 4, 8
WORDS = (
    "the", "a", "film", "plot", "cast", "song", "scene", "story", "score", "camera",
    "was", "is", "with", "of", "and", "but", "good", "bad", "long", "short",
)  # fmt: skip
SIZES: dict[str, dict[str, int]] = {
    "30M": {
        "vocab_size": 24576, "hidden_size": 384, "intermediate_size": 1024,
        "num_hidden_layers": 12, "num_attention_heads": 6, "num_key_value_heads": 2,
    },
    "135M": {
        "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
}  # fmt: skip
"""The second has the shapes of SmolLM2-135M."""
SPECIAL = {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
}
LENGTHS = (48, 96)
BATCHES = (2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration."""

    size: str
    kind: str
    length: int
    batch: int

    @property
    def name(self) -> str:
        """`135M full, 96 tokens, batch 4`."""
        return f"{self.size} {self.kind}, {self.length} tokens, batch {self.batch}"

    @property
    def slug(self) -> str:
        """A name for a folder."""
        return f"{self.size}-{self.kind}-{self.length}-{self.batch}".lower()


def cases() -> Iterator[Case]:
    """Yield all 16."""
    for size, kind, length, batch in itertools.product(SIZES, ("lora", "full"), LENGTHS, BATCHES):
        yield Case(size=size, kind=kind, length=length, batch=batch)


def make_model(folder: Path, size: str) -> Path:
    """Write a Llama with random weights and a byte-level tokenizer, once."""
    if (folder / "config.json").exists():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **SIZES[size], max_position_embeddings=2048, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import (  # as heavy as transformers
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(
        [" ".join(WORDS), "is it positive or negative? user assistant"], trainer
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, clean_up_tokenization_spaces=False, **SPECIAL,
    )  # fmt: skip
    tokenizer.chat_template = (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return tokenizer


def write_project(folder: Path, case: Case, base: Path) -> Path:
    """Write rows and recipe of a case, and return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "base").exists():
        (folder / "base").symlink_to(base.resolve())
    train = STEPS * case.batch
    total = train + VALIDATION + HOLDOUT
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *_rows(total, case.length)])
    fields = {
        "recipe": "v1",
        "name": case.slug,
        "task": {
            "kind": "classification", "instruction": "is it positive or negative?",
            "input": "{text}", "labels": ["negative", "positive"],
        },
        "base_model": {"path": "base"},
        "data": {
            "sources": [{"path": "rows.csv"}],
            "label": {"column": "label"},
            "checks": {"leakage": "off", "near_duplicates": "off", "truncation": "off"},
        },
        "splits": {
            "by": "stratified", "train": train, "validation": VALIDATION, "holdout": HOLDOUT, "seed": 7,
        },
        "baselines": ["majority"],
        "stop_if_baseline_passes": False,
        "method": {
            "kind": case.kind, "epochs": 1, "batch_size": case.batch, "max_length": case.length,
            "evaluations_per_epoch": 1, "seed": 7,
            **({"rank": 8, "dropout": 0.05} if case.kind == "lora" else {}),
        },
        "acceptance": {"metrics": {"macro_f1": {"min": 0.01}}},
        "export": {"formats": ["safetensors"]},
        "backend": {"name": "trl", "precision": "fp32"},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return path


def _rows(count: int, length: int) -> Iterator[tuple[str, str]]:
    """Yield sentences of random words; with instruction and template, about half of the limit up to all of it."""
    draw = random.Random(length)  # noqa: S311 - rows, not secrets
    for number in range(count):
        words = draw.randrange(length // 12, length - 34)
        text = " ".join(draw.choice(WORDS) for _ in range(words))
        yield f"{text} {number}", ("negative", "positive")[number % 2]
