"""The bytes of objects of a repository, through one `git cat-file --batch` that stays open."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from engine.errors import RecipeError
from engine.files.reading import MAX_BYTES
from engine.review.git import Process, start_git


@dataclass(slots=True, kw_only=True)
class Objects:
    """The objects of one repository."""

    root: Path
    drivers: tuple[str, ...]
    _process: Process | None = field(default=None, repr=False)

    def read(self, name: str, what: str) -> tuple[str, bytes]:
        """Return the type and the bytes of an object; `what` is the file that it is.

        Raises:
            OSError: EFBIG where it holds more than `MAX_BYTES`.
            RecipeError: R025 where this clone lacks it.

        """
        stdin, stdout = self._streams()
        stdin.write(f"{name}\n".encode())
        stdin.flush()
        head = stdout.readline().decode(errors="replace").split()
        # Id, type, size.
        if len(head) != 3 or not head[2].isdigit():
            raise lacking(what)
        size = int(head[2])
        if size > MAX_BYTES:
            # The bytes are still in the pipe, and would be read as the next answer.
            self.close()
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES / 1e6:.0f} MB", what)
        content = stdout.read(size)
        # git ends the bytes of each object with a line break.
        stdout.read(1)
        return head[1], content

    def _streams(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            self._process = start_git(("cat-file", "--batch"), self.root, self.drivers)
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        return self._process.stdin, self._process.stdout

    def close(self) -> None:
        """End the process; the next object starts another one."""
        if self._process is not None:
            self._process.kill()
            # It closes the pipes and waits, so that no zombie stays behind.
            self._process.communicate()
            self._process = None


def lacking(what: str) -> RecipeError:
    """Return that a clone lacks the bytes of something: R025."""
    return RecipeError.one(
        "R025",
        f"this clone lacks the bytes of `{what}`, and nothing is fetched here",
        hint="fetch them: git fetch --refetch --no-filter origin",
    )
