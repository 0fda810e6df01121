"""Whether whoever made a file or a folder still lives: a lock of the kernel on it, which no kill leaves behind.

Who begins something that a kill would leave half done holds it (`hold`) until it is done; what nobody holds any more
(`abandoned`) is nobody's, and the next run removes it. Neither clocks nor process numbers are asked, so that several
machines may share a folder. Where a file system has no such locks, nothing is taken for abandoned.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = "recipe-work-"
"""Prefix of temporary folders that are held; earlier versions held none and named theirs otherwise."""
TRIES: Final = 8
"""Attempts, since another process may remove a folder in the moment before it is held."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def hold(number: int) -> bool:
    """Hold what this descriptor leads to until it is closed. False where it was removed as abandoned meanwhile."""
    # A remover holds it for a moment only, so this may wait.
    with contextlib.suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX)
    return os.fstat(number).st_nlink > 0


@contextlib.contextmanager
def abandoned(path: str | Path, *, within: int | None = None) -> Iterator[bool]:
    """Yield whether nobody holds a file or folder, which then is held within the block; a link never is.

    `within` is the descriptor of the folder that `path` is relative to.
    """
    try:
        number = os.open(path, _READ, dir_fd=within)
    except OSError:
        yield False
        return
    is_held = False
    with contextlib.suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = True
    try:
        yield is_held
    finally:
        os.close(number)


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new, empty, held folder, in the system's place for such if no other is named; gone afterwards.

    One that a kill leaves is removed by `remove_temporary`, which is asked here of another place. OSError where it
    cannot be made.
    """
    if parent is not None:
        remove_temporary(parent)
    for left in reversed(range(TRIES)):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.ExitStack() as stack:
            is_held = False
            # The folder goes before it is let go.
            with contextlib.suppress(FileNotFoundError):
                number = os.open(folder, _READ)
                stack.callback(os.close, number)
                is_held = hold(number)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if left and not is_held:
                continue
            yield folder
            return


def remove_temporary(parent: Path | None = None) -> None:
    """Remove what killed processes of this user left of `temporary_folder`: in the system's place, or in `parent`."""
    with contextlib.suppress(OSError), os.scandir(parent or tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(PREFIX)]
        for path in found:
            with abandoned(path) as is_abandoned:
                if is_abandoned and os.lstat(path).st_uid == os.getuid():
                    shutil.rmtree(path, ignore_errors=True)
