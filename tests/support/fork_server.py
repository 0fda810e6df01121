"""Runs verbs, each in a forked process of its own with limits: one JSON request a line in, one JSON reply a line out.

Started once for many cases, so that a case costs a fork and not the imports; see `hostile.Verbs`.
"""

import gc
import importlib
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from engine.cli.main import main as recipe

PAGE = resource.getpagesize()
POLL = 0.004


def child(ask: dict[str, Any], out: int, err: int) -> int:
    os.setsid()
    os.chdir(ask["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdin = os.fdopen(os.dup(0))
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_CPU, (ask["cpu"], ask["cpu"]))
    resource.setrlimit(resource.RLIMIT_AS, (now + ask["memory"], now + ask["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        code = recipe([os.fsdecode(os.fsencode(word)) for word in ask["words"]])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


def run(ask: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            code = 97
            try:
                code = child(ask, out.fileno(), err.fileno())
            except BaseException:  # noqa: BLE001 - reported by the traceback and the code
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
            os._exit(code)
        hangs = False
        while not (ended := os.wait4(pid, os.WNOHANG))[0]:
            if time.monotonic() - started > ask["wall"]:
                hangs = True
                os.killpg(pid, 9)
                ended = os.wait4(pid, 0)
                break
            time.sleep(POLL)
        _, status, used = ended
        out.seek(0)
        err.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "hangs": hangs,
            "cpu": used.ru_utime + used.ru_stime,
            "memory": used.ru_maxrss * 1024,
            "out": out.read(1 << 20).decode("utf-8", "replace"),
            "err": err.read(1 << 20).decode("utf-8", "replace"),
        }


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # Arrow's threads are idle when we fork
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()  # a child that collects garbage would copy every page of these libraries
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        replies.write(json.dumps(run(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
