"""A process that is asked to end: once in order, twice at once, and never where it was asked to ignore it."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.process import interrupts

HEAD = """
import os, signal, sys, time
from engine.process import interrupts, start as processes
interrupts.SAME_SECONDS = 0.05
def ready(): print("ready", flush=True)
def wait():
    while True: time.sleep(0.01)
"""
ORDERLY = """
try:
    with interrupts.handled():
        ready(); wait()
except interrupts.Interrupted as asked:
    print("asked by", asked, flush=True); sys.exit(128 + asked.number)
"""
DEFERRED = """
try:
    with interrupts.handled(), interrupts.deferred():
        ready()
        while interrupts.pending() is None: time.sleep(0.01)
        print("saved", flush=True)
except interrupts.Interrupted as asked:
    sys.exit(128 + asked.number)
"""
STUCK = """
with interrupts.handled(), interrupts.uninterrupted():
    child = processes.start(processes.module("timeit")("-n1", "import time; time.sleep(60)"),
        folder="/", variables=processes.environment(), out=processes.DEVNULL, errors=processes.DEVNULL)
    with child:
        print(child.number, flush=True)
        ready()
        {body}
"""
OVERDUE = """
interrupts.GRACE_SECONDS = 0.05
try:
    with interrupts.handled(), interrupts.deferred():
        ready(); wait()
except interrupts.Interrupted as asked:
    print("overdue", flush=True); sys.exit(128 + asked.number)
"""
IN_C = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', (1 << 31) - 1)"
"""Minutes in one call that gives the interpreter free and looks at no signal."""


@contextmanager
def _started(text: str, root: Path, **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, "-P", "-c", HEAD + text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(root)},
        text=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    before: list[str] = []
    for line in process.stdout:
        if line.strip() == "ready":
            return before
        before.append(line.strip())
    raise AssertionError(process.communicate()[1])  # it ended before it was ready


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_the_first_signal_is_raised_with_its_number(root: Path, number: signal.Signals) -> None:
    with _started(ORDERLY, root, preexec_fn=_listen) as process:
        _until_ready(process)
        process.send_signal(number)
        out, _ = process.communicate()

    assert out.strip() == f"asked by {number.name}"
    assert process.returncode == 128 + number


def _listen() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        # Tests that run in the background, or under nohup, hand ignored signals down to their children.
        signal.signal(number, signal.SIG_DFL)


def _ignore() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_what_nohup_ignores_stays_ignored(root: Path) -> None:
    with _started(ORDERLY, root, preexec_fn=_ignore) as process:
        _until_ready(process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()

    assert out.strip() == "asked by SIGTERM"


def test_deferred_work_ends_at_a_moment_of_its_own(root: Path) -> None:
    with _started(DEFERRED, root) as process:
        _until_ready(process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()

    assert (out.strip(), process.returncode) == ("saved", 143)
    assert "SIGTERM: ending in order; a second signal ends at once" in err


def test_deferred_work_that_finds_no_moment_is_interrupted(root: Path) -> None:
    with _started(OVERDUE, root) as process:
        _until_ready(process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()

    assert (out.strip(), process.returncode) == ("overdue", 143)


@pytest.mark.parametrize("body", ["wait()", IN_C])
def test_a_second_signal_ends_all_at_once_wherever_the_first_one_waits(
    root: Path, body: str
) -> None:
    with _started(STUCK.format(body=body), root) as process:
        (child,) = map(int, _until_ready(process))
        handle = os.pidfd_open(child)
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:  # the first two may count as one
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue

    assert process.returncode == 143
    ended, _, _ = select.select([handle], [], [], 30)  # the kernel tells when a process has ended
    os.close(handle)
    assert ended


def test_a_signal_that_is_never_followed_ends_the_process_after_its_limit(root: Path) -> None:
    limited = "interrupts.LIMIT_SECONDS = 0.05\n" + STUCK.format(body=IN_C)
    with _started(limited, root) as process:
        _until_ready(process)
        process.send_signal(signal.SIGTERM)
        process.communicate()

    assert process.returncode == 143


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]

    with interrupts.handled():
        assert [signal.getsignal(number) for number in interrupts.SIGNALS] != before

    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before


def test_inside_what_is_uninterrupted_a_stage_can_be_interrupted() -> None:
    with interrupts.handled(), interrupts.uninterrupted():
        with pytest.raises(interrupts.Interrupted), interrupts.interruptible():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(interrupts.Interrupted), interrupts.interruptible():
            raise AssertionError("it was asked to end before")
