"""What is looked at of a base model before it is loaded, where its configuration is odd."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import StageError
from engine.runtime.models import base_check
from engine.runtime.models.base_check import is_trained, token_row
from support.pico import make_pico_model


def changed(folder: Path, **settings: Any) -> Path:
    make_pico_model(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | settings), encoding="utf-8")
    return folder


@pytest.mark.parametrize("token", [-1, -5, [1], "x"])
def test_a_padding_token_that_is_none_is_passed_over(tmp_path: Path, token: Any) -> None:
    try:
        base_check.check_base(changed(tmp_path, pad_token_id=token))
    except (
        StageError
    ) as error:  # what transformers does not take, and a row that only padding may leave empty
        assert {one.code for one in error.problems} <= {"X604", "X845"}  # noqa: PT017


def test_a_model_that_takes_long_to_build_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 layers of a model of two took a minute and 3 GB."""
    monkeypatch.setattr(base_check, "BUILD_SECONDS", 0.01)

    with pytest.raises(StageError, match="takes too long"):
        base_check.check_base(changed(tmp_path, num_hidden_layers=400))

    torch.device("meta").__enter__()  # as a build that is stopped within it
    base_check._leave_modes()
    assert torch.ones(1).device.type == "cpu"  # the stopped build left its mode


def test_a_row_of_zeros_is_reported_whatever_the_others_hold() -> None:
    rows = torch.eye(4, 32)
    rows[2] = 0

    (found,) = token_row(rows, 2, "<|end|>")

    assert "all zeros" in found.message
    assert [*token_row(rows, -1, "<|none|>"), *token_row(rows, 9, "<|none|>")] == []


def test_a_norm_without_numbers_is_passed_over(tmp_path: Path) -> None:
    folder = make_pico_model(tmp_path)
    path = folder / "model.safetensors"
    save_file({**load_file(path), "x.norm.weight": torch.zeros(0)}, path, {"format": "pt"})

    assert is_trained(folder) is False
