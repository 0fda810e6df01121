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

from engine.sources.index import IndexSettings, read_settings

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


def settings(home: Path, **environment: str) -> IndexSettings:
    return read_settings({"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "none"), **environment})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_pip_variables_name_indexes_in_order(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        PIP_INDEX_URL="https://one.example/index",
        PIP_EXTRA_INDEX_URL="https://two.example/index https://three.example/index",
    )

    assert found.indexes[:3] == (
        "https://one.example/index",
        "https://two.example/index",
        "https://three.example/index",
    )


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uv_s_main_index_wins_over_pip_s(tmp_path: Path, name: str) -> None:
    environment = {name: "https://uv.example/index", "PIP_INDEX_URL": "https://pip.example/index"}

    assert settings(tmp_path, **environment).indexes[0] == "https://uv.example/index"


def test_uv_s_named_index_takes_its_credentials_from_the_environment(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        UV_INDEX="my-own=https://host.example/index",
        UV_INDEX_MY_OWN_USERNAME="me",
        UV_INDEX_MY_OWN_PASSWORD="p@ss",
    )

    assert "https://me:p%40ss@host.example/index" in found.indexes


def test_pip_conf_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nindex-url = https://file.example/index\nfind-links =\n    /a\n    /b\n",
    )
    from_file = settings(tmp_path)
    from_environment = settings(tmp_path, PIP_INDEX_URL="https://env.example/index")

    assert from_file.indexes[0] == "https://file.example/index"
    assert set(from_file.find_links) >= {"/a", "/b"}
    assert from_environment.indexes[0] == "https://env.example/index"


def test_uv_toml_is_read(tmp_path: Path) -> None:
    write(
        tmp_path / "uv.toml",
        '[[index]]\nname = "a"\nurl = "https://a.example/index"\ndefault = true\n'
        '[[index]]\nname = "b"\nurl = "https://b.example/index"\nexplicit = true\n',
    )
    found = settings(tmp_path, UV_CONFIG_FILE=str(tmp_path / "uv.toml"))

    assert found.indexes[0] == "https://a.example/index"
    assert "https://b.example/index" not in found.indexes


def test_a_broken_configuration_file_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / ".config" / "pip" / "pip.conf", "no section\n")
    write(tmp_path / ".config" / "uv" / "uv.toml", "= broken")

    assert settings(tmp_path, PIP_INDEX_URL="https://x.example").indexes[0] == "https://x.example"


def test_certificates_prefer_pip_s_and_must_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    environment = {
        "PIP_CERT": str(tmp_path / "gone.pem"),
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
    }

    assert settings(tmp_path, **environment).certificates == str(tmp_path / "ca.pem")


def test_no_index_and_the_timeout_are_honoured(tmp_path: Path) -> None:
    found = settings(tmp_path, PIP_NO_INDEX="1", PIP_DEFAULT_TIMEOUT="77")

    assert (found.no_index, found.timeout_seconds) == (True, 77.0)
