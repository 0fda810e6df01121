from __future__ import annotations

from pathlib import Path

from engine.store.runs import RECORD, Runs, latest_accepted, write_text


def finished(runs: Runs, outcome: str, key: str) -> Path:
    folder = runs.create("tiny", key)
    stages = {"evaluate": {"status": "ran", "key": key}, "merge": {"status": "skipped", "key": ""}}
    runs.record(folder, {"outcome": outcome, "stages": stages, "started": "2026-11-24T22:00:00"})
    return folder


def test_the_newest_accepted_run_is_found_behind_others(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    finished(runs, "accepted", "a" * 64)
    second = finished(runs, "accepted", "b" * 64)
    finished(runs, "refused", "c" * 64)

    found = latest_accepted(runs, "tiny")

    assert found is not None
    assert (second, {"evaluate": "b" * 64}) == (found.folder, found.keys)


def test_without_an_accepted_run_there_is_none(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    write_text(finished(runs, "accepted", "a" * 64) / RECORD, "damaged")
    finished(runs, "stopped", "b" * 64)

    assert latest_accepted(runs, "tiny") is None
    assert latest_accepted(runs, "another") is None
