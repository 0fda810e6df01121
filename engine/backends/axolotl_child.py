"""The first thing that runs in the Axolotl process: make sure it dies with the engine, then hand over to Axolotl.

`python -P -m engine.backends.axolotl_child PARENT_PID CONFIG`. Only the standard library is
imported here; Axolotl's own `axolotl.cli.train` is run as a program (what `axolotl train
--launcher python` does), so no `.env` file is loaded.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 1.0


def main() -> None:
    """Bind this process to its parent's life and train."""
    parent, config = int(sys.argv[1]), sys.argv[2]
    die_with(parent)
    sys.argv = ["axolotl.cli.train", config]
    runpy.run_module("axolotl.cli.train", run_name="__main__", alter_sys=True)


def die_with(parent: int) -> None:
    """Kill this process when `parent` dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
