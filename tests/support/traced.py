"""A whole run of a stranger's recipe under strace: which files it opened, what it spoke to, what it started."""

import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml

from engine.trust.hosts import parse_address
from support.chat_service import Service, serving
from support.paths import ROOT
from support.pico import make_pico_model, pico_gguf
from support.project import BASE, rows

STRACE: Final = shutil.which("strace") or ""
COMMIT: Final = "a" * 40
CALLS: Final = "open,openat,openat2,creat,execve,execveat,connect,bind,rename,renameat,renameat2,unlink,unlinkat"
SECRETS: Final = (".ssh/id_ed25519", ".bashrc", "other/notes.txt", "project/.env")
"""Below the home folder, of which the recipe speaks nowhere."""
_OPENED: Final = re.compile(r"open(?:at2?)?\(.*?(O_[A-Z_|]+).*?\) = \d+<([^>]*)>")
_STARTED: Final = re.compile(r'execve(?:at)?\("([^"]*)".* = 0$')
_INTERNET: Final = re.compile(
    r"(?:connect|bind)\(.*sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?\"([^\"]+)\""
)
_DONE: Final = re.compile(r"= (?:0|-1 EINPROGRESS)")
_WRITING: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What a run did, of what succeeded."""

    code: int
    output: str
    home: Path
    read: frozenset[str]
    written: frozenset[str]
    started: frozenset[str]
    spoke_to: frozenset[tuple[str, int]]
    allowed: frozenset[tuple[str, int]]
    """The stand-ins: of the hub, and of a server that the recipe names."""
    fetched: bool
    """Something came of the hub's stand-in."""
    asked: int
    """How often the other one was asked."""


def traced_run(folder: Path) -> Traced:
    """Run a recipe with data of a hub, a GGUF and a server, both on this machine, in a home of its own in `folder`."""
    home, project = folder / "home", folder / "home" / "project"
    project.mkdir(parents=True)
    for name in SECRETS:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("secret")
    (home / ".netrc").write_text("machine index.example login me password secret")
    make_pico_model(project / "base")
    shutil.copy(pico_gguf(), project / "other.gguf")
    log, service = folder / "trace.log", Service()
    with serving(service), _hub() as (port, asked):
        _write_recipe(project, service.url)
        ended = subprocess.run(
            [
                *(STRACE, "-f", "-y", "-s", "300", "-e", f"trace={CALLS}", "-o", str(log)),
                *(sys.executable, "-P", "-m", "engine", "run", "recipe.yaml", "--quiet"),
            ],
            cwd=project,
            env=_variables(home, port),
            capture_output=True,
            text=True,
            check=False,
        )
        found = _read(log)
    return Traced(
        code=ended.returncode,
        output=ended.stdout + ended.stderr,
        home=home,
        allowed=frozenset({("127.0.0.1", port), ("127.0.0.1", parse_address(service.url).port)}),
        fetched=bool(asked),
        asked=len(service.asked),
        **found,
    )


def _write_recipe(project: Path, url: str) -> None:
    served = {"name": "remote", "endpoint": url, "model": "served"}
    changed = {
        "data": {
            **BASE["data"],
            "sources": [{"hub": "me/rows", "revision": COMMIT, "file": "rows.csv"}],
        },
        "baselines": [
            *("majority", "tfidf_svm", {"model": served}),
            {"model": {"name": "other", "gguf": "other.gguf"}},
        ],
        "allow_moving": True,
        "export": {"formats": ["safetensors", "gguf"]},
    }
    (project / "recipe.yaml").write_text(yaml.safe_dump({**BASE, **changed}, sort_keys=False))


def _variables(home: Path, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    (home / "temporary").mkdir()
    return {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home / "temporary"),
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "*",
    }


def _read(log: Path) -> dict[str, Any]:
    read, written, started = set[str](), set[str](), set[str]()
    spoke = set[tuple[str, int]]()
    for line in _whole_lines(log):
        if found := _OPENED.search(line):
            flags, path = found.groups()
            (written if _WRITING.search(flags) else read).add(path.removesuffix(" (deleted)"))
        elif found := _STARTED.search(line):
            started.add(found[1])
        elif (found := _INTERNET.search(line)) and _DONE.search(line):
            spoke.add((found[2], int(found[1])))
    return {
        "read": frozenset(read),
        "written": frozenset(written),
        "started": frozenset(started),
        "spoke_to": frozenset(spoke),
    }


def _whole_lines(log: Path) -> Iterator[str]:
    """Yield the lines of a trace, those that another process interrupted put together."""
    begun: dict[str, str] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        process, _, rest = line.partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>")
        elif found := re.match(r"\s*<\.\.\. \w+ resumed>", rest):
            yield begun.pop(process, "") + rest[found.end() :]
        else:
            yield rest.lstrip()


@contextmanager
def _hub() -> Iterator[tuple[int, list[str]]]:
    """A hub with one data set of one file."""
    text = io.StringIO()
    csv.writer(text).writerows([("text", "label"), *rows(140)])
    content, asked = text.getvalue().encode(), list[str]()
    digest = hashlib.sha256(content).hexdigest()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(content)

        def _answer(self, body: bytes) -> None:
            asked.append(self.path)
            is_there = self.path.startswith(f"/datasets/me/rows/resolve/{COMMIT}/rows.csv")
            headers: Mapping[str, str] = {
                "X-Repo-Commit": COMMIT,
                "ETag": f'"{digest}"',
                "Content-Length": str(len(content)),
            }
            self.send_response(200 if is_there else 404)
            for name, value in headers.items() if is_there else ():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if is_there else b"")

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()
