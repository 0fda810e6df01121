"""A small registry on this machine: blobs, manifests and tokens, as the OCI distribution protocol (1.1) has them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER = "me:of-the-test-only"
TOKEN = "token-of-the-test-only"


@dataclass(slots=True, kw_only=True)
class RegistryServer:
    """What the registry holds, and what it was asked."""

    wants_token: bool = False
    realm: str = ""
    """Who gives tokens; empty for the registry itself."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    """By tag and by digest."""
    damages: str = ""
    """The digest of a blob that comes back with another byte."""
    endless: bool = False
    """What is read back never ends."""
    location: str | None = None
    """Where uploads are to go; empty for an answer that does not say so."""
    given_token: bytes = b""
    """What is answered to who asks for a token, in place of one."""
    refusal: bytes = b""
    """The body, packed as gzip, with which every upload is refused."""
    ages: int = 0
    """Requests after which a token has expired; 0 for never."""
    tokens: int = 0
    failing: str = ""
    """The method whose requests for a manifest are answered by 503."""
    uploads: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path, and the kind of authorization with it."""
    host: str = ""
    used: int = 0
    """Requests since the last token."""


@contextmanager
def registry_server(registry: RegistryServer) -> Iterator[RegistryServer]:
    """Serve the registry on a port of its own while the block lasts."""

    class Handler(_RegistryHandler):
        served = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RegistryHandler(BaseHTTPRequestHandler):
    served: RegistryServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        registry, path = self._begin()
        if path == "/token":
            if registry.given_token:
                self._send(200, registry.given_token)
                return
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            is_right = base64.b64decode(given).decode() == USER
            registry.tokens += is_right
            registry.used = 0
            self._send(200 if is_right else 401, {"token": TOKEN} if is_right else {})
            return
        if registry.failing == self.command and "/manifests/" in path:
            self._send(503, {})
            return
        if self._refused():
            return
        if registry.endless and self.command == "GET":
            self._send_without_end()
            return
        kind, name = path.split("/")[-2:]
        content = (registry.blobs if kind == "blobs" else registry.manifests).get(name)
        if content is None:
            self._send(404, {"errors": [{"code": "NOT_FOUND"}]})
            return
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        shown = content[:-1] + b"?" if name == registry.damages else content
        self._send(200, shown, {"Docker-Content-Digest": digest})

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def do_POST(self) -> None:
        registry, path = self._begin()
        self._body()
        if not self._refused():
            registry.uploads += 1
            usual = f"{path}upload-{registry.uploads}"
            location = usual if registry.location is None else registry.location
            status = 500 if registry.refusal else 202
            packed = {"Content-Encoding": "gzip"} if registry.refusal else {}
            named = {"Location": location} if location else {}
            self._send(status, registry.refusal or {}, {**named, **packed})

    def do_PUT(self) -> None:
        registry, path = self._begin()
        content = self._body()
        if registry.failing == "PUT" and "/manifests/" in path:
            self._send(503, {})
            return
        if self._refused():
            return
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "/manifests/" in path:
            known = json.loads(content)
            wanted = {one["digest"] for one in (known["config"], *known["layers"])}
            if wanted <= set(registry.blobs):
                registry.manifests |= {path.rpartition("/")[2]: content, digest: content}
                self._send(201, {}, {"Docker-Content-Digest": digest})
            else:
                self._send(400, {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]})
        elif f"digest={digest}" in self.path:
            registry.blobs[digest] = content
            self._send(201, {}, {"Docker-Content-Digest": digest})
        else:
            self._send(400, {"errors": [{"code": "DIGEST_INVALID"}]})

    def _begin(self) -> tuple[RegistryServer, str]:
        path = self.path.partition("?")[0]
        kind = self.headers.get("Authorization", "").partition(" ")[0]
        self.served.asked.append((self.command, path, kind))
        return self.served, path

    def _refused(self) -> bool:
        registry = self.served
        registry.used += 1
        is_fresh = not registry.ages or registry.used <= registry.ages
        is_known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not registry.wants_token or (is_known and is_fresh):
            return False
        realm = registry.realm or f"http://{registry.host}/token"
        challenge = f'Bearer realm="{realm}",service="test",scope="x"'
        self._send(401, {"errors": [{"code": "UNAUTHORIZED"}]}, {"WWW-Authenticate": challenge})
        return True

    def _send_without_end(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 65_536)

    def _body(self) -> bytes:
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
