"""The importance matrix: what it holds, how it is named, and that the quantizer uses it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize

from engine.runtime.gguf.convert import find_tools, write_gguf
from engine.runtime.gguf.importance_matrix import Squares, drawn_rows, squares, write_importance
from engine.runtime.gguf.quantize_worker import importance
from engine.runtime.models.load import LoadedModel
from support.pico import pico_gguf


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
