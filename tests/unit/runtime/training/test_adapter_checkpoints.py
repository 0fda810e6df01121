"""Which checkpoints are kept, and that keeping them outlives the checkpoint."""

import itertools
import shutil
from pathlib import Path

import pytest

from engine.runtime.training.saved_weights import ADAPTER_FILES, MOST, chosen_steps, keep_adapter


@pytest.mark.parametrize(
    ("every", "steps", "chosen"),
    [
        (25, 50, (25, 50)),
        (25, 60, (25, 50, 60)),
        (50, 50, (50,)),
        (60, 50, (50,)),
        (1, 8, (1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_few_checkpoints_are_all_kept(every: int, steps: int, chosen: tuple[int, ...]) -> None:
    assert chosen_steps(every=every, steps=steps) == chosen


@pytest.mark.parametrize("steps", [90, 100, 1000, 1003])
def test_of_many_some_are_kept_evenly_with_first_and_last(steps: int) -> None:
    chosen = chosen_steps(every=10, steps=steps)
    gaps = [later - earlier for earlier, later in itertools.pairwise(chosen)]

    assert len(chosen) == MOST
    assert (chosen[0], chosen[-1]) == (10, steps)
    assert max(gaps[:-1]) - min(gaps[:-1]) <= 10


def test_a_kept_adapter_outlives_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    for name in ADAPTER_FILES:
        (checkpoint / name).write_text(name, encoding="utf-8")

    keep_adapter(checkpoint, tmp_path / "adapters" / "3")
    keep_adapter(checkpoint, tmp_path / "adapters" / "3")
    shutil.rmtree(checkpoint)

    assert [(tmp_path / "adapters" / "3" / name).read_text() for name in ADAPTER_FILES] == list(
        ADAPTER_FILES
    )


def test_a_checkpoint_of_full_training_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()

    keep_adapter(tmp_path / "checkpoint-3", tmp_path / "adapters" / "3")

    assert not (tmp_path / "adapters").exists()
