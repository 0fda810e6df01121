import json
import os
import random
import shutil
import signal
import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from engine.files import leases
from engine.process import interrupts
from engine.store import Store, make_key
from engine.store.records import RECORD, UNFINISHED, Runs, _held, latest_accepted, write_text
from engine.store.root import remove_leftovers
from engine.tracking.trackers import EventStream
from support.damages import DAMAGES
from support.paths import ROOT, TESTS


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


def test_runs_stand_in_the_order_in_which_they_ended_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    for year in (2026, 2031, 2026, 2026):

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None, year: int = year) -> datetime:  # type: ignore[override]
                return datetime(year, 1, 1, tzinfo=tz)

        monkeypatch.setattr("engine.store.records.datetime", Clock)
        made.append(finished(Runs(tmp_path), "accepted", f"{9 - len(made)}" * 64))

    assert Runs(tmp_path).of("tiny") == made
    assert [path.name[:17] for path in made[1:]] == [
        f"2031-01-01-00000{second}" for second in range(3)
    ]


def test_a_run_that_was_not_recorded_is_removed_once_nobody_holds_it(tmp_path: Path) -> None:
    store, runs = Store(tmp_path), Runs(tmp_path)
    kept = finished(runs, "accepted", "a" * 64)
    halves = [runs.create("tiny", letter * 64) for letter in "bc"]
    (halves[0] / "report.md").write_text("half", encoding="utf-8")
    (halves[1] / "keep.txt").write_text("of an earlier version: it has no mark", encoding="utf-8")

    remove_leftovers(store)
    assert sorted(tmp_path.glob("runs/tiny/*")) == sorted([kept, *halves])

    os.close(_held.pop(halves[0]))  # as the end of the process does
    (halves[1] / UNFINISHED).unlink()
    os.close(_held.pop(halves[1]))
    remove_leftovers(store)

    assert sorted(tmp_path.glob("runs/tiny/*")) == [kept, halves[1]]
    assert not (kept / UNFINISHED).exists()


def test_what_killed_runs_left_in_a_store_is_removed_and_what_others_build_stays(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    done, building = make_key({"n": 1}), make_key({"n": 2})
    store.put("data", done, lambda folder: (folder / "rows").write_text("1", encoding="utf-8"))
    store.scratch(done.digest)
    for key in (done, building, make_key({"n": 3})):
        (tmp_path / "tmp" / key.digest / "files").mkdir(parents=True)
    checkpoints = store.scratch(building.digest)
    logs = tmp_path / "logs"
    logs.mkdir()
    events = "run-2026-01-01-000000-{}-0123abcd.events.jsonl"
    empty = ("run-2026-01-01-000000-1.log", "data-7.log", events.format(1))
    for name in (*empty, "run-2026-01-01-000000-2.log", "mine.log"):
        (logs / name).touch()
    live = EventStream(logs / events.format(2), below=tmp_path)
    (logs / "run-2026-01-01-000000-2.log").write_text("a word", encoding="utf-8")

    with store.lock(building.digest):
        remove_leftovers(store)

    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [building.digest]
    assert list((tmp_path / "scratch").iterdir()) == [checkpoints]
    assert sorted(path.name for path in logs.iterdir()) == [
        "mine.log",
        events.format(2),
        "run-2026-01-01-000000-2.log",
    ]
    live.close()
    assert store.get(done.digest) is not None


def test_work_whose_deletion_was_killed_is_deleted_by_the_next_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = store.scratch("ab" * 32)
    gone = kept.with_name(f"{'cd' * 32}.gone")
    (gone / "result").mkdir(parents=True)

    remove_leftovers(store)

    assert kept.is_dir()
    assert not gone.exists()


def test_half_a_record_is_removed_once_nobody_writes_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = store.root / "measured" / "one.json"
    record.parent.mkdir()
    record.write_text("{}", encoding="utf-8")
    half = record.with_name(".one.json.ab12.part")

    with half.open("w") as held:
        assert leases.hold(held.fileno())
        remove_leftovers(store)
        assert half.exists()
    remove_leftovers(store)

    assert [*record.parent.iterdir()] == [record]


# A store whose writer is killed, or finds no space, at a drawn write; and one whose files are damaged.
KEY = make_key({"stage": "data", "revision": 1})
CASES = 24


@pytest.mark.skipif(sys.platform != "linux", reason="left-overs are held by locks of Linux")
@pytest.mark.parametrize("seed", [1])
def test_what_is_ended_at_a_write_is_made_whole_by_the_next_run_and_leaves_nothing(
    tmp_path: Path, seed: int
) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-P",
            str(TESTS / "support" / "stored_steps.py"),
            str(tmp_path),
            str(seed),
            str(CASES),
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(ended.stdout)

    assert found["writes"] > CASES
    assert found["faults"] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_never_given_out_and_is_built_again(
    tmp_path: Path, damage: str, seed: int
) -> None:
    def build(folder: Path) -> None:
        (folder / "rows.jsonl").write_text("one\n", encoding="utf-8")
        (folder / "summary.json").write_text('{"rows": 1}', encoding="utf-8")
        (folder / "weights").write_bytes(
            bytes(range(256)) * 4800
        )  # larger than what is hashed always

    made = Store(tmp_path).put("data", KEY, build)
    DAMAGES[damage](made.path.parent, random.Random(f"{seed}/{damage}"))

    assert Store(tmp_path).whole(KEY.digest) is None
    again = Store(tmp_path).put("data", KEY, build)

    assert (again.digest(), Store(tmp_path).whole(KEY.digest)) == (made.digest(), again)
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_a_signal_while_a_failed_build_is_removed_waits_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def asked(path: Path, *, ignore_errors: bool = False) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", asked)
    with interrupts.handled(), pytest.raises((ZeroDivisionError, KeyboardInterrupt)) as caught:
        Store(tmp_path).put("data", KEY, lambda _: 1 / 0)

    assert caught.type is ZeroDivisionError
    assert [*(tmp_path / "tmp").iterdir()] == []
