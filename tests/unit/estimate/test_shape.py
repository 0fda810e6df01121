from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from engine.estimate.base_model import why_unknown
from engine.estimate.shape import (
    blank_shape,
    shape_of_config,
    shape_of_folder,
    shape_of_gguf,
    with_layers,
)
from engine.recipe.model import HubRef, NewTokenizer, PathRef, Scratch
from support.estimates import CONFIG, LINEAR, TOTAL, shape


def test_config_json_says_every_parameter_of_a_llama() -> None:
    found = shape()

    assert (found.linear_parameters, found.total_parameters) == (LINEAR, TOTAL)


def test_untied_embeddings_count_twice() -> None:
    assert shape(tie_word_embeddings=False).total_parameters == TOTAL + 320 * 64


def test_an_unknown_type_says_what_is_assumed() -> None:
    assert "blocks as in Llama are assumed for `novel`" in shape(model_type="novel").source


def test_a_config_without_sizes_has_no_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")

    assert shape_of_folder(tmp_path) is None
    assert shape_of_folder(tmp_path / "nowhere") is None


def test_the_text_part_of_a_model_of_several_parts_is_read() -> None:
    found = shape_of_config({"model_type": "some", "text_config": CONFIG})

    assert found is not None
    assert found.total_parameters == TOTAL


def write_safetensors(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    width = {"F32": 4, "BF16": 2}
    header: dict[str, Any] = {}
    at = 0
    for name, (kind, size) in tensors.items():
        end = at + width[kind] * _product(size)
        header[name] = {"dtype": kind, "shape": size, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))


def _product(size: list[int]) -> int:
    total = 1
    for one in size:
        total *= one
    return total


def test_the_weights_themselves_say_more_than_the_config(tmp_path: Path) -> None:
    """A matrix that the config does not speak of counts, and an adapter may stand beside it."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    write_safetensors(
        tmp_path / "model.safetensors",
        {
            "model.embed_tokens.weight": ("BF16", [320, 64]),
            "model.layers.0.self_attn.qkv_proj.weight": ("BF16", [128, 64]),
            "model.layers.1.self_attn.qkv_proj.weight": ("BF16", [128, 64]),
            "model.layers.0.input_layernorm.weight": ("F32", [64]),
        },
    )

    found = shape_of_folder(tmp_path)

    assert found is not None
    assert [(one.name, one.inputs, one.outputs, one.count) for one in found.linears] == [
        ("qkv_proj", 64, 128, 2)
    ]
    assert found.total_parameters == 320 * 64 + 2 * 128 * 64 + 64
    assert found.stored_bytes == 2 * (320 * 64 + 2 * 128 * 64) + 4 * 64
    assert found.tied


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def write_gguf(path: Path, tensors: dict[str, list[int]]) -> None:
    numbers = {
        "llama.embedding_length": 64, "llama.block_count": 2,
        "llama.feed_forward_length": 128, "llama.attention.head_count": 4,
    }  # fmt: skip
    fields = [_text("general.architecture") + struct.pack("<I", 8) + _text("llama")]
    words = struct.pack("<IIQ", 9, 8, 3) + _text("a") + _text("bc") + _text("")
    scores = struct.pack("<IIQ", 9, 6, 3) + bytes(12)
    fields += [_text("tokenizer.ggml.tokens") + words, _text("tokenizer.ggml.scores") + scores]
    fields += [_text(name) + struct.pack("<II", 4, value) for name, value in numbers.items()]
    infos = [
        _text(name) + struct.pack("<I", len(size)) + b"".join(struct.pack("<Q", n) for n in size)
        + struct.pack("<IQ", 2, 0)
        for name, size in tensors.items()
    ]  # fmt: skip
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(fields))
    path.write_bytes(head + b"".join(fields) + b"".join(infos) + bytes(64))


TENSORS = {
    "token_embd.weight": [64, 320],
    "blk.0.attn_q.weight": [64, 64],
    "blk.1.attn_q.weight": [64, 64],
    "blk.0.ffn_down.weight": [128, 64],
    "blk.0.attn_norm.weight": [64],
}


def test_a_gguf_header_says_shapes_behind_its_vocabulary(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", TENSORS)

    found = shape_of_gguf(tmp_path / "m.gguf")

    assert found is not None
    assert (
        found.hidden, found.layers, found.intermediate, found.vocabulary, found.tied,
    ) == (64, 2, 128, 320, True)  # fmt: skip
    assert {("q_proj", 64, 64, 2), ("down_proj", 128, 64, 1)} == {
        (one.name, one.inputs, one.outputs, one.count) for one in found.linears
    }


@pytest.mark.parametrize("damage", [b"", b"GGUF", b"GGUF\3\0\0\0" + b"\xff" * 40, b"nothing of it"])
def test_a_file_that_is_no_gguf_has_no_shape(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(damage)

    assert shape_of_gguf(tmp_path / "m.gguf") is None


def test_a_cut_gguf_header_has_no_shape(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", TENSORS)
    whole = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(whole[:200])

    assert shape_of_gguf(tmp_path / "m.gguf") is None


def test_a_blank_model_has_the_shape_of_the_llama_it_becomes() -> None:
    blank = Scratch(
        layers=CONFIG["num_hidden_layers"],
        width=CONFIG["hidden_size"],
        heads=CONFIG["num_attention_heads"],
        kv_heads=CONFIG["num_key_value_heads"],
        feed_forward=CONFIG["intermediate_size"],
        context=64,
        seed=7,
        tokenizer=NewTokenizer(size=CONFIG["vocab_size"]),
    )

    found = blank_shape(blank, CONFIG["vocab_size"])

    assert (found.linear_parameters, found.total_parameters) == (LINEAR, TOTAL)
    assert found.stored_bytes == 4 * TOTAL


def test_with_half_of_its_layers_a_model_has_half_of_their_weights() -> None:
    whole = shape()

    half = with_layers(whole, "every_second")

    assert half.layers == whole.layers // 2
    assert half.linear_parameters == whole.linear_parameters // 2
    assert 2 * half.total_parameters - whole.total_parameters == pytest.approx(
        whole.embedding_parameters, rel=0.01
    )


def test_only_what_can_be_fetched_is_to_be_fetched(tmp_path: Path) -> None:
    folder = PathRef(path=tmp_path / "model", written="model")
    hub = HubRef(repo="owner/model", revision="a" * 40)

    assert "folder is not there" in why_unknown(folder)
    assert "`recipe data` fetches" in why_unknown(hub)
