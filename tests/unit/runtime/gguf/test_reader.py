"""The faster reader of GGUF files reads what the package's own reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import transformers.modeling_gguf_pytorch_utils as loading

from engine.runtime.gguf.reader import GgufReader, read_back, read_once


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_token_list(["<s>", "a", "ä", ""])
    writer.add_token_scores([0.0, -1.5, 2.0, 3.0])
    writer.add_tensor("token_embd.weight", np.arange(12, dtype=np.float32).reshape(4, 3))
    writer.add_tensor("output.weight", np.arange(6, dtype=np.float16).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_fields_and_tensors_are_those_of_the_packages_own(file: Path) -> None:
    found, expected = GgufReader(file), gguf.GGUFReader(file)

    assert list(found.fields) == list(expected.fields)
    for name, field in expected.fields.items():
        assert found.fields[name].contents() == field.contents()
    for one, other in zip(found.tensors, expected.tensors, strict=True):
        assert (one.name, one.tensor_type, list(one.shape)) == (
            other.name,
            other.tensor_type,
            list(other.shape),
        )
        assert np.array_equal(one.data, other.data)


def test_a_file_is_read_once_within_and_the_package_is_as_before_behind(file: Path) -> None:
    own = (gguf.GGUFReader, gguf.get_tensor_name_map)

    with read_once():
        one, other = gguf.GGUFReader(file), gguf.GGUFReader(str(file))
        assert one is other
        arch = gguf.MODEL_ARCH.LLAMA
        assert gguf.get_tensor_name_map(arch, 1) is gguf.get_tensor_name_map(arch, 1)
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == own


def test_values_are_those_of_transformers_each_parsed_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, parsed = loading._gguf_parse_value, list[int]()

    def counted(part: Any, types: list[int]) -> Any:
        parsed.append(1)
        return own(part, types)

    def values() -> dict[str, Any]:
        fields = gguf.GGUFReader(file).fields
        return {
            name: [loading._gguf_parse_value(field.parts[at], field.types) for at in field.data]
            for name, field in fields.items()
        }

    expected = values()
    monkeypatch.setattr(loading, "_gguf_parse_value", counted)
    with read_once():
        assert values() == expected
        first = len(parsed)
        assert values() == expected

    assert len(parsed) == first > 0
    assert loading._gguf_parse_value is counted


def test_the_package_is_as_before_behind_an_error(file: Path) -> None:
    own = gguf.GGUFReader

    def fail() -> None:
        with read_once():
            gguf.GGUFReader(file.with_name("missing"))

    with pytest.raises(FileNotFoundError):
        fail()

    assert gguf.GGUFReader is own


def test_a_larger_vocabulary_takes_no_more_calls_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, counts = list[int](), list[int]()
    own = gguf.GGUFReader._get

    def counted(self: gguf.GGUFReader, *given: Any, **named: Any) -> Any:
        calls.append(1)
        return own(self, *given, **named)

    monkeypatch.setattr(gguf.GGUFReader, "_get", counted)
    for size in (3, 300):
        writer = gguf.GGUFWriter(tmp_path / f"{size}.gguf", "llama")
        writer.add_token_list([f"token {number}" for number in range(size)])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        calls.clear()
        field = GgufReader(tmp_path / f"{size}.gguf").fields["tokenizer.ggml.tokens"]
        counts.append(len(calls))
        assert field.contents(size - 1) == f"token {size - 1}"

    assert counts[0] == counts[1]


@pytest.mark.parametrize("kept", [0.4, 0.6, 0.8])
def test_a_file_that_ends_within_is_refused_as_by_the_package(
    file: Path, tmp_path: Path, kept: float
) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises((ValueError, IndexError)) as expected:
        gguf.GGUFReader(cut)

    with pytest.raises(expected.type):
        GgufReader(cut)


def test_a_file_is_read_again_only_where_it_is_another_one(file: Path, tmp_path: Path) -> None:
    known = read_back(file)
    moved = file.rename(tmp_path / "moved.gguf")

    assert read_back(moved) is known

    # A write may come within the same tick of a file system's clock.
    os.utime(moved, (1, 1))

    assert read_back(moved) is not known
