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


def test_what_was_made_is_counted(deep: Path, tmp_path: Path) -> None:
    facts = write_fewer_layers(deep, tmp_path / "student", "every_third")

    kept = load_file(tmp_path / "student" / "model.safetensors").values()
    whole = load_file(deep / "model.safetensors").values()
    assert facts == {
        "kept": [0, 3],
        "of": 6,
        "parameters": sum(one.numel() for one in kept),
        "parameters_before": sum(one.numel() for one in whole),
    }


def test_a_setting_of_each_layer_is_cut_alike(deep: Path, tmp_path: Path) -> None:
    edit(deep, layer_types=[*["full_attention"] * 5, "sliding_attention"], sliding_window=64)

    write_fewer_layers(deep, tmp_path / "student", (0, 5))

    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2
    assert config["layer_types"] == ["full_attention", "sliding_attention"]


def test_tokenizer_and_template_stay(deep: Path, tmp_path: Path) -> None:
    write_fewer_layers(deep, tmp_path / "student", "every_second")

    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "student" / name).read_bytes() == (deep / name).read_bytes()


def test_a_layer_that_is_not_there_is_refused(deep: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 6))

    assert caught.value.problems[0].code == "X741"
    assert "there is no layer 6" in str(caught.value)


def test_layers_that_lean_on_each_other_are_refused(deep: Path, tmp_path: Path) -> None:
    edit(deep, num_kv_shared_layers=2)

    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 1))

    assert caught.value.problems[0].code == "X742"


def test_tensors_without_numbered_layers_are_refused(deep: Path, tmp_path: Path) -> None:
    edit(deep, num_hidden_layers=7)

    with pytest.raises(StageError) as caught:
        write_fewer_layers(deep, tmp_path / "student", (0, 1))

    assert caught.value.problems[0].code == "X742"
