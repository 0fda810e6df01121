"""What a training process leaves behind when it fails."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends import process_training


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
