"""Only whole checkpoints count, and only a finished training is a result."""

from __future__ import annotations

import dataclasses
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from contract.launches import METHOD

from engine.backends.trainer_state import (
    checkpoints,
    is_complete,
    is_whole_safetensors,
    judge_ending,
    set_incomplete_aside,
)
from engine.errors import StageError
from engine.recipe.model import EarlyStopping


def _weights(path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


def _checkpoint(output: Path, step: int, losses: dict[int, float], **state: Any) -> Path:
    folder = output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    _weights(folder / "adapter_model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data", "x")
    history = [{"step": at, "epoch": at / 3, "eval_loss": loss} for at, loss in losses.items()]
    best = min((at for at in losses if at), key=losses.__getitem__, default=None)
    fields = {
        "global_step": step,
        "epoch": step / 3,
        "best_global_step": best,
        "log_history": history,
        **state,
    }
    (folder / "trainer_state.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "adapter_model.safetensors",
        "trainer_state.json",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_checkpoint_with_a_damaged_file_is_not_whole(
    tmp_path: Path, name: str, damage: str
) -> None:
    folder = _checkpoint(tmp_path, 3, {3: 1.0})
    assert is_complete(folder)
    path = folder / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-4] if damage == "cut" else b"")

    assert not is_complete(folder)


def test_bytes_after_the_weights_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _weights(path)
    path.write_bytes(path.read_bytes() + b"x")

    assert not is_whole_safetensors(path)


def test_a_header_longer_than_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")

    assert not is_whole_safetensors(path)


def test_incomplete_checkpoints_are_moved_and_kept(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 3, {3: 1.0})
    broken = _checkpoint(tmp_path, 6, {3: 1.0})
    (broken / "optimizer.pt").unlink()

    [moved] = set_incomplete_aside(tmp_path)

    assert [step for step, _ in checkpoints(tmp_path)] == [3]
    assert (moved / "trainer_state.json").exists()


def test_checkpoints_are_ordered_by_number(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        (tmp_path / f"checkpoint-{step}").mkdir()

    assert [step for step, _ in checkpoints(tmp_path)] == [3, 20, 100]


def test_the_best_checkpoint_is_kept_when_asked_for(tmp_path: Path) -> None:
    losses = {0: 0.1, 3: 0.5, 6: 0.9}
    _checkpoint(tmp_path, 3, losses)
    _checkpoint(tmp_path, 6, losses)

    assert judge_ending(tmp_path, METHOD, steps=6, best=True).kept_step == 3
    assert judge_ending(tmp_path, METHOD, steps=6, best=False).kept_step == 6


def test_stopping_for_want_of_patience_is_a_finished_training(tmp_path: Path) -> None:
    losses = {3: 0.5, 6: 0.6, 9: 0.5}
    _checkpoint(tmp_path, 3, losses)
    _checkpoint(tmp_path, 9, losses)
    method = dataclasses.replace(METHOD, early_stopping=EarlyStopping(patience=2))

    assert judge_ending(tmp_path, method, steps=30, best=True).stopped_early


@pytest.mark.parametrize("early_stopping", [None, EarlyStopping(patience=2)])
def test_stopping_for_any_other_reason_is_not(
    tmp_path: Path, early_stopping: EarlyStopping | None
) -> None:
    _checkpoint(tmp_path, 6, {3: 0.6, 6: 0.5})
    method = dataclasses.replace(METHOD, early_stopping=early_stopping)

    with pytest.raises(StageError) as refused:
        judge_ending(tmp_path, method, steps=30, best=False)

    assert [problem.code for problem in refused.value.problems] == ["B413"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["loss", "eval_loss", "grad_norm"])
def test_a_number_that_is_none_anywhere_in_the_history_is_an_error(
    tmp_path: Path, name: str, bad: float
) -> None:
    _checkpoint(tmp_path, 6, {}, log_history=[{"step": 2, "epoch": 0.5, name: bad}])

    with pytest.raises(StageError) as refused:
        judge_ending(tmp_path, METHOD, steps=6, best=False)

    assert [problem.code for problem in refused.value.problems] == ["B414"]


def test_no_checkpoint_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(StageError) as refused:
        judge_ending(tmp_path, METHOD, steps=6, best=False)

    assert [problem.code for problem in refused.value.problems] == ["B412"]
