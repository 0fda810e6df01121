"""A small hub on this machine: repositories, commits, large files, cards, as huggingface_hub asks for them.

It stands for what the real one answers, as far as huggingface_hub 1 reads it; it proves nothing of the real one.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from huggingface_hub import ModelCard


@dataclass(slots=True, kw_only=True)
class HubServer:
    """What the server holds, and what it was asked."""

    token: str = "hf_of_the_test_only"
    private: dict[str, bool] = field(default_factory=dict)
    """Repositories, and whether each is private."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the one commit, by name."""
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by sha256."""
    damages: str = ""
    """A file that comes back with another byte."""
    authorized: list[tuple[str, str]] = field(default_factory=list)
    """Paths asked for with a token, and the host that was asked."""
    cards: list[str] = field(default_factory=list)
    url: str = ""
    uploads: str = ""
    """Where large files go: the same server by another name, as the hub names another host."""


@contextmanager
def hub_server(hub: HubServer) -> Iterator[HubServer]:
    """Serve the hub on a port of its own while the block lasts."""

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    port = server.server_address[1]
    hub.url, hub.uploads = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


COMMIT = "c" * 40


class _Handler(BaseHTTPRequestHandler):
    served: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        hub, path = self._begin()
        if "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            content = hub.files.get(name)
            if content is None:
                self._send(404, {}, {"X-Error-Code": "EntryNotFound"})
                return
            self._send(200, content[:-1] + b"?" if name == hub.damages else content)
            return
        repo = path.removeprefix("/api/models/").removesuffix("/revision/main")
        if repo not in hub.private:
            self._send(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
            return
        names = [{"rfilename": name} for name in hub.files]
        found = {"id": repo, "sha": "b" * 40, "private": hub.private[repo], "siblings": names}
        self._send(200, found)

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def do_PUT(self) -> None:
        hub, path = self._begin()
        hub.stored[path.rpartition("/")[2]] = self._body()
        self._send(200, {})

    def do_POST(self) -> None:
        hub, path = self._begin()
        body = self._body()
        if path == "/api/repos/create":
            given = json.loads(body)
            owner = given.get("organization") or "me"
            repo = f"{owner}/{given['name']}"
            hub.private[repo] = given.get("visibility") == "private" or bool(given.get("private"))
            self._send(200, {"url": f"{hub.url}/{repo}"})
        elif path == "/api/validate-yaml":
            self._send(*self._judged(json.loads(body)["content"]))
        elif "/preupload/" in path:
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if _is_large(one["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self._send(200, {"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {
                        "upload": {"href": f"{hub.uploads}/lfs/{one['oid']}"},
                        "verify": {"href": f"{hub.uploads}/verify/{one['oid']}"},
                    },
                }
                for one in json.loads(body)["objects"]
            ]
            self._send(200, {"transfer": "basic", "objects": objects})
        elif path.startswith("/verify/"):
            self._send(200, {})
        elif "/commit/" in path:
            self._commit(body)
        else:
            self._send(404, {"error": path})

    def _commit(self, body: bytes) -> None:
        hub = self.served
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del hub.files[value["path"]]
            elif line["key"] == "lfsFile":
                content = hub.stored[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                hub.files[value["path"]] = content
        repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
        address = f"{hub.url}/{repo}/commit/{COMMIT}"
        found = {"success": True, "commitOid": COMMIT, "commitUrl": address}
        self._send(200, found)

    def _judged(self, content: str) -> tuple[int, Any]:
        """Judge a card by the library's own reader, which is not all that the real hub asks."""
        self.served.cards.append(content)
        try:
            card = ModelCard(content, ignore_metadata_errors=False)
            good = bool(getattr(card.data, "eval_results", None))
        except ValueError:
            good = False
        errors = [] if good else [{"message": "no model-index"}]
        return (200 if good else 400), {"errors": errors, "warnings": []}

    def _begin(self) -> tuple[HubServer, str]:
        hub, path = self.served, self.path.partition("?")[0]
        if self.headers.get("Authorization"):
            hub.authorized.append((path, str(self.headers.get("Host", "")).partition(":")[0]))
        return hub, path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while count := int(self.rfile.readline(), 16):
                found += self.rfile.read(count)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, one in (headers or {}).items():
            self.send_header(name, one)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _is_large(name: str) -> bool:
    return name.endswith((".gguf", ".safetensors", ".tar"))
