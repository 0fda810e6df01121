"""The process that has the network (`engine.sources.apart`): requests come as lines of JSON, and so do answers.

It ends when nobody writes to it any more, whatever it is doing: no signal reaches it from a process that is confined.
"""

from __future__ import annotations

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
from engine.recipe.model import HubRef
from engine.sources.online import quieten
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
    """Answer until the input ends."""
    quieten()
    named = parse_json(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What libraries print is no answer.
    os.dup2(2, 1)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    fetcher = Fetcher(named=named, out=out)
    while True:
        fetcher.answer(parse_json(asked.get()))


def _read(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


@dataclass(slots=True, kw_only=True)
class Fetcher:
    """What may be fetched and asked, and where answers go."""

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
            self._write({"failed": {"kind": type(error).__name__, "problems": _fields(error)}})
        except UnsafeAddressError as error:
            self._write({"failed": {"kind": UnsafeAddressError.__name__, "text": str(error)}})
        except OSError as error:
            self._write({"failed": {"kind": "", "text": str(error)}})
        except Exception as error:  # noqa: BLE001 - whoever asked gets the reason, and may ask again
            self._write({"failed": {"kind": "", "text": f"{type(error).__name__}: {error}"}})

    # -- progress

    def note(self, text: str) -> None:
        """Pass a line on."""
        self._write({"note": text})

    def mention(self, text: str) -> None:
        """Pass on what is done now."""
        self._write({"now": text})

    def update(self, done: int, total: int, unit: str, **facts: str) -> None:
        """Pass on how far it is."""
        self._write({"done": [done, total, unit, facts]})

    def _write(self, found: Mapping[str, Any]) -> None:
        self.out.write(f"{json.dumps(found)}\n")
        self.out.flush()

    # -- what is asked

    def archive(self, name: str, version: str, sha256: str | None, folder: str) -> str:
        """Download an archive of a package into a folder; its path."""
        from engine.sources.index import Wanted, download

        self._require("packages", name)
        wanted = Wanted(name=name, version=version, sha256=sha256)
        return str(download(wanted, Path(folder), self))

    def hub_file(self, repo: str, revision: str | None, file: str) -> str:
        """Download one file of a data set; its path in the hub's cache."""
        from engine.sources.hub import fetch_file

        self._require("hubs", repo)
        return str(fetch_file(HubRef(repo=repo, revision=revision), file, self))

    def hub_rows(
        self, repo: str, revision: str | None, config: str, split: str, folder: str
    ) -> None:
        """Write the rows of a split into a folder."""
        from engine.sources.hub import write_rows

        self._require("hubs", repo)
        write_rows(HubRef(repo=repo, revision=revision), config, split, Path(folder), self)

    def snapshot(
        self, repo: str, revision: str | None, files: list[str], target: str | None
    ) -> str:
        """Download what a model is; the folder."""
        from engine.sources.hub import fetch_snapshot

        self._require("hubs", repo)
        ref = HubRef(repo=repo, revision=revision)
        return str(fetch_snapshot(ref, Path(target) if target else None, self, files))

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
    there: socket.socket | None = first
    while True:
        here, _ = listener.accept()
        try:
            there = there or _connected(address)
        except (OSError, UnsafeAddressError):
            here.close()
            continue
        for one, other in ((here, there), (there, here)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()
        there = None


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while chunk := one.recv(CHUNK):
            other.sendall(chunk)
    # The other thread then reads the end, too, and who asked sees a server that hangs up.
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _fields(error: EngineError) -> list[dict[str, Any]]:
    return [
        {
            "code": one.code,
            "message": one.message,
            "hint": one.hint,
            "path": one.path,
            "severity": one.severity.value,
        }
        for one in error.problems
    ]


if __name__ == "__main__":
    main()
