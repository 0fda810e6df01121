"""A store whose writer is killed, or finds no space, at a drawn write; and one whose files are damaged."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.process import interrupts
from engine.store import Store, make_key
from support.damages import DAMAGES
from support.paths import ROOT, TESTS

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
