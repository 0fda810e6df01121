"""Data of the hub: a stand-in server on the loopback interface, and a folder read by the same call."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.paths import ROOT

REVISION = "a" * 40
ROWS = b"text,label\nfine,1\n"
FETCH = """
import json, sys
from pathlib import Path
from engine.errors import EngineError
from engine.data.reading.sources import fetch_all, read_all
from engine.recipe.model import ColumnFile, HubRef, Source
from engine.sources import fetch_source
from engine.store import Store, make_key

class Quiet:
    def update(self, *values, **facts): pass
    def note(self, text): pass

def fetched(fields, store):
    ref = HubRef(repo=fields["repo"], revision=fields.get("revision"))
    source = Source(ref=ref, format=fields.get("format", "auto"),
                    config=fields.get("config", ""), split=fields.get("split", ""),
                    hub_file=fields.get("file", ""),
                    columns=tuple(ColumnFile(column=column, written=file, ref=ref)
                                  for column, file in fields.get("columns", {}).items()))
    once = lambda name, payload, build: store.put(name, make_key(dict(payload)), build)
    try:
        if source.hub_file and not source.columns:
            return fetch_source(source, once, Quiet()).read_text()
        rows = read_all(fetch_all([source], once, Quiet()), Quiet())
        return [[row.origin, dict(row.values)] for row in rows]
    except EngineError as error:
        return [[problem.code, problem.message] for problem in error.problems]

print(json.dumps({name: fetched(fields, Store(Path(f"store-{place}")))
                  for place, (name, fields) in enumerate(json.loads(sys.argv[1]).items())}))
"""
"""Run in a process of its own: the hub's client reads its variables when it is imported."""


def parquet(*rows: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), stream)
    return stream.getvalue()


CARD = b"""---
configs:
- config_name: pcm
  data_files:
  - {split: train, path: pcm/*.jsonl}
- config_name: yor
  data_files:
  - {split: train, path: yor/*.jsonl}
---
"""
REPOSITORIES: dict[str, dict[str, bytes]] = {
    "me/open": {"rows.csv": ROWS, "d/seq.in": b"fine\nbad\n", "d/label": b"good\nbad\n"},
    "me/shards": {
        "data/train-00000-of-00002.parquet": parquet({"text": "one", "turns": [{"role": "user"}]}),
        "data/train-00001-of-00002.parquet": parquet({"text": "two", "turns": []}),
        "data/test-00000-of-00001.parquet": parquet({"text": "three", "turns": []}),
    },
    "me/configs": {
        "README.md": CARD,
        "pcm/1.jsonl": b'{"text": "one"}\n{"text": "NaN"}\n',
        "pcm/2.jsonl": b'{"text": "three"}\n',
        "yor/1.jsonl": b'{"text": "four"}\n',
    },
}


class Hub(BaseHTTPRequestHandler):
    """Serves the public data sets above, as the hub does; another one is gated."""

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def _serve(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        for name, files in REPOSITORIES.items():
            at = {kind: path.removeprefix(f"/{start}") for kind, start in _starts(name).items()}
            found = next((kind for kind, rest in at.items() if rest != path), "")
            if found == "file" and at["file"] in files:
                content = files[at["file"]]
                digest = hashlib.sha256(content).hexdigest()
                headers = {"X-Repo-Commit": REVISION, "ETag": f'"{digest}"'}
                return self._answer(200, content, headers, with_body=with_body)
            if found in {"tree", "revision"}:
                body: Any = _tree(files, at["tree"]) if found == "tree" else _info(name, files)
                headers = {"Content-Type": "application/json"}
                return self._answer(200, json.dumps(body).encode(), headers, with_body=with_body)
        error = "RepoNotFound"
        if "/me/gated/" in self.path:
            error = "GatedRepo"
        elif any(f"/{name}/" in self.path for name in REPOSITORIES):
            error = "EntryNotFound" if REVISION in self.path else "RevisionNotFound"
        status = 403 if error == "GatedRepo" else 404
        headers = {"X-Error-Code": error, "X-Repo-Commit": REVISION}
        return self._answer(status, b"", headers, with_body=with_body)

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


def _starts(name: str) -> dict[str, str]:
    return {
        "file": f"datasets/{name}/resolve/{REVISION}/",
        "tree": f"api/datasets/{name}/tree/{REVISION}",
        "revision": f"api/datasets/{name}/revision/{REVISION}",
    }


def _info(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {"id": name, "sha": REVISION, "siblings": [{"rfilename": file} for file in files]}


def _tree(files: Mapping[str, bytes], below: str) -> list[dict[str, Any]]:
    """Return every file and folder below a folder, as a recursive listing does."""
    folder = f"{below.strip('/')}/" if below.strip("/") else ""
    inside = {file: content for file, content in files.items() if file.startswith(folder)}
    folders = {file.rsplit("/", 1)[0] for file in inside if "/" in file}
    return [
        *({"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders),
        *(
            {"type": "file", "path": path, "oid": "1" * 40, "size": len(content)}
            for path, content in inside.items()
        ),
    ]


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """The stand-in's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch_each(folder: Path, endpoint: str, requests: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each request gives: a text, rows with their origins, or problems with code and message."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "0" if endpoint else "1",
        "HF_DATASETS_OFFLINE": "0" if endpoint else "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        "PYTHONPATH": str(ROOT),
    }
    if not endpoint:
        del environment["HF_ENDPOINT"]
    command = [sys.executable, "-c", FETCH, json.dumps(requests)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


CONFIGS = {"repo": "me/configs", "revision": REVISION, "split": "train"}
REFUSED = {
    "gated": ({"repo": "me/gated", "revision": REVISION}, "D348"),
    "other revision": ({"repo": "me/open", "revision": "b" * 40}, "D347"),
    "no repository": ({"repo": "me/none", "revision": REVISION}, "D347"),
    "no file": ({"repo": "me/open", "revision": REVISION, "file": "other.csv"}, "D347"),
}
ONLINE: Mapping[str, Any] = {
    "file": {"repo": "me/open", "revision": REVISION, "file": "rows.csv"},
    **{name: {"file": "rows.csv", **fields} for name, (fields, _) in REFUSED.items()},
    "shards": {"repo": "me/shards", "revision": REVISION, "split": "train"},
    **{config: {**CONFIGS, "config": config} for config in ("pcm", "yor", "ibo")},
    "side by side": {
        "repo": "me/open",
        "revision": REVISION,
        "file": "d/seq.in",
        "format": "lines",
        "columns": {"label": "d/label"},
    },
}


@pytest.fixture(scope="module")
def online(hub: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the hub gives to every request, asked by one process."""
    return fetch_each(tmp_path_factory.mktemp("online"), hub, ONLINE)


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same without a network, and folders of this machine."""
    folder = tmp_path_factory.mktemp("offline")
    script = folder / "script"
    for made in (folder / "set", script):
        made.mkdir()
    (folder / "set" / "train.csv").write_bytes(ROWS)
    (folder / "set" / "test.csv").write_bytes(b"text,label\nbad,0\n")
    # A data set is run by the script that has its name.
    (script / "script.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    asked = {
        "file": ONLINE["file"],
        "a split": {"repo": str(folder / "set"), "split": "test"},
        "no split": {"repo": str(folder / "set")},
        "a script": {"repo": str(script), "split": "train"},
    }
    return {**fetch_each(folder, "", asked), "has run": (folder / "ran").exists()}


def test_one_file_at_the_pinned_revision_is_fetched(online: dict[str, Any]) -> None:
    assert online["file"] == ROWS.decode()


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_hub_refuses_is_reported(name: str, online: dict[str, Any]) -> None:
    fields, code = REFUSED[name]
    ((got, message),) = online[name]

    assert got == code
    assert f"`{fields['repo']}`" in message


def test_offline_is_reported(offline: dict[str, Any]) -> None:
    ((code, _),) = offline["file"]

    assert code == "D348"


def test_rows_of_a_data_set_become_parquet_by_its_split(offline: dict[str, Any]) -> None:
    ((code, message),) = offline["no split"]

    assert [values for _, values in offline["a split"]] == [{"text": "bad", "label": 0}]
    assert code == "D347"
    assert "2 splits: `train`, `test`" in message


def test_the_shards_of_one_split_are_read_in_order(online: dict[str, Any]) -> None:
    assert online["shards"] == [
        ["me/shards:train#1", {"text": "one", "turns": [{"role": "user"}]}],
        ["me/shards:train#2", {"text": "two", "turns": []}],
    ]


def test_a_configuration_of_several_files_is_read(online: dict[str, Any]) -> None:
    ((code, message),) = online["ibo"]

    assert [values["text"] for _, values in online["pcm"]] == ["one", "NaN", "three"]
    assert online["yor"] == [["me/configs:yor/train#1", {"text": "four"}]]
    assert code == "D347"
    assert "ibo" in message


def test_files_of_a_repository_are_read_side_by_side(online: dict[str, Any]) -> None:
    assert online["side by side"] == [
        ["seq.in:1", {"text": "fine", "label": "good"}],
        ["seq.in:2", {"text": "bad", "label": "bad"}],
    ]


def test_a_data_set_that_is_a_script_is_refused_and_not_run(offline: dict[str, Any]) -> None:
    ((code, _),) = offline["a script"]

    assert code == "D347"
    assert not offline["has run"]
