"""Files and folders of the user's: found, readable, and with the sha256 they are pinned to."""

import errno
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from engine.errors import DataError
from engine.files.reading import read_json, require_data
from engine.files.writing import write_text
from engine.recipe.model import PathRef
from engine.recipe.outside import refusal
from engine.recipe.text.paths import names_in
from engine.recipe.text.words import did_you_mean, nearest_file
from engine.recipe.validation.schema_errors import show
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
        try:
            stored = read_json(self._path, follow=False)
            files = stored["files"] if stored["version"] == VERSION else {}
            return {str(name): list(entry) for name, entry in files.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}


def _stamp(path: Path) -> list[str | int]:
    status = path.stat()
    # The modification time can be set back, as `cp -p` and tar do; the change time cannot.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


MOST_ENTRIES: Final = 100_000
"""Entries of a folder that is hashed: `/` exceeds it."""


def check_path(ref: PathRef) -> Path:
    _require(ref)
    if ref.sha256 is not None:
        _digest(ref, sha256_of)
    elif not ref.path.is_dir():
        try:
            require_data(ref.path)
        except OSError as error:
            raise _unreadable(ref, error) from error
    return ref.path


def digest_of_path(ref: PathRef, memory: DigestMemory | None) -> str:
    """Return the sha256 of a file, or of the names and digests of all files of a folder; every byte without a memory.

    A pin in the recipe is compared, so that a changed file stops a run before it begins.
    """
    _require(ref)
    return _digest(ref, memory.sha256 if memory else sha256_of)


def wrong_sha256(subject: str, *, pinned: str, got: str) -> DataError:
    """Return the error of bytes that are not the pinned ones; it shows both digests."""
    return DataError.one(
        "D340",
        f"`{subject}` has another sha256 than the recipe says: got {got}, pinned {pinned}",
        hint=f"if the new bytes are the ones you mean, write `sha256: {got}`",
    )


def _require(ref: PathRef) -> None:
    if ref.withheld:  # refused before anything runs; here in case a caller forgot to
        raise refusal(ref.withheld, "RECIPE")
    try:
        is_there = ref.path.exists()
    except (OSError, ValueError) as error:
        raise _unreadable(ref, error) from None
    if not is_there:
        near = nearest_file(ref.path.name, names_in(ref.path.parent))
        hint = did_you_mean(near) if near else None
        raise DataError.one("D320", f"`{ref.written}` does not exist", hint=hint)


def _digest(ref: PathRef, hashed: Callable[[Path], str]) -> str:
    """Return the digest of what stands there; DataError where it is another than the pinned one."""
    try:
        if ref.path.is_dir():
            # File systems list folders in any order; the digest must not depend on it.
            found = sorted(islice(ref.path.rglob("*"), MOST_ENTRIES + 1))
            if len(found) > MOST_ENTRIES:
                raise _unreadable(
                    ref, OSError(errno.EFBIG, f"holds more than {MOST_ENTRIES:,} files and folders")
                )
            files = [path for path in found if path.is_file()]
            for path in files:
                require_data(path)
            lines = [f"{hashed(path)}  {path.relative_to(ref.path).as_posix()}\n" for path in files]
            got = hashlib.sha256("".join(lines).encode()).hexdigest()
        else:
            require_data(ref.path)
            got = hashed(ref.path)
    except OSError as error:
        raise _unreadable(ref, error) from error
    if ref.sha256 not in (None, got):
        raise wrong_sha256(ref.written, pinned=str(ref.sha256), got=got)
    return got


def _unreadable(ref: PathRef, error: OSError | ValueError) -> DataError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return DataError.one("D320", f"{show(ref.written)} cannot be read: {reason}")
