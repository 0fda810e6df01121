"""Trainings that several machines share: each has a folder of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from engine.backends.nodes import FILE, assigned
from support.shared_trainings import TRAINING


def test_variants_that_are_trained_at_the_same_time_share_no_folder(tmp_path: Path) -> None:
    # two counted the folders before either made its own: the second finds the number taken
    (tmp_path / "training-1").mkdir()

    with assigned(tmp_path, TRAINING) as one, assigned(tmp_path, TRAINING) as other:
        found = sorted(path.parent.name for path in tmp_path.glob(f"training-*/{FILE}"))

    assert found == sorted([one.name, other.name])
    assert found == ["training-2", "training-3"]


def test_one_process_alone_has_no_group() -> None:
    alone = dataclasses.replace(TRAINING, ranks=1, nodes=1)

    assert alone.group(0).name == TRAINING.module
    assert alone.group(0).arguments == TRAINING.arguments
    assert TRAINING.group(0).name == "engine.process.rank_group"
