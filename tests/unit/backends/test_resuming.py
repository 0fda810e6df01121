"""Which trainings that broke off go on by themselves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import events, process_training
from engine.backends.process_training import may_help
from engine.compute.profile import Ranks
from engine.errors import StageError


def broke_off(code: str = "B411", message: str = "trl exited with 1") -> StageError:
    return StageError.one(code, message)


@pytest.mark.parametrize(("retries", "steps", "tries"), [(2, 9, 3), (9, 1, 2), (0, 9, 1)])
def test_it_goes_on_as_often_as_is_left_and_not_twice_at_one_place(
    retries: int, steps: int, tries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path | None] = []

    def run(resume: Path | None, _: object) -> None:
        tried.append(resume)
        raise broke_off()

    monkeypatch.setattr(process_training, "resume_point", lambda *_: None)
    monkeypatch.setattr(
        events,
        "TrainingMonitor",
        lambda *_: SimpleNamespace(where=f"after step {min(len(tried), steps - 1)}"),
    )
    launch: Any = SimpleNamespace(
        ranks=Ranks(retries=retries), progress=SimpleNamespace(note=lambda _: None)
    )
    with pytest.raises(StageError):
        process_training.train_on(launch, tmp_path, run, cpu_seconds=lambda: 0.0)

    assert len(tried) == tries


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
    ],
)
def test_a_failure_that_would_repeat_is_not_tried_again(error: StageError, helps: bool) -> None:
    assert may_help(error) is helps
