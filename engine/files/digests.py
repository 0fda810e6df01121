"""Digests of a folder's files, kept beside them: a later reader sees whether they are what was written. Light."""

import hashlib
import json
import re
from pathlib import Path
from typing import Final

from engine.files.reading import open_regular, read_json
from engine.files.writing import is_half, write_text

FILE: Final = "digests.json"
SHA256: Final = re.compile(r"[0-9a-f]{64}")
SCHEMA: Final = "digests.v1"


def write_digests(folder: Path, *, place: Path | None = None) -> None:
    """Write the sha256 of every file below `folder` into its `digests.json`, or into the file `place`. OSError."""
    target = place or folder / FILE
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        # A half that a kill has left goes when the file is written.
        if path.is_file() and path != target and not is_half(path, target)
    }
    content = json.dumps({"schema": SCHEMA, "files": files}, indent=1)
    write_text(target, content + "\n", durable=True)


def read_digests(place: Path) -> dict[str, str] | None:
    """Return sha256 by file name; None where no digests were written. ValueError, OSError: they cannot be read."""
    if place.is_symlink():
        raise ValueError("a link")
    if not place.exists():
        return None
    found = read_json(place)
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise ValueError("no digests by file name")
    return files


def changed_files(folder: Path, digests: dict[str, str]) -> list[str]:
    """Return the names of files that are missing, behind a link, or not of their digest's bytes, sorted."""
    root = folder.resolve()
    return sorted(name for name, digest in digests.items() if _digest(root / name) != digest)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, as 64 hex digits; OSError when it cannot be read, or is no file."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(path: Path) -> str | None:
    try:
        # Behind a link the bytes may change after the look, and a confined trainer may not read them.
        return sha256_of(path) if path.resolve() == path else None
    except OSError:
        return None
