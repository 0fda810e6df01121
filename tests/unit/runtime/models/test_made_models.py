"""Blank models: sizes as their recipes say, the same bytes again, and a tokenizer that keeps every byte."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from engine.errors import StageError
from engine.recipe.model import NewTokenizer, Scratch
from engine.recipe.references import kept_layers
from engine.runtime.gguf.convert_worker import pre_tokenizer_of
from engine.runtime.models.load import load_model
from engine.runtime.models.start import (
    ENDING,
    blank_config,
    parameters_of,
    write_blank_model,
    write_byte_pairs,
    write_fewer_layers,
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


@pytest.mark.parametrize(
    ("sizes", "words", "millions"),
    [
        ({"layers": 64, "width": 256, "heads": 4, "kv_heads": 4, "feed_forward": 768}, 8000, 56.6),
        (
            {"layers": 80, "width": 576, "heads": 9, "kv_heads": 3, "feed_forward": 1536},
            65_536,
            321.0,
        ),
    ],
    ids=["monad", "baguettotron"],
)
def test_published_layouts_are_expressed(
    sizes: dict[str, int], words: int, millions: float
) -> None:
    assert counted(blank(**sizes), words) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_the_same_seed_and_text_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")

    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    assert pre_tokenizer_of(one) == "gpt-2"
    assert [(one / name).read_bytes() for name in names] == [
        (other / name).read_bytes() for name in names
    ]


def test_a_blank_model_expects_every_token_about_equally(tmp_path: Path, cpu: Any) -> None:
    loaded = load_model(written(tmp_path / "blank"), device=cpu, precision="fp32")
    ids = torch.tensor([loaded.chat.token_ids(TEXTS[0])])
    with torch.inference_mode():
        loss = loaded.model(input_ids=ids, labels=ids).loss

    assert loss.item() == pytest.approx(math.log(300), abs=0.1)


def test_every_text_comes_back_whole(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(written(tmp_path / "blank"))

    for text in ("the cat", "  two\n\nlines\t", "Zürich, 東京, 🙂", "\x7f½"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_a_text_begins_with_the_token_that_ends_the_one_before(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(written(tmp_path / "blank"))

    assert tokenizer("the")["input_ids"][0] == tokenizer.eos_token_id == tokenizer.bos_token_id
    assert tokenizer.eos_token == ENDING


def test_a_text_that_is_too_short_for_its_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="X740"):
        write_byte_pairs(TEXTS, tmp_path, size=5000)


def test_a_tokenizer_that_ends_no_text_is_refused(tmp_path: Path) -> None:
    write_byte_pairs(TEXTS, tmp_path, size=300)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "eos_token": None}))

    with pytest.raises(StageError, match="X743"):
        write_blank_model(blank(), tmp_path)


# Some layers of a model: the tensors of those that are kept, numbered anew, and nothing else.
@pytest.fixture
def deep(pico_folder: Path, tmp_path: Path) -> Path:
    """The pico model with six layers: its two, three times, each a little different."""
    folder = Path(shutil.copytree(pico_folder, tmp_path / "deep"))
    tensors = load_file(folder / "model.safetensors")
    more = {
        name.replace(f"layers.{layer}.", f"layers.{layer + 2 * time}."): value + 0.01 * time
        for name, value in tensors.items()
        for layer in (0, 1)
        for time in (1, 2)
        if f"layers.{layer}." in name
    }
    save_file({**tensors, **more}, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, num_hidden_layers=6)
    return folder


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("keep", "numbers"),
    [("every_second", [0, 2, 4]), ("every_third", [0, 3]), (4, [0, 1, 2, 3]), ((1, 5), [1, 5])],
)
def test_layers_are_named_in_four_ways(keep: Any, numbers: list[int]) -> None:
    assert kept_layers(keep, 6) == numbers


@pytest.mark.parametrize(
    ("keep", "settings", "words"),
    [
        ((0, 6), {}, "X741.*there is no layer 6"),
        ((0, 1), {"num_kv_shared_layers": 2}, "X742"),
        ((0, 1), {"num_hidden_layers": 7}, "X742"),
    ],
    ids=["not there", "layers that depend on each other", "tensors that are not numbered so"],
)
def test_layers_that_cannot_be_left_out_are_refused(
    deep: Path, tmp_path: Path, keep: tuple[int, ...], settings: dict[str, int], words: str
) -> None:
    edit(deep, **settings)

    with pytest.raises(StageError, match=words):
        write_fewer_layers(deep, tmp_path / "student", keep)


def test_the_kept_layers_compute_what_they_did(deep: Path, tmp_path: Path, cpu: Any) -> None:
    write_fewer_layers(deep, tmp_path / "student", (1, 4))

    whole = load_model(deep, device=cpu, precision="fp32")
    student = load_model(tmp_path / "student", device=cpu, precision="fp32")
    layers = whole.model.model.layers
    whole.model.model.layers = torch.nn.ModuleList([layers[1], layers[4]])
    for place, layer in enumerate(whole.model.model.layers):
        layer.self_attn.layer_idx = place
    whole.model.config.num_hidden_layers = 2
    ids = torch.tensor([whole.chat.token_ids("the film was good")])
    with torch.inference_mode():
        expected = whole.model(input_ids=ids, use_cache=False).logits
        found = student.model(input_ids=ids, use_cache=False).logits

    assert torch.equal(expected, found)


def test_a_student_continues_a_text_by_its_cache(deep: Path, tmp_path: Path, cpu: Any) -> None:
    """A layer that kept its old number would look for its keys and values in a place that is not there."""
    write_fewer_layers(deep, tmp_path / "student", (1, 4))

    student = load_model(tmp_path / "student", device=cpu, precision="fp32")
    ids = torch.tensor([student.chat.token_ids("the film was good")])
    with torch.inference_mode():
        logits = [
            student.model.generate(ids, max_new_tokens=8, do_sample=False, use_cache=cached)
            for cached in (True, False)
        ]

    assert torch.equal(*logits)


def test_what_was_made_is_counted_and_a_setting_of_each_layer_is_cut_alike(
    deep: Path, tmp_path: Path
) -> None:
    edit(deep, layer_types=[*["full_attention"] * 5, "sliding_attention"], sliding_window=64)

    facts = write_fewer_layers(deep, tmp_path / "student", (0, 5))

    sizes = [
        sum(one.numel() for one in load_file(folder / "model.safetensors").values())
        for folder in (tmp_path / "student", deep)
    ]
    made = {"kept": [0, 5], "of": 6, "parameters": sizes[0], "parameters_before": sizes[1]}
    assert facts == made
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "student" / name).read_bytes() == (deep / name).read_bytes()
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2
    assert config["layer_types"] == ["full_attention", "sliding_attention"]
