"""The first thing in a process that the engine starts: `python -I launcher.py PARENT PATH RIGHTS KIND NAME ...`.

PATH is the module search path as JSON, so that nothing is imported from the folder or the environment one stands in.
RIGHTS are those of `engine.process.confine.Rights` as JSON, or empty where it keeps ours.
KIND is `module` or `script`, run by this Python, or `program`. The work is done in a child of this process, which
stays to end the whole process group, grandchildren too, when PARENT ends, however it ends. Standard library only.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import runpy
import signal
import sys
import threading
import time
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.2
GONE = 1
"""The exit code where the parent had ended before anything began."""
NO_PROGRAM = 127
"""The shell's, for a program that is not there."""
UNCONFINED = 126
"""Exit code where the kernel refused a confinement that it had offered; nothing was run."""


def main() -> None:
    parent = int(sys.argv[1])
    # No core files: they would hold rows and weights, and fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The handler comes first: by default the signal would end this process alone, and leave the group behind.
    signal.signal(signal.SIGUSR1, _end_group)
    tell_when_gone(parent, signal.SIGUSR1)
    # This process stays beside the worker: one that outlives it has to end its grandchildren.
    # SIGTERM is for the worker, which has a moment to end in order; one that comes during the fork waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    worker = os.fork()
    if worker == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        # A fork does not inherit the request, and somebody may kill the launcher by itself.
        tell_when_gone(os.getppid(), signal.SIGKILL)
        path, rights, kind, name, *arguments = sys.argv[2:]
        sys.argv = [name, *arguments]
        if rights:
            _confine(json.loads(rights))
        if kind == "program":
            # Python ignores these two, and what is executed would inherit that.
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            try:
                os.execv(name, sys.argv)  # noqa: S606 - this is what it is for
            except OSError as error:
                sys.stderr.write(f"{os.path.basename(name)} cannot be started: {error.strerror}\n")
                os._exit(NO_PROGRAM)
        sys.path[:] = json.loads(path)
        if kind == "script":
            sys.path.insert(0, os.path.dirname(name))  # what Python does for a script
            runpy.run_path(name, run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _, status = os.waitpid(worker, 0)
    end_as(os.waitstatus_to_exitcode(status))


def end_as(code: int) -> NoReturn:
    """End as a child has ended, by its code or by its signal, to show that to whoever started this process."""
    if code < 0:
        # SIGKILL cannot be given another disposition.
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _confine(rights: dict[str, Any]) -> None:
    """Give up rights by the module beside this file, before anything else is in reach."""
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confine.py")
    spec = importlib.util.spec_from_file_location("recipe_confine", place)
    if spec is None or spec.loader is None:
        raise AssertionError(place)
    found = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules["recipe_confine"] = found
    spec.loader.exec_module(found)
    parent = os.getppid()
    try:
        found.confine(found.Rights(**rights))
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        os._exit(UNCONFINED)
    # Other credentials: the kernel may have dropped the request for them.
    tell_when_gone(parent, signal.SIGKILL)


def tell_when_gone(parent: int, number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
    else:
        threading.Thread(target=_poll, args=(parent, number), daemon=True).start()
    # It may have ended before the signal was set up.
    if os.getppid() != parent:
        os._exit(GONE)


def _poll(parent: int, number: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), number)


def _end_group(_number: int, _frame: object) -> None:
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(GONE)


if __name__ == "__main__":
    main()
