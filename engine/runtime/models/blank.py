"""A blank model as a folder: blocks as in Llama, 32-bit weights drawn by seed, and a tokenizer."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import StageError
from engine.recipe.model import Scratch

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
    ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return sum(len(text.encode()) for text in texts) / max(1, sum(map(len, ids)))


SPREAD: Final = 0.02
"""Standard deviation of the first weights, as in GPT-2."""
_INTO_SUM: Final = re.compile(r"\.(o_proj|down_proj)\.weight$")
"""Matrices whose results are added up over the layers."""
_ONES: Final = re.compile(r"norm\.weight$")
TOKENIZER_PARTS: Final = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "*.jinja")
MORE_PARTS: Final = ("vocab.json", "vocab.txt", "merges.txt")


def blank_config(blank: Scratch, vocabulary: int, special: Mapping[str, int | None]) -> Any:
    """Return the transformers configuration of a blank model; `special` are ids such as `bos_token_id`."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=blank.width,
        intermediate_size=blank.feed_forward,
        num_hidden_layers=blank.layers,
        num_attention_heads=blank.heads,
        num_key_value_heads=blank.kv_heads,
        max_position_embeddings=blank.context,
        initializer_range=SPREAD,
        # One matrix for both ends: of a small model the embeddings are a large part.
        tie_word_embeddings=True,
        # In 16 bits the small steps of training would round to nothing.
        dtype="float32",
        architectures=["LlamaForCausalLM"],
        **special,
    )


def write_blank_model(blank: Scratch, folder: Path) -> dict[str, Any]:
    """Write config.json and weights beside the tokenizer that a folder holds, and return what was made.

    Same seed, same bytes. StageError X743 for a tokenizer without a token that ends a text.
    """
    from safetensors.torch import save_file

    from engine.runtime.rendering.chat import load_chat

    tokenizer = load_chat(folder, asks=False).tokenizer
    if tokenizer.eos_token_id is None:
        raise StageError.one(
            "X743",
            "the tokenizer has no token that ends a text, so a model could not learn where one ends",
            path="base_model.scratch.tokenizer",
            hint="name one that has an `eos_token`, or train one: `{train: byte_pairs, size: 512}`",
        )
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    special = {name: getattr(tokenizer, name) for name in names}
    config = blank_config(blank, len(tokenizer), special)
    config.save_pretrained(folder)
    weights = dict(_drawn(blank, config))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return {
        "vocabulary": len(tokenizer),
        "parameters": sum(one.numel() for one in weights.values()),
    }


def parameters_of(config: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and sizes of the weights of a configuration, in a fixed order; none is made."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    yield from sorted((name, tuple(one.shape)) for name, one in model.named_parameters())


def _drawn(blank: Scratch, config: Any) -> Iterator[tuple[str, Any]]:
    """Yield the first weights by name. Drawn here, so that no version of transformers changes them."""
    import torch

    generator = torch.Generator().manual_seed(blank.seed)
    for name, sizes in parameters_of(config):
        if _ONES.search(name):
            yield name, torch.ones(sizes)
            continue
        # What all layers add to their sum would else grow with their number (GPT-2, section 2.3).
        spread = SPREAD / math.sqrt(2 * blank.layers) if _INTO_SUM.search(name) else SPREAD
        yield name, torch.empty(sizes).normal_(0.0, spread, generator=generator)


def copy_tokenizer(found: Path, folder: Path) -> None:
    for pattern in (*TOKENIZER_PARTS, *MORE_PARTS):
        for path in sorted(found.glob(pattern)):
            shutil.copyfile(path, folder / path.name)
    # Some tokenizers are found by the type of their model alone.
    if not (folder / "tokenizer_config.json").exists():
        (folder / "tokenizer_config.json").write_text(json.dumps({}) + "\n", encoding="utf-8")
