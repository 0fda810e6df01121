"""Which trainings that broke off go on by themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import events, process_training
from engine.backends.process_training import Retries
from engine.compute.profile import Ranks
from engine.errors import StageError


def broke_off(code: str = "B411", message: str = "trl exited with 1") -> StageError:
    return StageError.one(code, message)


def test_as_often_as_is_left() -> None:
    retries = Retries(left=2)

    tried = [retries.may_help(broke_off(), f"after step {step} of 9") for step in range(4)]

    assert tried == [True, True, False, False]


def test_not_where_it_has_broken_off_before() -> None:
    retries = Retries(left=9)

    assert retries.may_help(broke_off(), "after step 4 of 9")
    assert not retries.may_help(broke_off(), "after step 4 of 9")


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (broke_off(message="process 1 was killed by SIGKILL"), True),
        (broke_off("B450", "it did nothing for 10 min"), True),
        (broke_off(message="CUDA error: out of memory"), False),
        (broke_off(message="CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), False),
        (broke_off(message="OSError: No space left on device"), False),
        (broke_off(message="trl exited with 1: no room on Ray within 60 seconds"), False),
        (broke_off(message="trl exited with 1: Ray lost a machine of the training"), True),
        (broke_off("B414", "loss became nan at step 3"), False),
        (broke_off("B420", "the trainer took 1 process"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_a_failure_that_would_repeat_is_not_tried_again(error: BaseException, helps: bool) -> None:
    assert Retries(left=1).may_help(error, "after step 4 of 9") is helps


@pytest.mark.parametrize(
    ("message", "blamed"),
    [
        ("ValueError: the optimizer's state does not fit", True),
        ("no room on Ray within 60 seconds for 2 machines", False),
        ("Ray lost a machine or a process of the training: the node is gone", False),
    ],
)
def test_a_checkpoint_is_not_blamed_for_machines_that_are_missing(
    message: str, blamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one that is blamed costs another wait for room, and its steps."""
    tried: list[Path | None] = []
    checkpoint = tmp_path / "checkpoint-4"
    checkpoint.mkdir()

    def run(resume: Path | None, _: object) -> None:
        tried.append(resume)
        raise broke_off(message=message)

    monkeypatch.setattr(
        process_training, "resume_point", lambda *_: checkpoint if checkpoint.exists() else None
    )
    monkeypatch.setattr(events, "TrainingMonitor", lambda *_: SimpleNamespace(done=0, where=""))
    launch: Any = SimpleNamespace(ranks=Ranks(), progress=SimpleNamespace(note=print))
    with pytest.raises(StageError):
        process_training.train_on(launch, tmp_path, run, cpu_seconds=lambda: 0.0)

    assert tried == ([checkpoint, None] if blamed else [checkpoint])
    assert checkpoint.exists()
