"""A tokenizer made of the training text alone: byte pairs, split before merging exactly as GPT-2 splits.

llama.cpp knows that split by its name, so a GGUF file with this tokenizer cuts text as transformers does
(`engine.runtime.gguf.convert_worker`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError

ENDING: Final = "<|endoftext|>"
"""Stands before and behind every document: nothing else says where one begins."""
PADDING: Final = "<|padding|>"
LEAST_PAIRS: Final = 2
"""A pair that the text has once only is no evidence for a token."""


def write_byte_pairs(texts: Iterable[str], folder: Path, *, size: int) -> None:
    """Train a tokenizer of so many tokens on the training texts, and write it into a model folder.

    Same texts, same bytes. StageError X740 where they have too few pairs for so many tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=LEAST_PAIRS,
        special_tokens=[ENDING, PADDING],
        # Every byte is a token, also one that the training text does not have: otherwise it would be dropped.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = tokenizer.get_vocab_size()
    if made < size:
        raise StageError.one(
            "X740",
            f"the training split is too short for a tokenizer of {size:,} tokens: it gives {made:,}",
            path="base_model.scratch.tokenizer.size",
            hint=f"write `size: {made}` or less, or train on more text",
        )
    ending = tokenizer.token_to_id(ENDING)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{ENDING} $A", special_tokens=[(ENDING, ending)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=ENDING,
        eos_token=ENDING,
        pad_token=PADDING,
        add_bos_token=True,
        add_eos_token=False,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def bytes_a_token(tokenizer: Any, texts: Sequence[str]) -> float:
    """Return how many bytes of the texts one token stands for, on average."""
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return sum(len(text.encode()) for text in texts) / max(1, sum(map(len, ids)))
