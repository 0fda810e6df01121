"""A file of another type than was asked for is refused, and the mixes of llama.cpp are not."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import StageError
from engine.runtime.gguf.convert import another_type, find_tools, read_facts, write_gguf
from support.faults_of_machines import change_file, number
from support.pico import pico_gguf

Q4_0, Q4_1, Q8_0 = 2, 3, 7
"""The numbers of the types in `general.file_type`."""


@pytest.fixture(scope="module")
def four_bits(pico_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("types") / "model.gguf"
    write_gguf(
        pico_folder, target, "Q4_0", threads=1, tools=find_tools(), sixteen=Path(pico_gguf())
    )
    return target


def refused(source: Path, file: Path, *, of: int, asked: str) -> str:
    """The message about a file that claims to be of a type."""
    shutil.copyfile(source, file)
    change_file(file, number("general.file_type", of))
    with pytest.raises(StageError, match="X819") as caught:
        read_facts(file, asked)
    return str(caught.value)


def test_a_file_that_says_to_be_of_another_type_is_refused(four_bits: Path, tmp_path: Path) -> None:
    found = refused(four_bits, tmp_path / "m.gguf", of=Q4_0, asked="Q8_0")

    assert "`general.file_type` is 2, and that of the type is 7" in found


def test_so_are_fewer_bits_under_the_name_of_more(four_bits: Path, tmp_path: Path) -> None:
    found = refused(four_bits, tmp_path / "m.gguf", of=Q8_0, asked="Q8_0")

    assert "most tensors of its layers are Q4_0" in found


def test_so_is_a_type_of_the_same_number_of_bits(four_bits: Path, tmp_path: Path) -> None:
    found = refused(four_bits, tmp_path / "m.gguf", of=Q4_1, asked="Q4_1")

    assert "most tensors of its layers are Q4_0" in found


def test_so_are_tensors_that_were_never_quantized(tmp_path: Path) -> None:
    found = refused(Path(pico_gguf()), tmp_path / "m.gguf", of=Q8_0, asked="Q8_0")

    assert "of its weights stand in more bits" in found


def test_a_file_of_the_type_asked_for_passes(four_bits: Path) -> None:
    assert read_facts(four_bits, "Q4_0").fallback_tensors == 0
    assert read_facts(Path(pico_gguf()), "F16").tensors == 20


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["Q3_K_L", "Q4_K_M", "IQ4_NL"])
def test_so_do_the_mixes_of_llama_cpp(pico_folder: Path, tmp_path: Path, kind: str) -> None:
    file, sixteen = tmp_path / "model.gguf", Path(pico_gguf())
    write_gguf(pico_folder, file, kind, threads=1, tools=find_tools(), sixteen=sixteen)

    assert read_facts(file, kind).tensors > 0


def test_nor_is_a_mix_whose_only_tensors_that_fit_are_of_another_type() -> None:
    """As a model's of 576 numbers, 1,536 in between: Q3_K_L stores what leads back in Q5_K."""
    shapes = {
        "blk.0.attn_q.weight": (576, 576, "IQ4_NL"),
        "blk.0.ffn_down.weight": (1536, 576, "Q5_K"),
    }
    tensors = [
        SimpleNamespace(
            name=name,
            shape=(row, rows),
            n_elements=row * rows,
            tensor_type=SimpleNamespace(name=kind),
        )
        for name, (row, rows, kind) in shapes.items()
    ]

    assert another_type(SimpleNamespace(fields={}, tensors=tensors), "Q3_K_L") == ""
