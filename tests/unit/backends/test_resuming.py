"""Which trainings that broke off go on by themselves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import events, process_training
from engine.backends.process_training import may_help
from engine.backends.usage import Spent, Usage, UsageMeter
from engine.compute.profile import Ranks
from engine.errors import StageError
from engine.values import from_json, to_json


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


# What a training process leaves behind when it fails.
@pytest.mark.parametrize(
    ("code", "last", "hint"),
    [
        (
            1,
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "memory ran out",
        ),
        (1, "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED", "memory ran out"),
        (-9, "step 3", "the machine ran out of memory"),
        (1, "ValueError: odd", "run the same command again"),
    ],
)
def test_the_hint_is_that_of_the_cause(tmp_path: Path, code: int, last: str, hint: str) -> None:
    log, monitor = tmp_path / "train.log", SimpleNamespace(where="after step 3 of 9")
    log.write_text(f"loading\n{last}\n", encoding="utf-8")
    at: Any = monitor

    (problem,) = process_training._failure("axolotl", code, at, log).problems

    assert hint in (problem.hint or "")
    assert last in problem.message


# What a training took, added up from its events.
def event(kind: str, seconds: float, peak: int, tokens: int = 0) -> dict[str, Any]:
    return {
        "event": kind, "seconds": seconds, "cpu_seconds": 2 * seconds, "tokens": tokens,
        "peak_bytes": peak,
    }  # fmt: skip


def meter_after_events() -> UsageMeter:
    meter = UsageMeter(began=100.0, cpu_began=7.0)
    start = {**event("start", 0.5, 50), "at": 103.0, "cpu_at": 12.0, "ready_bytes": 40}
    meter.take(start)
    for one in (
        event("evaluated", 3.0, 60, 30),
        event("step", 5.0, 90, 80),
        event("step", 2.0, 95, 60),
        event("step", 2.5, 93, 70),
        {"event": "log", "step": 3, "loss": 0.5},
        event("evaluated", 1.0, 95, 30),
        event("saved", 0.4, 95),
        event("saved", 0.1, 95),
        event("end", 0.2, 95),
    ):
        meter.take(one)
    return meter


def test_the_first_of_each_kind_stands_apart() -> None:
    usage = meter_after_events().usage

    assert (usage.first.seconds, usage.steps.seconds, usage.steps.tokens) == (5.0, 4.5, 130)
    assert (usage.first_evaluation.seconds, usage.evaluations.seconds) == (3.0, 1.0)
    assert (usage.first_save.seconds, usage.saves.seconds) == (0.4, 0.1)
    assert (usage.steps.count, usage.ending.count) == (2, 1)


def test_the_start_is_what_lies_between_launch_and_readiness() -> None:
    usage = meter_after_events().usage

    assert Spent(count=1, seconds=3.0, cpu_seconds=5.0) == usage.starting
    assert (usage.ready_bytes, usage.peak_bytes) == (40, 95)


def test_processor_time_is_that_of_all_phases() -> None:
    others = 2 * (3.0 + 5.0 + 4.5 + 1.0 + 0.4 + 0.1 + 0.2)

    assert pytest.approx(5.0 + others) == meter_after_events().usage.cpu_seconds


def test_usage_survives_being_written() -> None:
    usage = meter_after_events().usage

    assert usage == from_json(Usage, to_json(usage))
