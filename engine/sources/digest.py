"""sha256 of files, remembered between runs so that planning does not read gigabytes again."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from engine.files.reading import read_json
from engine.files.writing import write_text
from engine.store import sha256_of

VERSION = 1


class DigestMemory:
    """Digests by path, trusted while size, modification time, change time and inode stay the same.

    A damaged or unwritable memory costs time, never correctness: it is then rebuilt or not kept.
    """

    def __init__(self, path: Path) -> None:
        """Remember in `path`, a JSON file that is made on the first new digest."""
        self._path = path

    def sha256(self, path: Path) -> str:
        """Return the sha256 of the file at `path`; OSError when it cannot be read."""
        known = self._known
        stamp = _stamp(path)
        entry = known.get(str(path))
        if entry is not None and entry[1:] == stamp:
            return str(entry[0])
        digest = sha256_of(path)
        # A file that was written to meanwhile: its digest is right for this call only.
        if _stamp(path) == stamp:
            known[str(path)] = [digest, *stamp]
            text = json.dumps({"version": VERSION, "files": known})
            with suppress(OSError):
                # Renamed into its place, so that a reader never sees half a memory.
                write_text(self._path, text, below=self._path.parent)
        return digest

    @cached_property
    def _known(self) -> dict[str, list[str | int]]:
        return _read(self._path)


def _stamp(path: Path) -> list[str | int]:
    status = path.stat()
    # The modification time can be set back, as `cp -p` and tar do; the change time cannot.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(path: Path) -> dict[str, list[str | int]]:
    try:
        stored = read_json(path, follow=False)
        files = stored["files"] if stored["version"] == VERSION else {}
        return {str(name): list(entry) for name, entry in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
