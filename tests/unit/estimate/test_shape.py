import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.estimate.shape import (
    blank_shape,
    shape_of_config,
    shape_of_folder,
    why_unknown,
    with_layers,
)
from engine.recipe.model import HubRef, NewTokenizer, PathRef, Scratch
from engine.training.soft_targets import tokens_in
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

    (tmp_path / "m.gguf").touch()
    assert "folder is not there" in why_unknown(folder)
    assert "not unpacked" in why_unknown(PathRef(path=tmp_path / "m.gguf", written="m.gguf"))
    assert "`recipe data` fetches" in why_unknown(hub)


# Configurations and headers of a stranger's model: an estimate, or none; never an error, never a wait.
CONFIG_BROKEN_HEADERS: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


def number(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")


def test_the_good_one_has_a_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG_BROKEN_HEADERS))

    found = shape_of_folder(tmp_path)

    assert found is not None
    assert found.layers == 2


@pytest.mark.parametrize(
    "content",
    [
        *("null", "[]", "1", '"x"', "{}", "[" * 100_000, '{"hidden_size": ' + "9" * 10_000 + "}"),
        json.dumps({**CONFIG_BROKEN_HEADERS, "text_config": [1], "hidden_size": "x"}),
        json.dumps({**CONFIG_BROKEN_HEADERS, "hidden_size": 10**400}),
        json.dumps({**CONFIG_BROKEN_HEADERS, "num_hidden_layers": -1}),
        json.dumps({**CONFIG_BROKEN_HEADERS, "num_hidden_layers": 1e300}),
        json.dumps({**CONFIG_BROKEN_HEADERS, "vocab_size": float("inf")}),
        json.dumps({**CONFIG_BROKEN_HEADERS, "num_attention_heads": float("nan")}),
    ],
)
def test_a_configuration_that_is_none_gives_no_shape(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)

    assert shape_of_folder(tmp_path) is None


@pytest.mark.parametrize(
    "header",
    [
        *(b"null", b"[]", b"1", b"[" * 100_000, b'{"a": null}', b'{"a": {"dtype": 1}}'),
        b'{"a": {"dtype": "F32", "shape": [1e400]}}',
        b'{"a": {"dtype": "F32", "shape": ["x", null]}}',
        b'{"a": {"dtype": "F32", "shape": {"x": 1}}}',
        b'{"a": {"dtype": "F32", "shape": [-1, ' + b"9" * 400 + b"]}}",
    ],
)
def test_a_header_of_weights_that_is_none_is_passed_over(header: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG_BROKEN_HEADERS))
    (tmp_path / "model.safetensors").write_bytes(number(len(header)) + header)

    found = shape_of_folder(tmp_path)

    assert found is not None
    assert found.stored_bytes is None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_no_file_is_not_waited_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG_BROKEN_HEADERS))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)

    shape_of_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "{}", '{"model": []}', '{"model": {"vocab": 5}}', '{"model": {"vocab": [[]]}}',
     '{"model": {"vocab": {"a": 1e400}}}', '{"model": {"vocab": {}}, "added_tokens": [5]}', "[" * 100_000],
)  # fmt: skip
def test_a_tokenizer_that_is_none_has_no_tokens(content: str, tmp_path: Path) -> None:
    """A plan of a blank model with it, or of a teacher, ended in a bug report."""
    (tmp_path / "tokenizer.json").write_text(content)

    assert tokens_in(tmp_path / "tokenizer.json") == {}
