"""What comes back from a process that holds a GGUF file."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StageError
from engine.render.progress_display import SilentProgress
from engine.runtime.llama.client import HeldModel, Request

ANSWERS = {
    "choices": [{"index": 0, "probability": 0.9, "probabilities": [0.9, 0.1], "greedy": 0}],
    "token_ids": [[1], [1]], "read": [], "sent": [], "is_ended": True,
    "peak_memory_bytes": 1, "version": "b1",
}  # fmt: skip


class _Child:
    def send(self, text: str) -> None:
        self.asked = json.loads(text)

    def has_ended(self, *, within: float) -> bool:
        return True

    def kill(self) -> int:
        return 1


def _held(folder: Path, lines: list[str], errors: bytes = b"") -> HeldModel:
    child: Any = _Child()
    return HeldModel(child, iter(lines), io.BytesIO(errors), folder)


@pytest.mark.parametrize(("prompts", "is_whole"), [(["a"], True), (["a", "b"], False)])
def test_a_row_without_a_choice_is_an_error(
    tmp_path: Path, prompts: list[str], is_whole: bool
) -> None:
    held = _held(tmp_path, ["1", json.dumps(ANSWERS)])
    request = Request(prompts=prompts, answers=["x", "y"])

    if is_whole:
        assert len(held.ask(request, SilentProgress()).choices) == 1
        return
    with pytest.raises(StageError, match="answered 1 of 2 rows"):
        held.ask(request, SilentProgress())


@pytest.mark.parametrize(
    ("errors", "expected"),
    [(b"ggml: No space left on device\n", OSError), (b"ggml: a bad tensor\n", StageError)],
)
def test_a_process_that_found_no_room_is_not_to_blame(
    tmp_path: Path, errors: bytes, expected: type[Exception]
) -> None:
    held = _held(tmp_path, [], errors)

    with pytest.raises(expected) as caught:
        held.ask(Request(prompts=["a"], answers=["x", "y"]), SilentProgress())

    assert getattr(caught.value, "errno", errno.ENOSPC) == errno.ENOSPC
