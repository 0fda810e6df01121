"""Trainings that several machines share: each has a folder of its own."""

from pathlib import Path

import pytest

from engine import environment
from engine.backends import nodes
from engine.backends.nodes import FILE, assigned
from engine.environment import detect_device
from engine.values import replace
from support.shared_trainings import TRAINING


def test_variants_that_are_trained_at_the_same_time_share_no_folder(tmp_path: Path) -> None:
    # two counted the folders before either made its own: the second finds the number taken
    (tmp_path / "training-1").mkdir()

    with assigned(tmp_path, TRAINING) as one, assigned(tmp_path, TRAINING) as other:
        found = sorted(path.parent.name for path in tmp_path.glob(f"training-*/{FILE}"))

    assert found == sorted([one.name, other.name])
    assert found == ["training-2", "training-3"]


def test_one_process_alone_has_no_group() -> None:
    alone = replace(TRAINING, ranks=1, nodes=1)

    assert alone.group(0).name == nodes.CHILD
    assert alone.group(0).arguments == TRAINING.arguments
    assert TRAINING.group(0).name == "engine.process.rank_group"


def test_each_machine_names_its_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "GPU-1111, NVIDIA H100, 81559, 9.0\nGPU-2222, NVIDIA H100, 81559, 9.0\n"
    monkeypatch.setattr(environment, "_smi", lambda *_: here)
    monkeypatch.setattr(nodes, "detect_device", detect_device.__wrapped__)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    training = replace(
        TRAINING, ranks=2, has_gpus=True, variables={"CUDA_VISIBLE_DEVICES": "GPU-aaaa,GPU-bbbb"}
    )

    assert nodes._own_gpus(TRAINING) == {}
    assert nodes._own_gpus(training) == {"CUDA_VISIBLE_DEVICES": "GPU-1111,GPU-2222"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert nodes._own_gpus(training) == {"CUDA_VISIBLE_DEVICES": "1,0"}
