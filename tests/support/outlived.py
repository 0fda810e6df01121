"""Run a command to its end, and print what it started as JSON: `outlived.py SIGNAL TEXT WORD ...`.

Orphans of the command become children of this process (PR_SET_CHILD_SUBREAPER), whatever session, group or environment
they have, so what is still here after the command is what outlived it. SIGNAL is sent once the command writes TEXT;
0 sends none.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SUBREAPER = 36
END_SECONDS = 10.0
"""For the kernel to end what a killed command leaves: each of them is ended at once, or reads the end of a pipe."""


def descendants(number: int) -> dict[int, str]:
    """Command lines of all processes below one, by number."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{number}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                # One that has ended and was not collected has no command line.
                found |= ({child: words.decode()} if words else {}) | descendants(child)
    return found


def main() -> None:
    number, text, *words = sys.argv[1:]
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    command = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert command.stderr is not None
    seen: set[str] = set()
    for line in command.stderr:
        seen |= set(descendants(command.pid).values())
        if int(number) and text in line:
            command.send_signal(int(number))
            number = "0"
    code = command.wait()
    left, deadline = descendants(os.getpid()), time.monotonic() + END_SECONDS
    is_killed = code == -signal.SIGKILL
    while left and is_killed and time.monotonic() < deadline:
        time.sleep(0.01)
        left = descendants(os.getpid())
    for one in left:
        os.kill(one, signal.SIGKILL)
    sys.stdout.write(
        json.dumps({"code": code, "seen": sorted(seen), "left": sorted(left.values())})
    )


if __name__ == "__main__":
    main()
