"""A tiny real sentence encoder: a random two-layer BERT with its own word pieces, made on the spot."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.project import BAD, GOOD, THINGS
from support.shared import made_once

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = (*GOOD, *BAD, *THINGS, "the", "was", "and", "row", "times")
MODULES = ("Transformer", "Pooling", "Normalize")


def make_tiny_encoder(folder: Path, **files: Any) -> Path:
    """Write the encoder into `folder` and return it; `files` are JSON files beside it, `__` for a folder's `/`."""
    shutil.copytree(made_once("tiny-encoder", _write), folder, dirs_exist_ok=True)
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def sentence_files(*modules: str, pooling: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files that sentence-transformers writes, for `make_tiny_encoder`."""
    listed = [{"type": f"sentence_transformers.models.{name}"} for name in modules or MODULES]
    return {"modules": listed, "1_Pooling__config": dict(pooling)}


def _write(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces = [*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    names = dict(
        zip(
            ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True
        )
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config, add_pooling_layer=False)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
