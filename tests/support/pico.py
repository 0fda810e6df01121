"""A tiny real model: a random two-layer Llama with its own tokenizer, made on the spot in a second.

Its answers mean nothing; its folder is what the hub would give.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.runtime.gguf.convert import find_tools, write_gguf
from support.shared import made_once

CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL_TOKENS = {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
}
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CORPUS = (
    "is this review positive or negative?",
    "the film was good, the plot was not bad at all, and I liked it",
    "user assistant system label",
)


def make_pico_model(
    folder: Path,
    *,
    seed: int = 0,
    template: str = CHAT_TEMPLATE,
    names: Mapping[str, str] = SPECIAL_TOKENS,
    special: Sequence[str] = SPECIAL,
) -> Path:
    """Write the model into `folder` and return it; the same seed writes the same bytes.

    `special` are the tokens that mark turns, and `names` says what some of them are to the tokenizer.
    """
    given = json.dumps([seed, template, dict(names), list(special)], sort_keys=True)
    made = made_once(
        f"pico-{sha256(given.encode()).hexdigest()[:16]}",
        lambda path: _write(path, seed=seed, template=template, names=names, special=special),
    )
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


def pico_gguf(*, seed: int = 0) -> Path:
    """Return the model as a 16-bit GGUF file, converted once: the converter takes five seconds for its imports."""

    def build(folder: Path) -> None:
        model = make_pico_model(folder / "model", seed=seed)
        write_gguf(model, folder / "model-F16.gguf", "F16", threads=1, tools=find_tools())

    return made_once(f"pico-gguf-{seed}", build) / "model-F16.gguf"


def _write(
    folder: Path, *, seed: int, template: str, names: Mapping[str, str], special: Sequence[str]
) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(template, names, special)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(template: str, names: Mapping[str, str], special: Sequence[str]) -> Any:
    """Byte-level BPE with a few merges: any text has tokens, and decoding gives the text back."""
    from tokenizers import (  # as heavy as transformers
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        **names,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template
    return tokenizer
