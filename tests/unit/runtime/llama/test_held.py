"""What comes back from a process that holds a GGUF file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from engine.errors import StageError
from engine.render.progress import SilentProgress
from engine.runtime.llama.client import Request
from engine.runtime.llama.held import HeldModel

ANSWERS = {
    "choices": [{"index": 0, "probability": 0.9, "probabilities": [0.9, 0.1], "greedy": 0}],
    "token_ids": [[1], [1]], "read": [], "sent": [], "is_ended": True,
    "peak_memory_bytes": 1, "version": "b1",
}  # fmt: skip


class _Child:
    def send(self, text: str) -> None:
        self.asked = json.loads(text)


@pytest.mark.parametrize(("prompts", "is_whole"), [(["a"], True), (["a", "b"], False)])
def test_a_row_without_a_choice_is_an_error(prompts: list[str], is_whole: bool) -> None:
    child: Any = _Child()
    held = HeldModel(child, iter(["1", json.dumps(ANSWERS)]), io.BytesIO())
    request = Request(prompts=prompts, answers=["x", "y"])

    if is_whole:
        assert len(held.ask(request, SilentProgress()).choices) == 1
        return
    with pytest.raises(StageError, match="answered 1 of 2 rows"):
        held.ask(request, SilentProgress())
