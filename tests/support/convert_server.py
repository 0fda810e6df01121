"""The GGUF converter in processes that are forked from one which has imported its libraries.

Starting the converter takes four seconds of imports for a tenth of a second of work. `served_converter()` has the
engine start a small script in its place, with the same words, folder and variables; the script hands them and its
standard streams to a server that forks, and ends as the fork did. The tests of the converter's own process, in
`tests/unit` and `tests/contract`, start it as users do.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "engine.runtime.gguf.convert_worker"
SCRIPT = """\
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
given = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [b"%16d" % len(given)], [0, 1, 2])
server.sendall(given)
sys.exit(int(server.makefile().readline() or "1"))
"""


@contextmanager
def served_converter() -> Iterator[None]:
    """Let the engine of this process convert by the server, which all workers of the tests share."""
    import pytest

    from engine.process.start import Command, module, script

    def served(name: str) -> Command:
        return script(converter_script()) if name == NAME else module(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.runtime.gguf.convert.module", served)
        yield


def converter_script() -> Path:
    """Return the script that has the server convert; what starts it may change `sys.argv` before."""
    from support.shared import made_once

    return made_once("convert-server", _start) / "convert.py"


def _start(folder: Path) -> None:
    address = str(folder / "socket")
    (folder / "convert.py").write_text(SCRIPT.format(address=address), encoding="utf-8")
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-P", __file__, address],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
    )


def serve(address: str) -> None:
    """Answer until the folder of the test run is gone."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    if os.fork() != 0:
        return
    worker = runpy.run_module(NAME, run_name=NAME)
    gc.freeze()  # a fork that collects garbage would copy every page of these libraries
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that answer
    server.settimeout(2)
    while Path(address).exists():
        try:
            asker, _ = server.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            _answer(asker, worker)
        asker.close()


def _answer(asker: socket.socket, worker: dict[str, Any]) -> None:
    """Run the worker in a fork of its own and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asker.settimeout(None)
    length, streams, _, _ = socket.recv_fds(asker, 16, 3)
    given = asker.makefile("rb").read(int(length))
    work = os.fork()
    if work == 0:
        words, folder, variables = json.loads(given)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        _work(words, streams, worker)
    _, status = os.waitpid(work, 0)
    asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _work(words: list[str], streams: list[int], worker: dict[str, Any]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.argv = words
    code = 1
    try:
        worker["main"]()
        code = 0
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:  # noqa: BLE001 - told as Python would, and by the code
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
