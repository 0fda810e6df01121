"""Only whole checkpoints count, and only a finished training is a result."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.backends.trainer_state import (
    Ending,
    checkpoints,
    is_complete,
    judge_ending,
    kept_adapters,
    set_damaged_aside,
)
from engine.errors import StageError
from engine.files.digests import FILE, write_digests
from engine.recipe.model import EarlyStopping, Method
from engine.values import replace
from support.damages import zero_the_middle
from support.launches import METHOD


def _weights(path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


ONE_PROCESS = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def _checkpoint(
    output: Path,
    step: int,
    losses: dict[int, float],
    *,
    saved: tuple[str, ...] = ONE_PROCESS,
    **state: Any,
) -> Path:
    folder = output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    _weights(folder / "adapter_model.safetensors")
    for name in saved:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data", "x" * 300)
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
    write_digests(folder)
    return folder


def _judged(output: Path, method: Method = METHOD, *, steps: int, best: bool = False) -> Ending:
    return judge_ending(output, method, steps=steps, best=best)


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


def test_incomplete_checkpoints_are_moved_and_kept(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 3, {3: 1.0})
    broken = _checkpoint(tmp_path, 6, {3: 1.0})
    (broken / "optimizer.pt").unlink()

    [(name, _)] = set_damaged_aside(tmp_path)

    assert [step for step, _ in checkpoints(tmp_path)] == [3]
    assert name == "checkpoint-6"
    assert (tmp_path / "incomplete" / "checkpoint-6-0" / "trainer_state.json").exists()


@pytest.mark.parametrize("name", ["adapter_model.safetensors", *ONE_PROCESS])
def test_other_bytes_of_the_right_size_are_noticed(tmp_path: Path, name: str) -> None:
    folder = _checkpoint(tmp_path, 3, {3: 1.0})
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-3 if name.endswith("safetensors") else 60] ^= 1
    path.write_bytes(content)

    assert not is_complete(folder)


@pytest.mark.parametrize("name", ["", "adapter_model.safetensors", FILE, *ONE_PROCESS])
def test_a_link_to_the_right_bytes_is_noticed(tmp_path: Path, name: str) -> None:
    output = tmp_path / "output"
    path = _checkpoint(output, 3, {3: 1.0}) / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    [(moved, _)] = set_damaged_aside(output)

    assert moved == "checkpoint-3"
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("digests", [None, "", "[]", '{"files": {"a": 1}}'])
def test_a_checkpoint_without_digests_is_not_trained_on(
    tmp_path: Path, digests: str | None
) -> None:
    folder = _checkpoint(tmp_path, 3, {3: 1.0})
    if digests is None:
        (folder / FILE).unlink()
    else:
        (folder / FILE).write_text(digests, encoding="utf-8")

    assert not is_complete(folder)


def test_weights_that_have_no_digest_are_not_trained_on(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path, 3, {3: 1.0})
    _weights(folder / "another.safetensors")

    assert not is_complete(folder)


@pytest.mark.parametrize(
    "saved",
    [
        ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),
        ("optimizer.bin", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"),
        ("optimizer.bin", "scheduler.pt", "rng_state.pth"),
    ],
)
def test_a_checkpoint_of_several_processes_is_whole(tmp_path: Path, saved: tuple[str, ...]) -> None:
    assert is_complete(_checkpoint(tmp_path, 3, {3: 1.0}, saved=saved))


@pytest.mark.parametrize(
    "saved",
    [
        ("optimizer.pt", "scheduler.pt", "rng_state_1.pth"),
        ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_2.pth"),
        ("optimizer.pt", "scheduler.pt"),
        ("scheduler.pt", "rng_state_0.pth"),
    ],
)
def test_a_checkpoint_that_lacks_the_part_of_one_process_is_not(
    tmp_path: Path, saved: tuple[str, ...]
) -> None:
    assert not is_complete(_checkpoint(tmp_path, 3, {3: 1.0}, saved=saved))


def test_a_checkpoint_whose_best_one_is_damaged_is_not_gone_on_from(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 3, {3: 0.9})
    best = _checkpoint(tmp_path, 6, {3: 0.9, 6: 0.5})
    _checkpoint(tmp_path, 9, {3: 0.9, 6: 0.5, 9: 0.8})
    zero_the_middle(best / "adapter_model.safetensors")

    moved = set_damaged_aside(tmp_path, best=True)

    assert [name for name, _ in moved] == ["checkpoint-6", "checkpoint-9"]
    assert [step for step, _ in checkpoints(tmp_path)] == [3]


def test_where_the_last_one_is_kept_an_earlier_damaged_one_does_not_matter(tmp_path: Path) -> None:
    best = _checkpoint(tmp_path, 3, {3: 0.1})
    _checkpoint(tmp_path, 6, {3: 0.1, 6: 0.5})
    zero_the_middle(best / "adapter_model.safetensors")

    set_damaged_aside(tmp_path)

    assert [step for step, _ in checkpoints(tmp_path)] == [6]


def test_an_adapter_of_a_step_with_other_bytes_is_left_out(tmp_path: Path) -> None:
    for step in (3, 6):
        folder = tmp_path / "adapters" / str(step)
        folder.mkdir(parents=True)
        _weights(folder / "adapter_model.safetensors")
        write_digests(folder)
    damaged = tmp_path / "adapters" / "3" / "adapter_model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\1")

    assert [step for step, _ in kept_adapters(tmp_path, last=6)] == [6]


def test_checkpoints_are_ordered_by_number(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        (tmp_path / f"checkpoint-{step}").mkdir()

    assert [step for step, _ in checkpoints(tmp_path)] == [3, 20, 100]


def test_the_best_checkpoint_is_kept_when_asked_for(tmp_path: Path) -> None:
    losses = {0: 0.1, 3: 0.5, 6: 0.9}
    _checkpoint(tmp_path, 3, losses)
    _checkpoint(tmp_path, 6, losses)

    assert _judged(tmp_path, steps=6, best=True).kept_step == 3
    assert _judged(tmp_path, steps=6, best=False).kept_step == 6


@pytest.mark.parametrize("kept", [None, 6])
def test_the_checkpoint_of_a_higher_validation_loss_is_not_kept_as_the_best(
    tmp_path: Path, kept: int | None
) -> None:
    losses = {0: 0.1, 3: 0.5, 6: 0.9}
    _checkpoint(tmp_path, 3, losses)
    _checkpoint(tmp_path, 6, losses, best_global_step=kept)

    assert _judged(tmp_path, steps=6, best=False).kept_step == 6
    with pytest.raises(StageError) as refused:
        _judged(tmp_path, steps=6, best=True)

    assert [problem.code for problem in refused.value.problems] == ["B453"]


def test_of_equal_validation_losses_either_is_the_best(tmp_path: Path) -> None:
    losses = {3: 0.5, 6: 0.5}
    for step in losses:
        _checkpoint(tmp_path, step, losses, best_global_step=step)

    assert _judged(tmp_path, steps=6, best=True).kept_step == 6


def test_stopping_for_want_of_patience_is_a_finished_training(tmp_path: Path) -> None:
    losses = {3: 0.5, 6: 0.6, 9: 0.5}
    _checkpoint(tmp_path, 3, losses)
    _checkpoint(tmp_path, 9, losses)
    method = replace(METHOD, early_stopping=EarlyStopping(patience=2))

    assert _judged(tmp_path, method, steps=30, best=True).stopped_early


@pytest.mark.parametrize("early_stopping", [None, EarlyStopping(patience=2)])
def test_stopping_for_any_other_reason_is_not(
    tmp_path: Path, early_stopping: EarlyStopping | None
) -> None:
    _checkpoint(tmp_path, 6, {3: 0.6, 6: 0.5})
    method = replace(METHOD, early_stopping=early_stopping)

    with pytest.raises(StageError) as refused:
        _judged(tmp_path, method, steps=30, best=False)

    assert [problem.code for problem in refused.value.problems] == ["B413"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_in_fp16_a_step_whose_gradients_overflow_is_one_that_was_passed_over(
    tmp_path: Path, bad: float
) -> None:
    first = {"step": 1, "epoch": 0.3, "loss": 1.5, "grad_norm": bad}
    _checkpoint(tmp_path, 6, {}, epoch=2.0, log_history=[first])

    ending = judge_ending(tmp_path, METHOD, steps=6, best=False)

    # The report is JSON, which has no such number.
    assert [(one.loss, one.grad_norm) for one in ending.history] == [(1.5, None)]


def test_no_checkpoint_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(StageError) as refused:
        _judged(tmp_path, steps=6, best=False)

    assert [problem.code for problem in refused.value.problems] == ["B412"]
