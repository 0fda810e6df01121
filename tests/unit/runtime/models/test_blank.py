"""Blank models: sizes as their recipes say, the same bytes again, and a tokenizer that keeps every byte."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine.errors import StageError
from engine.recipe.model import NewTokenizer, Scratch
from engine.runtime.gguf.convert_worker import pre_tokenizer_of
from engine.runtime.models.load import load_model
from engine.runtime.models.start import (
    ENDING,
    blank_config,
    parameters_of,
    write_blank_model,
    write_byte_pairs,
)
from support.words import WORDS

TEXTS = tuple(f"the {one} and some {other} with" for one in WORDS for other in WORDS)


def blank(**changes: Any) -> Scratch:
    given: dict[str, Any] = {
        "layers": 2,
        "width": 32,
        "heads": 4,
        "kv_heads": 2,
        "feed_forward": 64,
        "context": 64,
        "seed": 7,
        "tokenizer": NewTokenizer(size=300),
    }
    return Scratch(**{**given, **changes})


def written(folder: Path, texts: tuple[str, ...] = TEXTS, **changes: Any) -> Path:
    folder.mkdir()
    write_byte_pairs(texts, folder, size=300)
    write_blank_model(blank(**changes), folder)
    return folder


def counted(one: Scratch, words: int) -> int:
    config = blank_config(one, words, {})
    return sum(math.prod(sizes) for _, sizes in parameters_of(config))


def test_the_layout_of_monad_is_expressed() -> None:
    monad = blank(layers=64, width=256, heads=4, kv_heads=4, feed_forward=768)

    assert round(counted(monad, 8000) / 1e6, 1) == 56.6


def test_the_layout_of_baguettotron_is_expressed() -> None:
    baguettotron = blank(layers=80, width=576, heads=9, kv_heads=3, feed_forward=1536)

    assert round(counted(baguettotron, 65_536) / 1e6) == 321


def test_the_same_seed_and_text_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")

    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    assert [(one / name).read_bytes() for name in names] == [
        (other / name).read_bytes() for name in names
    ]


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other", seed=8)

    weights = "model.safetensors"
    assert (one / weights).read_bytes() != (other / weights).read_bytes()


def test_a_blank_model_expects_every_token_about_equally(tmp_path: Path, cpu: Any) -> None:
    import torch

    loaded = load_model(written(tmp_path / "blank"), device=cpu, precision="fp32")
    ids = torch.tensor([loaded.chat.token_ids(TEXTS[0])])
    with torch.inference_mode():
        loss = loaded.model(input_ids=ids, labels=ids).loss

    assert loss.item() == pytest.approx(math.log(300), abs=0.1)


def test_weights_are_written_in_32_bits(tmp_path: Path) -> None:
    config = json.loads((written(tmp_path / "blank") / "config.json").read_text())

    assert (config["dtype"], config["tie_word_embeddings"]) == ("float32", True)


def test_every_text_comes_back_whole(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(written(tmp_path / "blank"))

    for text in ("the cat", "  two\n\nlines\t", "Zürich, 東京, 🙂", "\x7f½"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_a_text_begins_with_the_token_that_ends_the_one_before(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(written(tmp_path / "blank"))

    assert tokenizer("the")["input_ids"][0] == tokenizer.eos_token_id == tokenizer.bos_token_id
    assert tokenizer.eos_token == ENDING


def test_llama_cpp_knows_how_the_tokenizer_splits(tmp_path: Path) -> None:
    assert pre_tokenizer_of(written(tmp_path / "blank")) == "gpt-2"


def test_a_text_that_is_too_short_for_its_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        write_byte_pairs(TEXTS, tmp_path, size=5000)

    problem = caught.value.problems[0]
    assert (problem.code, problem.path) == ("X740", "base_model.scratch.tokenizer.size")


def test_a_tokenizer_that_ends_no_text_is_refused(tmp_path: Path) -> None:
    write_byte_pairs(TEXTS, tmp_path, size=300)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "eos_token": None}))

    with pytest.raises(StageError) as caught:
        write_blank_model(blank(), tmp_path)

    assert caught.value.problems[0].code == "X743"
