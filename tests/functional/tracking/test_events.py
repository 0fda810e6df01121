"""The one stream of a run's events, in its folder."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from engine.store.records import read_record


@pytest.fixture
def run_folder(accepted: Path) -> Path:
    return max((accepted / ".recipe" / "runs" / "tiny").iterdir())


@pytest.fixture
def events(run_folder: Path) -> list[dict[str, Any]]:
    text = (run_folder / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def of(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_a_run_leaves_its_events_from_the_first_to_the_last(
    events: list[dict[str, Any]], run_folder: Path
) -> None:
    report = json.loads((run_folder / "report.json").read_text(encoding="utf-8"))

    assert events[0]["event"] == "run.begun"
    assert events[0]["method"]["rank"] > 0
    assert events[0]["base_model"] == "a local model"
    assert events[-1]["event"] == "run.ended"
    assert (events[-1]["outcome"], events[-1]["summary"]) == ("accepted", report["summary"])
    assert [one["stage"] for one in of(events, "stage.ended")] == [
        one["stage"] for one in report["stages"]
    ]
    assert "events.jsonl" in read_record(run_folder)["files"]


def test_what_was_measured_and_decided_is_in_the_events(
    events: list[dict[str, Any]], run_folder: Path
) -> None:
    report = json.loads((run_folder / "report.json").read_text(encoding="utf-8"))
    judged = {one["name"]: one["got"] for one in of(events, "check") if one["stage"] == "gate"}
    steps = of(events, "step")

    assert {one["name"]: one["got"] for one in report["gate"]["checks"]}.items() >= judged.items()
    assert {(one["stage"], one["status"]) for one in of(events, "verdict")} == {
        ("gate", "pass"),
        ("verify", "pass"),
    }
    assert steps[-1]["step"] <= steps[-1]["steps"]
    assert any("loss" in one["values"] for one in steps)
    assert {"majority", "tfidf_svm", "zero_shot", "holdout", "merged"} <= {
        one["of"] for one in of(events, "metrics")
    }
    assert {one["name"]: one["sha256"] for one in of(events, "file")} == {
        one["name"]: one["sha256"] for one in report["files"]
    }


def test_no_row_and_no_path_is_in_the_events(run_folder: Path, accepted: Path) -> None:
    text = (run_folder / "events.jsonl").read_text(encoding="utf-8")
    with (accepted / "rows.csv").open(encoding="utf-8") as file:
        rows = [row["text"] for row in csv.DictReader(file)]

    assert rows
    assert [row for row in rows if row in text] == []
    assert str(accepted.parent) not in text


def test_the_file_of_a_run_that_goes_on_is_gone_afterwards(accepted: Path) -> None:
    assert list((accepted / ".recipe").glob("logs/*.events.jsonl")) == []
