"""How the speed of a file was measured, in words."""

from types import SimpleNamespace
from typing import Any

import pytest

from engine.parity.files import speed_notes
from engine.render.report.sections.export import machine

FOUND = {"speed": {"cached_seconds": None, "shared_tokens": 0, "prompt_tokens": 9}}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 core of this machine, 1 holdout prompt,"),
        (2, "2 cores of this machine, 2 holdout prompts,"),
    ],
)
def test_cores_and_prompts_are_counted_in_words(count: int, words: str) -> None:
    found = {"speed": {**FOUND["speed"], "prompts": count}}

    assert f"llama.cpp on {words}" in speed_notes(found, cores=count)["tokens_per_second"]


@pytest.mark.parametrize(("cores", "words"), [("1", "cpu, 1 core"), ("2", "cpu, 2 cores")])
def test_a_report_counts_cores_in_words(cores: str, words: str) -> None:
    report: Any = SimpleNamespace(environment={"device": "cpu", "cores": cores})

    assert machine(report) == f"measured on this machine: {words}"
