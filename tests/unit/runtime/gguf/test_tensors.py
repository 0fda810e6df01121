"""A tensor that came out wrong is named, in every type that llama.cpp quantizes into; sound ones never are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.runtime.gguf.quantize_worker import main as quantize
from engine.runtime.gguf.reader import read_back
from engine.runtime.gguf.tensors import compare

pytestmark = pytest.mark.thorough

COLUMNS, ROWS, BLOCKS = 256, 64, 2
TYPES = (
    "F16",
    "Q8_0",
    "Q6_K",
    "Q5_K_M",
    "Q5_1",
    "Q5_0",
    "Q4_K_M",
    "Q4_1",
    "Q4_0",
    "IQ4_NL",
    "IQ4_XS",
    "Q3_K_M",
    "Q2_K",
)
DAMAGED = ("F16", "Q8_0", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")
WITH_MATRIX = ("Q5_K_M", "Q4_K_M", "Q2_K", "IQ3_XXS", "IQ2_XXS", "IQ1_S")
DOWN = "blk.1.ffn_down.weight"
SHAPES = {
    "attn_q": (COLUMNS, COLUMNS),
    "attn_k": (COLUMNS, COLUMNS),
    "attn_v": (COLUMNS, COLUMNS),
    "attn_output": (COLUMNS, COLUMNS),
    "ffn_gate": (ROWS * 4, COLUMNS),
    "ffn_up": (ROWS * 4, COLUMNS),
    "ffn_down": (COLUMNS, ROWS * 4),
}


def _weights(shape: tuple[int, int], draw: np.random.Generator) -> NDArray[np.float16]:
    """Like a trained model's: rows of many sizes, and a few large weights."""
    size = np.exp(draw.normal(size=(shape[0], 1)))
    return (0.02 * size * draw.standard_t(5, size=shape)).astype(np.float16)


@pytest.fixture(scope="module")
def sixteen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 16-bit file of a model with two blocks."""
    path = tmp_path_factory.mktemp("files") / "model-F16.gguf"
    draw = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(BLOCKS)
    writer.add_context_length(64)
    writer.add_embedding_length(COLUMNS)
    writer.add_feed_forward_length(ROWS * 4)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{at}" for at in range(ROWS)])
    writer.add_token_types([1] * ROWS)
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_tensor("token_embd.weight", _weights((ROWS, COLUMNS), draw))
    writer.add_tensor("output_norm.weight", np.ones(COLUMNS, dtype=np.float32))
    for block in range(BLOCKS):
        for name, shape in SHAPES.items():
            writer.add_tensor(f"blk.{block}.{name}.weight", _weights(shape, draw))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{name}.weight", np.ones(COLUMNS, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def matrix(sixteen: Path) -> Path:
    """An importance matrix whose inputs differ a thousandfold."""
    path = sixteen.with_name("importance.gguf")
    draw = np.random.default_rng(8)
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    for tensor in gguf.GGUFReader(sixteen).tensors:
        if len(tensor.shape) == 2:
            sums = np.exp(2 * draw.normal(size=(1, int(tensor.shape[0])))).astype(np.float32)
            writer.add_tensor(f"{tensor.name}.in_sum2", sums)
            writer.add_tensor(f"{tensor.name}.counts", np.array([[1]], dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def made(sixteen: Path) -> Callable[..., Path]:
    """Quantizes into a type, once."""

    def made(kind: str, matrix: Path | None = None) -> Path:
        path = sixteen.with_name(f"model-{kind}{'-matrix' if matrix else ''}.gguf")
        if not path.exists():
            before = ["--imatrix", str(matrix)] if matrix else []
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.argv", ["quantize", *before, str(sixteen), str(path), kind, "1"])
                quantize()
        return path

    return made


def wrong(sixteen: Path, path: Path) -> list[str]:
    return [
        one.name for one in compare(read_back(sixteen), read_back(path)).errors if not one.is_sound
    ]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", TYPES)
def test_sound_files_are_within_their_limits(
    sixteen: Path, made: Callable[..., Path], kind: str
) -> None:
    assert wrong(sixteen, made(kind)) == []
    assert compare(read_back(sixteen), read_back(made(kind))).facts == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", WITH_MATRIX)
def test_so_are_those_of_an_importance_matrix(
    sixteen: Path, made: Callable[..., Path], matrix: Path, kind: str
) -> None:
    assert wrong(sixteen, made(kind, matrix)) == []
    assert compare(read_back(sixteen), read_back(made(kind, matrix))).facts == []


def _zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def _cut_off(data: bytes) -> bytes:
    whole = len(data) // COLUMNS * (COLUMNS - 1)
    return data[:whole] + bytes(len(data) - whole)


def _turned(data: bytes) -> bytes:
    half = len(data) // 2
    return data[half:] + data[:half]


def _two_rows_swapped(data: bytes) -> bytes:
    row = len(data) // COLUMNS
    return data[row : 2 * row] + data[:row] + data[2 * row :]


def _no_numbers(data: bytes) -> bytes:
    return b"\xff" * len(data)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("damage", [_zeroed, _cut_off, _turned, _two_rows_swapped, _no_numbers])
def test_a_damaged_tensor_is_named(
    sixteen: Path,
    made: Callable[..., Path],
    tmp_path: Path,
    kind: str,
    damage: Callable[[bytes], bytes],
) -> None:
    path = Path(shutil.copyfile(made(kind), tmp_path / "model.gguf"))
    _change(path, DOWN, damage)

    assert wrong(sixteen, path) == [DOWN]


def test_swapped_layers_are_both_named(
    sixteen: Path, made: Callable[..., Path], tmp_path: Path
) -> None:
    path = Path(shutil.copyfile(made("Q8_0"), tmp_path / "model.gguf"))
    names = [f"blk.{block}.attn_q.weight" for block in range(BLOCKS)]
    one, two = (_read(path, name) for name in names)
    _change(path, names[0], lambda _: two)
    _change(path, names[1], lambda _: one)

    assert sorted(wrong(sixteen, path)) == names


def test_a_tensor_a_tenth_too_small_is_named_in_eight_bits(
    sixteen: Path, made: Callable[..., Path], tmp_path: Path
) -> None:
    path = Path(shutil.copyfile(made("Q8_0"), tmp_path / "model.gguf"))

    def smaller(data: bytes) -> bytes:
        blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, 34).copy()
        scales = blocks[:, :2].copy().view(np.float16) * np.float16(0.9)
        blocks[:, :2] = scales.view(np.uint8)
        return blocks.tobytes()

    _change(path, DOWN, smaller)

    assert wrong(sixteen, path) == [DOWN]


def test_a_file_of_other_tensors_is_named_for_each(sixteen: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(other, "llama")
    writer.add_tensor("token_embd.weight", np.ones((2, 2), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    assert len(wrong(sixteen, other)) == len(gguf.GGUFReader(sixteen).tensors)
    assert "llama.block_count" in compare(read_back(sixteen), read_back(other)).facts


def _place(path: Path, name: str) -> Any:
    return next(one for one in gguf.GGUFReader(path).tensors if one.name == name)


def _read(path: Path, name: str) -> bytes:
    tensor = _place(path, name)
    start = int(tensor.data_offset)
    return path.read_bytes()[start : start + int(tensor.n_bytes)]


def _change(path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    start, data = int(_place(path, name).data_offset), _read(path, name)
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(damage(data))
