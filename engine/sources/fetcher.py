"""The process that has the network (`engine.sources.fetch_process`): requests come as lines of JSON, and so do answers.

It ends when nobody writes to it any more, whatever it is doing: no signal reaches it from a process that is confined.
"""

import json
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from engine.errors import DataError, EngineError
from engine.files.reading import parse_json
from engine.recipe.model import HubRef, PackageRef
from engine.sources import hub
from engine.sources.hub import quieten
from engine.sources.package import fetch_archive
from engine.trust.hosts import (
    Address,
    UnresolvedError,
    UnsafeAddressError,
    parse_address,
    places_of,
)

CONNECT_SECONDS: Final = 10.0
CHUNK: Final = 1 << 16


def main() -> None:
    quieten()
    named = parse_json(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What libraries print is no answer.
    os.dup2(2, 1)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    fetcher = Fetcher(named=named, out=out)
    while True:
        fetcher.answer(parse_json(asked.get()))


@dataclass(slots=True, kw_only=True)
class Fetcher:
    named: Mapping[str, list[str]]
    out: IO[str]
    relays: int = 0

    def answer(self, request: Mapping[str, Any]) -> None:
        """Write what comes of one request: notes and progress, and then an answer or why there is none."""
        do: Mapping[str, Callable[..., Any]] = {
            "archive": self.archive,
            "hub_file": self.hub_file,
            "hub_rows": self.hub_rows,
            "snapshot": self.snapshot,
            "relay": self.relay,
        }
        try:
            self._write({"answer": do[request["what"]](**request["given"])})
        except EngineError as error:
            names = ("code", "message", "hint", "path", "severity")
            problems = [{name: getattr(one, name) for name in names} for one in error.problems]
            self._write({"failed": {"kind": type(error).__name__, "problems": problems}})
        except (UnsafeAddressError, OSError) as error:
            kind = type(error).__name__ if isinstance(error, UnsafeAddressError) else ""
            self._write({"failed": {"kind": kind, "text": str(error)}})
        except Exception as error:  # noqa: BLE001 - whoever asked gets the reason, and may ask again
            self._write({"failed": {"kind": "", "text": f"{type(error).__name__}: {error}"}})

    def note(self, text: str) -> None:
        self._write({"note": text})

    def mention(self, text: str) -> None:
        self._write({"now": text})

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        self._write({"done": [done, total, unit, facts]})

    def _write(self, found: Mapping[str, Any]) -> None:
        self.out.write(f"{json.dumps(found)}\n")
        self.out.flush()

    def archive(self, name: str, version: str, sha256: str | None, folder: str) -> str:
        self._require("packages", name)
        ref = PackageRef(name=name, version=version, sha256=sha256, file="")
        return str(fetch_archive(ref, Path(folder), self))

    def hub_file(self, repo: str, revision: str | None, file: str) -> str:
        self._require("hubs", repo)
        return str(hub.fetch_file(HubRef(repo=repo, revision=revision), file, self))

    def hub_rows(
        self, repo: str, revision: str | None, config: str, split: str, folder: str
    ) -> None:
        self._require("hubs", repo)
        hub.write_rows(HubRef(repo=repo, revision=revision), config, split, Path(folder), self)

    def snapshot(
        self, repo: str, revision: str | None, files: list[str], target: str | None
    ) -> str:
        self._require("hubs", repo)
        ref = HubRef(repo=repo, revision=revision)
        return str(hub.fetch_snapshot(ref, Path(target) if target else None, self, files))

    def relay(self, url: str) -> str:
        """Open a socket here that leads to a server, once the server can be reached; its name."""
        self._require("servers", url)
        address = parse_address(url)
        first = _connected(address)
        self.relays += 1
        name = f"{self.relays}.socket"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(name)
        listener.listen()
        threading.Thread(target=_relay, args=(listener, first, address), daemon=True).start()
        return name

    def _require(self, kind: str, name: str) -> None:
        if name not in self.named[kind]:
            raise DataError.one("X813", f"`{name}` is not what the recipe names")


def _connected(address: Address) -> socket.socket:
    """Return a connection to the first address of a server that takes one. UnsafeAddressError, OSError."""
    failure: OSError = OSError("the name has no address")
    try:
        places = places_of(address)
    except UnresolvedError as error:
        raise OSError(str(error)) from None
    for place in places:
        try:
            found = socket.create_connection((place, address.port), timeout=CONNECT_SECONDS)
        except OSError as error:
            failure = error
            continue
        found.settimeout(None)
        return found
    raise failure


def _relay(listener: socket.socket, first: socket.socket, address: Address) -> None:
    def copy(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while chunk := one.recv(CHUNK):
                other.sendall(chunk)
        # The other thread then reads the end, too, and who asked sees a server that hangs up.
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    there: socket.socket | None = first
    while True:
        here, _ = listener.accept()
        try:
            there = there or _connected(address)
        except (OSError, UnsafeAddressError):
            here.close()
            continue
        for pair in ((here, there), (there, here)):
            threading.Thread(target=copy, args=pair, daemon=True).start()
        there = None


if __name__ == "__main__":
    main()
