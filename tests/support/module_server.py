"""Modules that the engine starts, in processes that are forked from one which has imported their libraries.

Starting the GGUF converter takes four seconds of imports for a tenth of a second of work, and Axolotl eight for two.
`served(CONVERTER)` has the engine start a small script in the module's place, with the same words, folder and
variables; the script hands them and its standard streams to a server that forks, passes SIGTERM on, and ends as the
fork did. Where it is killed, so is the fork. The tests of the converter's own process, in `tests/unit` and
`tests/contract`, start it as users do, and so do the first training of Axolotl's tests and the whole runs with it.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backends.training_process import LIBRARIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A module with a `main`."""

    name: str
    asked_by: str
    """The engine's `module` that is asked for its command."""
    imports: tuple[str, ...] = ()
    """What its `main` imports."""


CONVERTER = Served(
    name="engine.runtime.gguf.convert_worker", asked_by="engine.runtime.gguf.convert.module"
)
AXOLOTL = Served(
    name="engine.backends.training_process",
    asked_by="engine.backends.launches.processes.module",
    imports=LIBRARIES,
)
SERVED = {served.name: served for served in (CONVERTER, AXOLOTL)}

SCRIPT = """\
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
given = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [b"%16d" % len(given)], [0, 1, 2])
server.sendall(given)
signal.signal(signal.SIGTERM, lambda *_: server.sendall(b"T"))
sys.exit(int(server.makefile().readline() or "1"))
"""


@contextmanager
def served(one: Served) -> Iterator[None]:
    """Let the engine of this process run a module by its server, which all workers of the tests share."""
    import pytest

    from engine.process.start import Command, module, script

    def command(name: str) -> Command:
        return script(script_of(one)) if name == one.name else module(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.asked_by, command)
        yield


def script_of(one: Served) -> Path:
    """Return the script that has the server run the module; what starts it may change `sys.argv` before."""
    from support.shared import made_once

    return made_once(f"server-{one.name}", lambda folder: _start(one, folder)) / "ask.py"


def _start(one: Served, folder: Path) -> None:
    address = str(folder / "socket")
    (folder / "ask.py").write_text(SCRIPT.format(address=address), encoding="utf-8")
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-P", __file__, one.name, address],
        cwd=folder,  # that of the test may be gone before everything is imported
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
    )


def serve(one: Served, address: str) -> None:
    """Answer until the folder of the test run is gone."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    if os.fork() != 0:
        return
    if hasattr(
        os, "sched_setaffinity"
    ):  # the worker that started it has one processor, and so would all that ask
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    worker = runpy.run_module(one.name, run_name=one.name)
    for name in one.imports:
        importlib.import_module(name)
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
    words, folder, variables = json.loads(_exactly(asker, int(length)))
    work = os.fork()
    if work == 0:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        _work(words, streams, worker)
    threading.Thread(target=_pass_on, args=(asker, work), daemon=True).start()
    _, status = os.waitpid(work, 0)
    asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _exactly(asker: socket.socket, length: int) -> bytes:
    """Read what was given and nothing of a signal that may follow."""
    given = b""
    while len(given) < length:
        part = asker.recv(length - len(given))
        if not part:
            os._exit(1)
        given += part
    return given


def _pass_on(asker: socket.socket, work: int) -> None:
    while asker.recv(1):
        os.kill(work, signal.SIGTERM)
    os.kill(work, signal.SIGKILL)


def _work(words: list[str], streams: list[int], worker: dict[str, Any]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    _take_threads()
    sys.argv = words
    code = 1
    try:
        worker["main"]()
        code = 0
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:  # noqa: BLE001 - reported as Python would, and by the code
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _take_threads() -> None:
    """Have as many threads as the variables say: OpenMP read the server's, when torch was imported."""
    torch = sys.modules.get("torch")
    if torch is not None and "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    serve(SERVED[sys.argv[1]], sys.argv[2])
