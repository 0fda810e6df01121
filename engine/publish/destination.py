"""Where a publication goes: the contract of a place, what came of publishing there, and a folder of this machine."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.errors import Problem, StoreError
from engine.files.writing import new_folder, require_absent
from engine.publish.contents import Publication
from engine.store import sha256_of
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
    return StoreError(
        Problem(
            code="X832",
            message=f"`{name}` in {place} is not what was sent: sha256 {found[:12]} in the place of {sent[:12]}",
            hint="remove it there and publish again",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder(Destination):
    folder: Path

    def words(self) -> str:
        return f"the new folder {self.folder}"

    def check(self, publication: Publication) -> None:
        """RecipeError X830 where something stands there."""
        del publication
        require_absent(self.folder, code="X830", option="--name FOLDER")

    def publish(self, publication: Publication, note: Note) -> Published:
        """Write the folder whole or not at all. RecipeError, StoreError X830; StoreError X832."""
        with new_folder(self.folder, code="X830", option="--name FOLDER") as folder:
            for file in publication.files:
                note(file.name)
                target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, target)
                found = sha256_of(target)
                if found != file.sha256:
                    raise other_file(str(self.folder), file.name, sent=file.sha256, found=found)
        return Published(place=str(self.folder), digest="", read_back=len(publication.files))
