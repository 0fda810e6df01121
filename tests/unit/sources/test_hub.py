"""Data of the hub: a stand-in server on the loopback interface, and a folder read by the same call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REVISION = "a" * 40
ROWS = b"text,label\nfine,1\n"
FETCH = """
import json, sys
from pathlib import Path
from engine.errors import EngineError
from engine.recipe.model import HubRef, Source
from engine.sources import fetch_source
from engine.store import Store, make_key

class Quiet:
    def update(self, *values, **facts): pass
    def note(self, text): pass

fields = json.loads(sys.argv[1])
ref = HubRef(repo=fields["repo"], revision=fields.get("revision"))
source = Source(ref=ref, format="auto", header=(), encoding="utf-8", quoting="auto",
                config=fields.get("config", ""), split=fields.get("split", ""),
                hub_file=fields.get("file", ""))
store = Store(Path("store"))
once = lambda name, payload, build: store.put(name, make_key(dict(payload)), build)
try:
    path = fetch_source(source, once, Quiet())
    if path.suffix == ".parquet":
        from engine.data.readers import read_rows
        print(json.dumps([dict(row.values) for row in read_rows(path, source)]))
    else:
        print(json.dumps(path.read_text()))
except EngineError as error:
    print(json.dumps([[problem.code, problem.message] for problem in error.problems]))
"""


class Hub(BaseHTTPRequestHandler):
    """Serves one file of one public data set; another one is gated."""

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def _serve(self, *, with_body: bool) -> None:
        if self.path == f"/datasets/me/open/resolve/{REVISION}/rows.csv":
            headers = {"X-Repo-Commit": REVISION, "ETag": '"abc"'}
            return self._answer(200, ROWS, headers, with_body=with_body)
        error = "RepoNotFound"
        if "/me/gated/" in self.path:
            error = "GatedRepo"
        elif "/me/open/" in self.path:
            error = "EntryNotFound" if REVISION in self.path else "RevisionNotFound"
        status = 403 if error == "GatedRepo" else 404
        return self._answer(status, b"", {"X-Error-Code": error}, with_body=with_body)

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str], *, with_body: bool
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    """The stand-in's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(root: Path, folder: Path, endpoint: str, **fields: str) -> Any:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "0" if endpoint else "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        "PYTHONPATH": str(root),
    }
    if not endpoint:
        del environment["HF_ENDPOINT"]
    command = [sys.executable, "-c", FETCH, json.dumps(fields)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_file_at_the_pinned_revision_is_fetched(root: Path, tmp_path: Path, hub: str) -> None:
    got = fetch(root, tmp_path, hub, repo="me/open", revision=REVISION, file="rows.csv")

    assert got == ROWS.decode()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"repo": "me/gated", "revision": REVISION}, "D348"),
        ({"repo": "me/open", "revision": "b" * 40}, "D347"),
        ({"repo": "me/none", "revision": REVISION}, "D347"),
        ({"repo": "me/open", "revision": REVISION, "file": "other.csv"}, "D347"),
    ],
)
def test_what_the_hub_refuses_is_told(
    root: Path, tmp_path: Path, hub: str, fields: dict[str, str], code: str
) -> None:
    ((got, message),) = fetch(root, tmp_path, hub, **{"file": "rows.csv", **fields})

    assert got == code
    assert f"`{fields['repo']}`" in message


def test_offline_is_told(root: Path, tmp_path: Path) -> None:
    ((code, _),) = fetch(root, tmp_path, "", repo="me/open", revision=REVISION, file="rows.csv")

    assert code == "D348"


def test_rows_of_a_data_set_become_parquet_by_its_split(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_bytes(ROWS)
    (folder / "test.csv").write_bytes(b"text,label\nbad,0\n")
    chosen = fetch(root, tmp_path, "", repo=str(folder), split="test")
    ((code, message),) = fetch(root, tmp_path, "", repo=str(folder))

    assert chosen == [{"text": "bad", "label": 0}]
    assert code == "D347"
    assert "2 splits: `train`, `test`" in message


def test_a_data_set_that_is_a_script_is_refused_and_not_run(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "set.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    ((code, _),) = fetch(root, tmp_path, "", repo=str(folder), split="train")

    assert code == "D347"
    assert not (tmp_path / "ran").exists()
