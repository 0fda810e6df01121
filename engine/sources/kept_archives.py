"""Archives of packages in the user's own cache, so that a base model is downloaded once and not once a project.

An archive is looked for by package, version and sha256, and hashed each time it is taken: what lies there is believed
as little as what an index sends.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import BinaryIO, Final

from engine.files.reading import open_regular
from engine.files.user import packages_folder
from engine.files.writing import replacing

LARGEST: Final = 8 << 30
"""Bytes; more than any model that is sold as a package, and read to its end in a minute."""
WORTH: Final = 1 << 20
"""Bytes: a smaller archive is fetched as fast as it is found."""
_BLOCK: Final = 1 << 20
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9.!+_-]")


def take(name: str, version: str, sha256: str, folder: Path) -> Path | None:
    """Copy an archive into `folder`; None where the cache has none whose bytes have that sha256."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        for kept in sorted(_place(name, version, sha256).iterdir()):
            if kept.lstat().st_size > LARGEST:
                continue
            target = folder / kept.name
            with open_regular(kept, follow=False) as stream, target.open("wb") as out:
                if _copied(stream, out) == sha256:
                    return target
            target.unlink()
    return None


def keep(name: str, version: str, sha256: str, archive: Path) -> None:
    """Put a copy of a downloaded archive there, whole or not at all; a cache that cannot be written is none."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        if not WORTH <= archive.stat().st_size <= LARGEST:
            return
        root = packages_folder()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = _place(name, version, sha256) / archive.name
        with open_regular(archive) as stream, replacing(place, below=root) as out:
            if _copied(stream, out) != sha256:
                raise ValueError(archive)


def _place(name: str, version: str, sha256: str) -> Path:
    return packages_folder() / _UNUSUAL.sub("_", f"{name}-{version}-{sha256}")


def _copied(stream: BinaryIO, out: BinaryIO) -> str:
    """Copy a stream and return the sha256 of what it held."""
    hasher = hashlib.sha256()
    while block := stream.read(_BLOCK):
        hasher.update(block)
        out.write(block)
    return hasher.hexdigest()
