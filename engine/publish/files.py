"""One file of a publication."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.store import sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
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
