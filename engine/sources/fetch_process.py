"""A process apart that alone has the network, for a verb that has given its own up.

It fetches what a recipe names of the hub and of the package index, and passes connections on to the servers that it
names; anything else it refuses. It sees no file of the project and none of its keys.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from engine import errors
from engine.errors import EngineError, EnvironmentProblem, Problem
from engine.files.reading import parse_json
from engine.progress import Progress, mention
from engine.trust.hosts import Address, UnsafeAddressError
from engine.values import Value, from_json, to_json

if TYPE_CHECKING:
    from engine.process.child import Child
    from engine.process.confine import Rights

FETCHER: Final = "engine.sources.fetcher"
PREFIXES: Final = ("HF_", "HUGGINGFACE_", "PIP_", "UV_", "XDG_")
NAMES: Final = frozenset(
    {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NETRC", "CURL_CA_BUNDLE"}
    | {"REQUESTS_CA_BUNDLE", "TRANSFORMERS_OFFLINE"}
)
"""Variables of the user's environment, in capitals, that name the hub and the index and hold their keys."""
WISHES: Final = ("HF_DATASETS_OFFLINE", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Set for other children; here the user's own word counts."""
HUB_KEYS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LAST_BYTES: Final = 2000
"""Bytes of the end of its log, shown where it failed."""


class Named(Value):
    """Names in a recipe and a command line that are not on this machine; nothing else is fetched."""

    hubs: tuple[str, ...] = ()
    """Repositories."""
    packages: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    """Base addresses, as `address_text` writes them."""

    @property
    def is_empty(self) -> bool:
        return not (self.hubs or self.packages or self.servers)


@dataclass(slots=True, kw_only=True)
class Apart:
    child: Child
    folder: int
    """An open descriptor of its folder, where its sockets are: a path of any length is too long for one."""
    log: IO[bytes]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, what: str, given: Mapping[str, Any], progress: Progress | None = None) -> Any:
        """Return what the process answers. EngineError as it was raised there, OSError; X812 where it has ended."""
        with self._lock:
            try:
                self.child.send(json.dumps({"what": what, "given": dict(given)}) + "\n")
                while line := self.child.line():
                    found = parse_json(line)
                    if "answer" in found:
                        return found["answer"]
                    if "failed" in found:
                        raise _error(found["failed"])
                    if progress is not None and "note" in found:
                        progress.note(str(found["note"]))
                    elif progress is not None and "now" in found:
                        mention(progress, str(found["now"]))
                    elif progress is not None and "done" in found:
                        done, total, unit, facts = found["done"]
                        progress.update(done, total, unit, **facts)
            except BrokenPipeError:
                pass
        self.log.seek(max(0, self.log.seek(0, 2) - LAST_BYTES))
        text = self.log.read().decode("utf-8", errors="replace").strip()
        raise EnvironmentProblem.one(
            "X812",
            "the process that fetches has ended",
            hint=f"run the same command again; its last lines were:\n{text}" if text else None,
        )

    def relay(self, address: Address) -> str:
        """Return the path of a socket that leads to a server. EngineError, OSError as `ask`; UnsafeAddressError."""
        name = self.ask("relay", {"url": address_text(address)})
        return f"/proc/self/fd/{self.folder}/{name}"


def address_text(address: Address) -> str:
    """Return an address without its path, in the one way that both processes write it."""
    return f"{address.scheme}://{address.bare}:{address.port}"


class _Running:
    apart: Apart | None = None


def apart() -> Apart | None:
    return _Running.apart


def begin(named: Named, rights: Rights, held: ExitStack) -> None:
    """Start it; it ends with `held`, and with this process. OSError where that is not possible."""
    from engine.process import start as processes  # light verbs start none

    folder = held.enter_context(processes.working_folder())
    log = held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with all that is held
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PREFIXES) or name.upper() in NAMES
    }
    variables = {**processes.environment(), **own}
    child = processes.start(
        processes.module(FETCHER)(json.dumps(to_json(named))),
        folder=folder,
        variables={
            **{one: text for one, text in variables.items() if one not in WISHES or one in own},
            "TMPDIR": str(folder),
        },
        out=processes.PIPE,
        errors=log,
        given=processes.PIPE,
        rights=rights,
        keeps_home=True,
    )
    # Not by a signal: once this process is confined, it may not send one.
    held.callback(child.end_input)
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    held.callback(os.close, number)
    _Running.apart = Apart(child=child, folder=number, log=log)
    held.callback(setattr, _Running, "apart", None)
    for name in HUB_KEYS:
        os.environ.pop(name, None)


def _error(failed: Mapping[str, Any]) -> Exception:
    if failed["kind"] == UnsafeAddressError.__name__:
        return UnsafeAddressError(failed["text"])
    kind = getattr(errors, str(failed["kind"]), None)
    if isinstance(kind, type) and issubclass(kind, EngineError):
        return kind([from_json(Problem, one) for one in failed["problems"]])
    return OSError(str(failed["text"]))
