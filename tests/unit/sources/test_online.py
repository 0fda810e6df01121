"""A hub that refuses, hangs or talks nonsense is one typed error in time; it is asked only while fetching."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ASK = """
import pathlib, sys, tempfile
from engine.sources.hub import quieten
from engine.sources import hub
quieten()
hub.SILENT_SECONDS = hub.CONNECT_SECONDS = 0.2
from huggingface_hub import constants
from engine.errors import EngineError
from engine.recipe.model import HubRef, Source
from engine.runtime.models.base_model import locate_base_model
from engine.sources.hub import newest_commit
class Progress:
    def note(self, text): pass
    def update(self, *_, **__): pass
def once(name, payload, build): build(pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1])))
asked = [
    lambda: locate_base_model(HubRef(repo="a/b", revision=None), once, Progress()),
    lambda: locate_base_model(HubRef(repo="a/b", revision="a" * 40), once, Progress()),
    lambda: newest_commit("a/b", "model"),
]
for ask in asked:
    try: ask()
    except EngineError as error: print(error.problems[0].code)
print("offline again", constants.HF_HUB_OFFLINE)
"""
ANSWERS = {
    "nothing": b"",
    "nonsense": b"\x00\x01" * 99,
    "an error": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
}


@contextmanager
def _hub(answer: bytes | None) -> Iterator[int]:
    """A server on the loopback interface; None refuses connections, and an empty answer never comes."""
    server = socket.create_server(("127.0.0.1", 0))
    port: int = server.getsockname()[1]
    taken: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            taken.append(connection)
            if answer:
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

    if answer is None:
        server.close()
        yield port
        return
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield port
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("answer", [None, *ANSWERS.values()], ids=["refused", *ANSWERS])
def test_a_hub_that_does_not_answer_is_reported_in_time(
    tmp_path: Path, root: Path, answer: bytes | None
) -> None:
    with _hub(answer) as port:
        variables = {**os.environ, "PYTHONPATH": str(root), "HF_HOME": str(tmp_path / "hub")}
        variables |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-P", "-c", ASK, str(tmp_path)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert done.stdout.split("\n")[:3] in (["X608", "X608", "D348"], ["X608", "X608", "D347"])
    assert "offline again True" in done.stdout, done.stderr


def test_the_users_own_word_to_stay_offline_is_heeded(tmp_path: Path, root: Path) -> None:
    with _hub(b"") as port:
        variables = {**os.environ, "PYTHONPATH": str(root), "HF_HOME": str(tmp_path / "hub")}
        variables |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-P", "-c", ASK, str(tmp_path)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout.split("\n")[:3] == ["X608", "X608", "D348"], done.stderr
