"""Writing files: aside under a name that nobody could have put there, then renamed; never through a link.

Folders are opened one below the other without following links, and what is made is made relative to the folder
that was opened, so a link that stands anywhere below the starting folder is refused and not followed.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from engine.errors import RecipeError, StoreError
from engine.files import leases
from engine.files.reading import read_text


def require_absent(target: Path, *, code: str, option: str) -> None:
    if target.exists() or target.is_symlink():
        message = f"`{target}` is there already: nothing is overwritten"
        raise RecipeError.one(code, message, hint=f"name another folder with {option}")


@contextmanager
def new_folder(target: Path, *, code: str, option: str) -> Iterator[Path]:
    """Yield a folder that becomes `target` when the block ends, where nothing stood.

    `option` is what names another place. RecipeError, StoreError `code`: something stands there; it cannot be written.
    """
    require_absent(target, code=code, option=option)
    whole = Path(os.path.abspath(target))  # as written: resolving would follow links
    try:
        if (top := top_of(whole)) is None:
            whole.parent.mkdir(parents=True, exist_ok=True)
        else:
            make_folder(whole.parent, below=top)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name[:100]}.", dir=target.parent
        ) as place:
            folder = Path(place) / "folder"
            folder.mkdir()
            yield folder
            folder.rename(target)
    except OSError as error:
        message = f"cannot write `{target}`: {error.strerror or error}"
        raise StoreError.one(code, message, hint=f"name another folder with {option}") from error


COMPILED: Final = "compiled, do not edit"
"""First words of files that a verb writes anew over its own."""
_RANDOM: Final = 12
"""Bytes in the name of a file that is being written; earlier versions, which did not hold theirs, drew eight."""


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
    with replacing(path, below=below, durable=durable) as stream:
        stream.write(text.encode("utf-8"))


def replace_text(path: Path, text: str) -> bool:
    """Have a file hold a text, on the disk when this returns; tell whether it had to be written. OSError.

    A file that holds it is left as it is, with its time.
    """
    # Absent, or not readable: what is wrong with the folder shows when it is written.
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if read_text(path, follow=False) == text:
            return False
    write_text(path, text, durable=True)
    return True


@contextlib.contextmanager
def replacing(
    path: Path, *, below: Path | None = None, durable: bool = False, mode: int | None = None
) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends, and is deleted where it fails.

    `mode` are the permissions of the new file; by default those of any new file. Raises as `write_text` does,
    and EINVAL where a device, a pipe or a socket stands at `path`: renaming would put a file in its place.
    """
    with _opened(path.parent, below=below, make=below is not None) as handle:
        with contextlib.suppress(FileNotFoundError):
            kind = stat.S_IFMT(os.stat(path.name, dir_fd=handle, follow_symlinks=False).st_mode)
            # Of a folder `os.replace` tells.
            if kind not in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR):
                raise OSError(
                    errno.EINVAL, "is a device, a pipe or a socket, not a file", str(path)
                )
        _remove_parts(path, handle)
        with _new_part(path, handle, mode) as (stream, partial):
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
            # while it is held: one that nobody holds is removed
            os.replace(partial, path.name, src_dir_fd=handle, dst_dir_fd=handle)
            if durable:
                _sync_names(handle)


def sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, as far as its file system can. OSError where it is none."""
    with _opened(folder, below=None, make=False) as handle:
        _sync_names(handle)


def _sync_names(handle: int) -> None:
    # without it a power cut could bring the old file back, or none
    with contextlib.suppress(OSError):
        os.fsync(handle)


def remove_parts(path: Path) -> None:
    """Remove what was written aside to take the place of `path` by processes that were killed."""
    with contextlib.suppress(OSError), _opened(path.parent, below=None, make=False) as handle:
        _remove_parts(path, handle)


def open_new(path: Path, *, below: Path | None = None) -> BinaryIO:
    """Open a file for writing where nothing stands, not even a link. FileExistsError where something does."""
    with _opened(path.parent, below=below, make=below is not None) as handle:
        return os.fdopen(_create(path.name, handle, 0o666), "wb")


def share_reading(folder: Path) -> None:
    """Let those read the files below a folder who may read the folder: safetensors writes for the owner alone."""
    others = stat.S_IMODE(folder.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & stat.S_IRUSR and others & ~mode:
                path.chmod(mode | others)


def move(source: Path, target: Path, *, below: Path) -> None:
    """Rename a file, folder or link; no folder from `below` down to either of the two may be a link. OSError."""
    with (
        _opened(source.parent, below=below, make=False) as old,
        _opened(target.parent, below=below, make=True) as new,
    ):
        os.rename(source.name, target.name, src_dir_fd=old, dst_dir_fd=new)
        _sync_names(new)


def remove(path: Path, *, below: Path) -> None:
    """Delete a file, a link (not what it leads to), or a folder with all in it; nothing where nothing stands.

    OSError where it cannot be deleted, ELOOP where a folder from `below` down to it is a link.
    """
    with (
        _opened(path.parent, below=below, make=False) as handle,
        contextlib.suppress(FileNotFoundError),
    ):
        if stat.S_ISDIR(os.stat(path.name, dir_fd=handle, follow_symlinks=False).st_mode):
            shutil.rmtree(path.name, dir_fd=handle)
        else:
            os.unlink(path.name, dir_fd=handle)


def top_of(path: Path) -> Path | None:
    """Return the folder below which links on the way to `path` may be a stranger's: a start for `below`.

    The current folder, else the git repository, that `path` lies in as it is written; None for a path elsewhere,
    whose folders are taken as the user's own.
    """
    whole = Path(os.path.abspath(path))  # as written: resolving would follow the links
    here = Path.cwd()
    if whole.is_relative_to(here):
        return here
    return next((top for top in whole.parents if (top / ".git").exists()), None)


@contextlib.contextmanager
def output(path: Path) -> Iterator[BinaryIO]:
    """Yield the file that a user named for a result; neither it nor a folder of the project on the way may be a link.

    Raises OSError as `replacing`, ELOOP for a link.
    """
    whole, top = Path(os.path.abspath(path)), top_of(path)  # as in `top_of`
    refuse_link(whole)
    if top is None:
        whole.parent.mkdir(parents=True, exist_ok=True)
    with replacing(whole, below=top) as stream:
        yield stream


def write_output(path: Path, text: str) -> None:
    with output(path) as stream:
        stream.write(text.encode("utf-8"))


def create_text(path: Path, text: str, *, below: Path | None = None) -> bool:
    """Write a file where nothing stands, not even a link; tell whether it was written. OSError otherwise."""
    return create_bytes(path, text.encode("utf-8"), below=below)


def create_bytes(path: Path, content: bytes, *, below: Path | None = None) -> bool:
    try:
        with open_new(path, below=below) as stream:
            stream.write(content)
    except FileExistsError:
        return False
    return True


def refuse_link(path: Path) -> None:
    """Raise OSError ELOOP where `path` is a link, whether or not what it leads to is there."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "is a link, and links are not followed here", str(path))


@contextlib.contextmanager
def _opened(folder: Path, *, below: Path | None, make: bool) -> Iterator[int]:
    path = folder if below is None else below
    if below is not None:
        refuse_link(path)
    if make:
        path.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if below else 0))
    try:
        for part in () if below is None else folder.relative_to(below).parts:
            path /= part
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            except OSError as error:
                # of a link Linux says ENOTDIR here, since a folder was asked for, other systems say ELOOP
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    refuse_link(path)
                raise
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _new_part(path: Path, handle: int, mode: int | None) -> Iterator[tuple[BinaryIO, str]]:
    for left in reversed(range(leases.TRIES)):
        # cut, since a name has 255 bytes at most; random, so that nobody can have put a link there
        partial = f".{path.name[:100]}.{secrets.token_hex(_RANDOM)}.part"
        with contextlib.ExitStack() as stack:
            # Ctrl-C too: nothing half written stays beside the file
            stack.callback(_remove_if_there, partial, handle)
            # private from the first moment; `fchmod` then gives the wanted rights, whatever the umask
            number = _create(partial, handle, 0o666 if mode is None else 0o600)
            stream = stack.enter_context(os.fdopen(number, "wb"))
            if mode is not None:
                os.fchmod(number, mode)
            if not leases.hold(number) and left:
                continue  # somebody took it for abandoned in the moment before it was held
            yield stream, partial
            return


def is_half(found: Path, path: Path) -> bool:
    """Tell whether a file is what a kill may leave of one that was being written."""
    name = rf"\.{re.escape(path.name[:100])}\.[0-9a-f]{{{2 * _RANDOM}}}\.part"
    return found.parent == path.parent and re.fullmatch(name, found.name) is not None


def _remove_if_there(name: str, handle: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=handle)


def _remove_parts(path: Path, handle: int) -> None:
    with os.scandir(handle) as entries:
        beside = [entry.name for entry in entries]
    for found in beside:
        if is_half(path.with_name(found), path):
            with leases.abandoned(found, within=handle) as is_abandoned:
                if is_abandoned:
                    _remove_if_there(found, handle)


def _create(name: str, handle: int, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.open(name, flags, mode, dir_fd=handle)
