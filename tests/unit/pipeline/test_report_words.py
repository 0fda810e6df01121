"""The one sentence of a report: it names a quantized file only where one was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.pipeline.report import _summary
from engine.recipe.model import Export


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("safetensors", "tiny meets every threshold"),
        ("gguf", "tiny meets every threshold, and so does the quantized file"),
        ("ollama", "tiny meets every threshold, and so does the quantized file"),
    ],
)
def test_only_a_file_that_was_asked_for_is_praised(form: Any, expected: str) -> None:
    export = Export(formats=(form,), quantizations=("Q4_K_M",), max_drops=(), thresholds=())
    recipe = SimpleNamespace(name="tiny", export=export)
    state = SimpleNamespace(trained=recipe, stop=None, outcome="accepted")
    facts: Any = SimpleNamespace(state=state)

    assert _summary(facts) == expected
