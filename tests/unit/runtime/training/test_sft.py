"""The arguments of TRL's trainers, of every class: the device is stated, whatever the precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
