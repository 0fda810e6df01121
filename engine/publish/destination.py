"""Where a publication goes: the contract of a place, and what came of publishing there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

from engine.errors import Problem, StoreError
from engine.publish.contents import Publication
from engine.values import Value

Note = Callable[[str], None]
"""Says how far publishing has come."""


class Published(Value):
    """What stands in a place after its files were read back and had the digests that were sent."""

    place: str
    """As people open it: a folder, an address, a name."""
    digest: str
    """By which the place names this version: a commit, a manifest; empty where it has none."""
    read_back: int
    """Files, or parts of a file, that were read back and compared."""
    lines: tuple[str, ...] = ()
    """What else a person should know, a line each."""


class Destination(Protocol):
    """One kind of place. `check` was called before `publish`."""

    def words(self) -> str:
        """Return where the files would go, and who could read them."""

    def takes(self, name: str) -> bool:
        """Tell whether a file of a publication goes there."""
        del name
        return True

    def check(self, publication: Publication) -> None:
        """Refuse what can be seen to fail without reaching anything outside this machine. EngineError."""

    def publish(self, publication: Publication, note: Note) -> Published:
        """Write, read back, compare. EngineError; StoreError X832 where something else came back."""


def require_sent(blocks: Iterable[bytes], place: str, name: str, *, sha256: str, size: int) -> None:
    """Raise StoreError X832 unless the blocks that come back are the file that was sent."""
    found, read = hashlib.sha256(), 0
    for block in blocks:
        found.update(block)
        read += len(block)
        if read > size:  # what is longer is another one, and may have no end
            break
    if found.hexdigest() != sha256:
        raise other_file(place, name, sent=sha256, found=found.hexdigest())


def other_file(place: str, name: str, *, sent: str, found: str) -> StoreError:
    """Return the error of a file that came back otherwise."""
    return StoreError(
        Problem(
            code="X832",
            message=f"`{name}` in {place} is not what was sent: sha256 {found[:12]} in the place of {sent[:12]}",
            hint="remove it there and publish again",
        )
    )
