"""Whether something failed for want of disk space, whatever the library or tool that failed calls it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import EngineError

LITTLE = 1 << 16
"""Bytes. With less than this free, the disk is why: PyTorch does not say so when a write fails."""
SAID = ("no space left on device", "disk quota exceeded", "(os error 28)")


def is_full(error: Exception, folder: Path) -> bool:
    """Tell whether `error`, or what led to it, is a full disk below `folder`."""
    if any(_says_full(one) for one in _causes(error)):
        return True
    return shutil.disk_usage(folder).free < LITTLE


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and not any(one is other for other in seen):
        seen.append(one)
        yield one
        one = one.__cause__ or one.__context__


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    hints = [p.hint or "" for p in error.problems] if isinstance(error, EngineError) else []
    said = "\n".join([str(error), *hints]).lower()
    return any(words in said for words in SAID)
