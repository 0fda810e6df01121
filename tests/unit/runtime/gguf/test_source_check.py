"""A GGUF file that says, or holds, something else than the model that it was made of is named; sound ones are not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from engine.runtime.gguf.convert import find_tools, read_back, write_gguf
from engine.runtime.gguf.source_check import other_settings, other_tensors
from support.clean_models import make_clean_model
from support.faults_of_machines import change_file, number, tensor
from support.pico import make_pico_model, pico_gguf

Change = Callable[[Any], object]


def words(reader: Any) -> None:
    """Have special tokens be ordinary text."""
    field = reader.get_field("tokenizer.ggml.token_type")
    for place in field.data[:3]:
        field.parts[place][0] = 1


def changed(folder: Path, change: Change) -> tuple[Path, GGUFReader]:
    """The usual model, and its 16-bit file after a change."""
    model, file = make_pico_model(folder / "model"), folder / "model.gguf"
    shutil.copyfile(pico_gguf(), file)
    change_file(file, change)
    return model, read_back(file)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (number("llama.rope.freq_base", 1e6), "rope.freq_base"),
        (number("llama.attention.layer_norm_rms_epsilon", 1e-5), "layer_norm_rms_epsilon"),
        (number("llama.context_length", 64), "context_length"),
        (number("tokenizer.ggml.eos_token_id", 100), "eos_token_id"),
        (number("tokenizer.ggml.bos_token_id", 5), "bos_token_id"),
        (words, "special tokens"),
    ],
    ids=["positions", "norms", "window", "end", "start", "marks"],
)
def test_a_file_that_says_otherwise_than_its_model_is_named(
    tmp_path: Path, change: Change, named: str
) -> None:
    (found,) = other_settings(*changed(tmp_path, change))

    assert named in found


@pytest.mark.parametrize(
    "change",
    [
        tensor("blk.1.ffn_down.weight", lambda own, _: own * 0),
        tensor("blk.1.attn_q.weight", lambda _, all_: all_["blk.0.attn_q.weight"]),
        tensor("token_embd.weight", lambda own, _: own * np.float16(1.02)),
        tensor("blk.0.attn_norm.weight", lambda own, _: own * 1.5),
    ],
    ids=["zeros", "another layer's", "larger", "a norm"],
)
def test_a_tensor_that_is_not_the_models_is_named(tmp_path: Path, change: Change) -> None:
    assert len([*other_tensors(*changed(tmp_path, change))]) == 1


def test_a_sound_file_is_not(tmp_path: Path) -> None:
    model, file = changed(tmp_path, lambda _: None)

    assert [*other_settings(model, file)] == []
    assert [*other_tensors(model, file)] == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["llama, bf16", "llama, untied", "qwen3", "olmo2", "starcoder2"])
def test_nor_are_those_of_other_models(tmp_path: Path, name: str) -> None:
    model, file = make_clean_model(tmp_path / "model", name), tmp_path / "model.gguf"
    write_gguf(model, file, "F16", threads=1, tools=find_tools())

    assert [*other_settings(model, read_back(file))] == []
    assert [*other_tensors(model, read_back(file))] == []
