"""What trackers get of each event."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.tracking.trackers import EventFacts, EventStream, facts_of, line_of, settings_of

EVENTS: dict[str, tuple[dict[str, Any], EventFacts]] = {
    "a step": (
        {"event": "step", "stage": "train", "step": 7, "steps": 9, "values": {"eval_loss": 0.5}},
        EventFacts(numbers={"train/validation_loss": 0.5}, step=7),
    ),
    "a step of one of several trainings": (
        {"event": "step", "stage": "seeds", "of": "seed 2", "step": 1, "values": {"loss": 2}},
        EventFacts(numbers={"seeds/seed 2/loss": 2.0}, step=1),
    ),
    "metrics": (
        {"event": "metrics", "stage": "evaluate", "of": "holdout", "values": {"macro_f1": 0.8}},
        EventFacts(numbers={"evaluate/holdout/macro_f1": 0.8}),
    ),
    "a check": (
        {
            "event": "check",
            "stage": "gate",
            "name": "macro_f1",
            "status": "fail",
            "got": 0.71,
            "direction": "min",
            "bound": 0.75,
        },
        EventFacts(
            numbers={"gate/check/macro_f1": 0.71},
            texts={"gate/check/macro_f1": "fail: 0.71, at least 0.75 asked"},
        ),
    ),
    "a check below zero": (
        {
            "event": "check",
            "stage": "gate",
            "name": "mcc",
            "status": "fail",
            "got": -0.0312,
            "direction": "min",
            "bound": -0.01,
        },
        EventFacts(
            numbers={"gate/check/mcc": -0.0312},
            texts={"gate/check/mcc": "fail: \u22120.0312, at least \u22120.01 asked"},
        ),
    ),
    "a check without a number": (
        {
            "event": "check",
            "stage": "gate",
            "name": "drop",
            "status": "inconclusive",
            "direction": "max",
            "bound": 0.02,
        },
        EventFacts(texts={"gate/check/drop": "inconclusive: not known, at most 0.02 asked"}),
    ),
    "a verdict": (
        {"event": "verdict", "stage": "verify", "status": "pass"},
        EventFacts(texts={"verify/verdict": "pass"}),
    ),
    "a stage's end": (
        {"event": "stage.ended", "stage": "data", "status": "ran", "seconds": 2.5},
        EventFacts(numbers={"data/seconds": 2.5}, texts={"data/status": "ran"}),
    ),
    "a file": (
        {"event": "file", "name": "m.gguf", "bytes": 9, "sha256": "ab"},
        EventFacts(numbers={"file/m.gguf/bytes": 9.0}, texts={"file/m.gguf/sha256": "ab"}),
    ),
    "the end": (
        {"event": "run.ended", "outcome": "refused", "summary": "no", "exit_code": 1},
        EventFacts(texts={"outcome": "refused", "summary": "no", "exit_code": "1"}),
    ),
    "a stage's beginning": ({"event": "stage.begun", "stage": "data"}, EventFacts()),
    "what a later version writes": ({"event": "other"}, EventFacts()),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_says(name: str) -> None:
    event, facts = EVENTS[name]

    assert facts == facts_of(event)


def test_settings_are_flat() -> None:
    event = {"recipe": "tiny", "method": {"rank": 8}, "versions": {"trl": "1"}, "time": "now"}

    assert settings_of(event) == {"recipe": "tiny", "method.rank": 8, "versions.trl": "1"}


def test_a_line_holds_no_number_that_is_none() -> None:
    found = json.loads(line_of("x", a=None, b={"c": float("nan"), "d": 1.5}, e=float("inf"), f=0))

    assert {"event": "x", "time": found["time"], "b": {"d": 1.5}, "f": 0} == found


def test_what_cannot_be_written_costs_nothing_and_shows(tmp_path: Path) -> None:
    (tmp_path / "logs").symlink_to(tmp_path)
    events = EventStream(tmp_path / "logs" / "events.jsonl", below=tmp_path)

    events.write("x")
    events.discard()

    assert not events.is_whole
    assert list(tmp_path.iterdir()) == [tmp_path / "logs"]
