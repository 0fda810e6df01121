"""A file of another type than was asked for is refused, and the mixes of llama.cpp are not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize

from engine.errors import StageError
from engine.runtime.gguf.convert import another_type, find_tools, read_back, read_facts, write_gguf
from engine.runtime.gguf.convert_worker import with_newer_names
from engine.runtime.gguf.importance_matrix import Squares, drawn_rows, squares, write_importance
from engine.runtime.gguf.quantize_worker import importance
from engine.runtime.gguf.source_check import other_settings, other_tensors
from engine.runtime.models.load import LoadedModel
from support.clean_models import make_clean_model
from support.faults_of_machines import change_file, number, tensor
from support.pico import make_pico_model, pico_gguf

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

    assert "of its weights are stored in more bits" in found


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


# The importance matrix: what it holds, how it is named, and that the quantizer uses it.
@pytest.fixture(scope="module")
def sixteen() -> Path:
    return pico_gguf()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    rows = [
        {
            "id": f"{number:016x}",
            "segments": [
                {"label": False, "text": f"<|im_start|>user\nthe\u2028film {number}"},
                {"label": True, "text": "good<|im_end|>"},
            ],
        }
        for number in range(8)
    ]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_rows_are_drawn_by_seed_up_to_a_number_of_tokens(pico: LoadedModel, train: Path) -> None:
    drawn = drawn_rows(train, pico.chat, seed=1, tokens=100)

    assert drawn == drawn_rows(train, pico.chat, seed=1, tokens=100)
    assert drawn != drawn_rows(train, pico.chat, seed=2, tokens=100)
    assert 50 < sum(map(len, drawn)) <= 100


def test_squares_are_sums_over_tokens_whatever_the_rows(pico: LoadedModel, progress: Any) -> None:
    one, two = [1, 30, 31, 32], [1, 40, 41]

    both = squares(pico, [one, two], progress=progress)
    apart = [squares(pico, [row], progress=progress) for row in (one, two)]

    assert both.tokens == 7
    for name, sums in both.sums.items():
        np.testing.assert_allclose(apart[0].sums[name] + apart[1].sums[name], sums, rtol=1e-6)


def test_the_matrix_covers_every_layer_under_the_names_of_the_file(
    pico: LoadedModel, sixteen: Path, tmp_path: Path, progress: Any
) -> None:
    found = squares(pico, [[1, 30, 31, 32]], progress=progress)

    covered = write_importance(tmp_path / "importance.gguf", found, sixteen)

    means = importance(str(tmp_path / "importance.gguf"))
    assert covered == (14, 14)
    assert means["blk.1.ffn_down.weight"] == pytest.approx(
        list(found.sums["model.layers.1.mlp.down_proj"] / 4), rel=1e-5
    )


def test_the_quantizer_uses_it_and_is_closer_on_what_it_weighs(
    pico: LoadedModel, pico_folder: Path, sixteen: Path, tmp_path: Path, progress: Any
) -> None:
    """Where a few inputs matter far more than the others, their weights come out closer."""
    found = squares(pico, [[1, 30, 31, 32]], progress=progress)
    heavy = {}
    for name, sums in found.sums.items():
        heavy[name] = np.full_like(sums, 1e-3)
        heavy[name][::16] = 1e3
    matrix = tmp_path / "importance.gguf"
    write_importance(matrix, Squares(sums=heavy, tokens=4, rows=1), sixteen)
    errors = {}
    for kind, given in (("plain", None), ("weighted", matrix)):
        target = tmp_path / f"{kind}.gguf"
        write_gguf(
            pico_folder,
            target,
            "Q4_0",
            threads=1,
            tools=find_tools(),
            sixteen=sixteen,
            importance=given,
        )
        errors[kind] = _error(sixteen, target)

    assert errors["weighted"] < 0.7 * errors["plain"]


def _error(before: Path, after: Path) -> float:
    """The squared error of the weights of the inputs that matter."""
    name = "blk.0.ffn_gate.weight"
    weights = []
    for path in (before, after):
        tensor = next(one for one in GGUFReader(path).tensors if one.name == name)
        weights.append(np.asarray(dequantize(tensor.data, tensor.tensor_type)))
    difference = torch.tensor(weights[0].astype(np.float32) - weights[1])
    return float(difference[:, ::16].square().sum())


# A GGUF file that says, or holds, something else than the model that it was made of is named; sound ones are not.
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


# llama.cpp's converter with the `gguf` that is installed beside it, whichever package wrote that last.
IMPORTED = """
import importlib, pkgutil
import conversion
from engine.runtime.gguf.convert_worker import with_newer_names

with with_newer_names():
    for found in pkgutil.iter_modules(conversion.__path__):
        importlib.import_module(f"conversion.{found.name}")
"""


@pytest.mark.thorough
def test_every_module_of_the_converter_can_be_imported(root: Path) -> None:
    # in a process of its own: what is imported here stays
    subprocess.run([sys.executable, "-c", IMPORTED], cwd=root, check=True)


def test_names_that_are_known_keep_their_meaning() -> None:
    known = gguf.MODEL_ARCH

    with with_newer_names():
        assert (gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.NO_SUCH) == (known.LLAMA, None)
        assert gguf.MODEL_TENSOR.NO_SUCH is None

    assert gguf.MODEL_ARCH is known
