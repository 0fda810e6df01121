"""The arguments of TRL's trainers, of every class: the device is stated, whatever the precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments

from engine.runtime.training.preferences import TRAINERS
from engine.runtime.training.sft import Folders, SftArguments, arguments

KINDS = {"sft": SftArguments, **{loss: kind for loss, (_, kind) in TRAINERS.items()}}


@pytest.mark.parametrize("name", KINDS)
def test_bf16_on_a_cpu_is_asked_of_the_cpu(name: str, tmp_path: Path) -> None:
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)

    made: Any = arguments({"precision": "bf16"}, folders, KINDS[name], device="cpu")

    assert (made.use_cpu, made.bf16, made.dataloader_pin_memory) == (True, True, False)
    assert made.n_gpu <= 1


@pytest.mark.parametrize("name", KINDS)
def test_a_second_gpu_in_sight_changes_no_batch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself transformers takes all GPUs: batches double, steps halve."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda _: 2))
    (tmp_path / "validation.jsonl").touch()
    folders = Folders(rows=tmp_path, base_model=tmp_path, output=tmp_path, resume=None)
    config = {"precision": "fp32", "per_device_train_batch_size": 4}

    made: Any = arguments(config, folders, KINDS[name], device="cpu")

    assert (made.n_gpu, made.train_batch_size) == (1, 4)
