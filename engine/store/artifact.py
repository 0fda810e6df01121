"""An artifact: the files one stage left, described by `artifact.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import Problem, StoreError
from engine.values import Value


class FileEntry(Value):
    """One file of an artifact."""

    name: str
    """Path below the artifact's files, with `/`."""
    sha256: str
    bytes: int
    mtime_ns: int
    """When it was hashed; a file of the same size and time is not hashed again."""


class Artifact(Value):
    """A complete, immutable result."""

    stage: str
    key: str
    path: Path
    """The folder that holds `files`."""
    files: tuple[FileEntry, ...]
    payload: Mapping[str, Any]
    """What the key is the hash of."""
    created: str
    """ISO 8601, UTC."""
    seconds: float
    versions: Mapping[str, str]
    adopted: str = ""
    """When this user took it over from somebody else or an earlier version, ISO 8601, UTC; empty for one made here."""
    taken_from: str = ""
    """The shared store that it was taken from; empty for one that was built in this store."""

    def file(self, name: str) -> Path:
        """The path of a file or folder of this artifact; FileNotFoundError when it has none of that name."""
        path = self.path / name
        if not path.exists():
            raise FileNotFoundError(name)
        return path

    def digest(self) -> str:
        """The sha256 over names and digests of all files: equal bytes, equal digest."""
        lines = (f"{entry.sha256}  {entry.name}\n" for entry in self.files)
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


class DamagedError(StoreError):
    """An artifact whose files are not what its manifest says, or cannot be read back: it is to be built again."""

    def __init__(self, artifact: Artifact, why: str) -> None:
        """Say which artifact, and why it cannot be used."""
        self.artifact = artifact
        super().__init__(
            Problem(
                code="E752",
                message=f"the stored result of {artifact.stage} is damaged: {why}",
                hint="run the same command again: it is set aside and built anew",
            )
        )
