"""Configurations and headers of a stranger's model: an estimate, or none; never an error, never a wait."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.estimate.shape import shape_of_folder
from engine.training.soft_targets import tokens_in

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


def number(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")


def test_the_good_one_has_a_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))

    found = shape_of_folder(tmp_path)

    assert found is not None
    assert found.layers == 2


@pytest.mark.parametrize(
    "content",
    [
        *("null", "[]", "1", '"x"', "{}", "[" * 100_000, '{"hidden_size": ' + "9" * 10_000 + "}"),
        json.dumps({**CONFIG, "text_config": [1], "hidden_size": "x"}),
        json.dumps({**CONFIG, "hidden_size": 10**400}),
        json.dumps({**CONFIG, "num_hidden_layers": -1}),
        json.dumps({**CONFIG, "num_hidden_layers": 1e300}),
        json.dumps({**CONFIG, "vocab_size": float("inf")}),
        json.dumps({**CONFIG, "num_attention_heads": float("nan")}),
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
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(number(len(header)) + header)

    found = shape_of_folder(tmp_path)

    assert found is not None
    assert found.stored_bytes is None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_no_file_is_not_waited_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
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
