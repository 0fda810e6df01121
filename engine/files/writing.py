"""Writing files: aside under a name that nobody could have put there, then renamed; never through a link.

Folders are opened one below the other without following links, and what is made is made relative to the folder
that was opened, so a link that stands anywhere below the starting folder is refused and not followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HAS_HANDLES: Final = {os.open, os.mkdir, os.rename, os.unlink} <= os.supports_dir_fd
"""Not on Windows, where folders are looked at by name instead."""
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)


def make_folder(folder: Path, *, below: Path) -> None:
    """Make a folder and those above it, down from `below`, which is made too where it is absent.

    Raises:
        OSError: as `mkdir`; ELOOP where `below` itself or a folder under it is a link, ENOTDIR where it is a file.

    """
    with _opened(folder, below=below, make=True):
        pass


def write_text(path: Path, text: str, *, below: Path | None = None, durable: bool = False) -> None:
    """Put a file in the place of what stands at `path`, whole or not at all, in UTF-8 with the line ends of `text`.

    A link at `path` is replaced and not followed. With `below`, no folder from there down may be a link;
    missing ones are made. `durable` waits until the bytes are on the disk. Raises OSError.
    """
    write_bytes(path, text.encode("utf-8"), below=below, durable=durable)


def write_bytes(
    path: Path, content: bytes, *, below: Path | None = None, durable: bool = False
) -> None:
    """Put bytes in the place of what stands at `path`, as `write_text` does."""
    with _opened(path.parent, below=below, make=below is not None) as handle:
        aside = f".{path.name[:100]}.{secrets.token_hex(8)}.part"
        try:
            with _new_file(path.with_name(aside), handle) as number:
                _write_all(number, content)
                if durable:
                    os.fsync(number)
            os.replace(
                _named(path.with_name(aside), handle),
                _named(path, handle),
                src_dir_fd=handle,
                dst_dir_fd=handle,
            )
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(_named(path.with_name(aside), handle), dir_fd=handle)
            raise


def create_text(path: Path, text: str, *, below: Path | None = None) -> bool:
    """Write a file where nothing stands, not even a link; tell whether it was written. OSError otherwise."""
    with _opened(path.parent, below=below, make=below is not None) as handle:
        try:
            with _new_file(path, handle) as number:
                _write_all(number, text.encode("utf-8"))
        except FileExistsError:
            return False
    return True


def refuse_link(path: Path) -> None:
    """Raise OSError ELOOP where `path` is a link, whether or not what it leads to is there."""
    if path.is_symlink() or path.is_junction():
        raise _link(path)


@contextlib.contextmanager
def _opened(folder: Path, *, below: Path | None, make: bool) -> Iterator[int | None]:
    """Hold a folder open; yields its handle, or None where the system has none."""
    start = folder if below is None else below
    parts = () if below is None else folder.relative_to(below).parts
    if below is not None:
        refuse_link(start)
    if make:
        start.mkdir(parents=True, exist_ok=True)
    if not _HAS_HANDLES:
        _checked_by_name(start, parts, make=make)
        yield None
        return
    handle = os.open(start, _FOLDER | (_NO_LINK if below is not None else 0))
    try:
        for number, part in enumerate(parts):
            inner = _inner(part, handle, start.joinpath(*parts[: number + 1]), make=make)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _inner(part: str, handle: int, path: Path, *, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, dir_fd=handle)
    try:
        return os.open(part, _FOLDER | _NO_LINK, dir_fd=handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and path.is_symlink():
            raise _link(path) from None
        raise


def _checked_by_name(start: Path, parts: tuple[str, ...], *, make: bool) -> None:
    path = start
    for part in parts:
        path /= part
        refuse_link(path)
        if make:
            path.mkdir(exist_ok=True)


@contextlib.contextmanager
def _new_file(path: Path, handle: int | None) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
    number = os.open(_named(path, handle), flags, 0o666, dir_fd=handle)
    try:
        yield number
    finally:
        os.close(number)


def _named(path: Path, handle: int | None) -> str:
    return str(path) if handle is None else path.name


def _write_all(number: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(number, left) :]


def _link(path: Path) -> OSError:
    return OSError(errno.ELOOP, "is a link, and links are not followed here", str(path))
