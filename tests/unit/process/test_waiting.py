"""Threads wait longer for each other where cores are idle, and only there."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from engine.process import waiting
from engine.process.waiting import awake

OURS = {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000"}
CORES = (0, 1)


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(CORES), raising=False)


def _awake(stat: Path, variables: dict[str, str], *, idle: tuple[int, int]) -> dict[str, str]:
    """Ask while the idle ticks of both cores grow by `idle`."""

    def write(ticks: tuple[int, int]) -> None:
        lines = [f"cpu{core} 5 0 5 {100 + ticks[core]} 0 0 0" for core in CORES]
        stat.write_text("\n".join(["cpu 1 2 3 4", *lines, "intr 1"]), encoding="ascii")

    write((0, 0))
    timer = threading.Timer(waiting.LOOK_SECONDS / 2, write, [idle])
    timer.start()
    try:
        return awake(variables, stat=stat)
    finally:
        timer.join()


def test_idle_cores_let_threads_wait_longer(tmp_path: Path) -> None:
    assert _awake(tmp_path / "stat", OURS, idle=(20, 18)) == {"GOMP_SPINCOUNT": "20000"}


def test_one_busy_core_is_too_few(tmp_path: Path) -> None:
    assert _awake(tmp_path / "stat", OURS, idle=(20, 3)) == {}
    assert _awake(tmp_path / "stat", {**OURS, "OMP_NUM_THREADS": "1"}, idle=(20, 3)) != {}


@pytest.mark.parametrize(
    "variables",
    [{}, {**OURS, "GOMP_SPINCOUNT": "5"}, {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}],
)
def test_what_the_user_says_stands(tmp_path: Path, variables: dict[str, str]) -> None:
    began = time.monotonic()

    assert awake(variables, stat=tmp_path / "none") == {}
    assert time.monotonic() - began < waiting.LOOK_SECONDS


def test_a_system_that_does_not_say_is_not_idle(tmp_path: Path) -> None:
    assert awake(OURS, stat=tmp_path / "none") == {}
