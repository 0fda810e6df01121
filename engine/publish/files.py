"""One file of a publication."""

from __future__ import annotations

from pathlib import Path

from engine.store import sha256_of
from engine.values import Value


class PublishedFile(Value):
    """One file, by the name that it gets in the place."""

    name: str
    path: Path
    """Where it stands here."""
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: Path) -> PublishedFile:
        """Describe a file as it is now."""
        return cls(name=name, path=path, bytes=path.stat().st_size, sha256=sha256_of(path))
