"""The one sentence of a report: it names a quantized file only where one was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.pipeline.report import _summary
from engine.recipe.model import Export, MaxDrop

BOUNDED: dict[str, Any] = {"max_drops": (MaxDrop(metric="macro_f1", max_drop=0.02),)}


@pytest.mark.parametrize(
    ("form", "bounds", "expected"),
    [
        ("safetensors", {}, "tiny meets every threshold"),
        (
            "gguf",
            BOUNDED,
            "tiny meets every threshold, and the quantized file every bound that is set on it",
        ),
        (
            "ollama",
            BOUNDED,
            "tiny meets every threshold, and the quantized file every bound that is set on it",
        ),
        (
            "gguf",
            {},
            "tiny meets every threshold, and the quantized file no bound, for none is set on it",
        ),
    ],
)
def test_only_a_file_that_was_asked_for_is_praised(
    form: Any, bounds: dict[str, Any], expected: str
) -> None:
    export = Export(
        formats=(form,), quantizations=("Q4_K_M",), **{"max_drops": (), "thresholds": (), **bounds}
    )
    recipe = SimpleNamespace(name="tiny", export=export, acceptance=SimpleNamespace(selective=None))
    state = SimpleNamespace(trained=recipe, stop=None, outcome="accepted")
    facts: Any = SimpleNamespace(state=state)

    assert _summary(facts) == expected
