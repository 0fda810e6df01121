"""What runs that were killed, or that found no space, have left in a store: removed before the next one begins."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import EngineError
from engine.files import leases, writing
from engine.store.remote.transfer import INCOMING
from engine.store.runs import BEGUN, RECORD, UNFINISHED
from engine.store.store import GONE, SCRATCH, Store

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_LOG: Final = re.compile(
    r"[a-z]+-(\d{4}-\d{2}-\d{2}-\d{6}-)?\d+(-[0-9a-f]{8})?\.(log|events\.jsonl)"
)


def remove_leftovers(store: Store) -> None:
    """Remove half-built results, scratch of finished ones, runs without a record, empty logs and temporary folders."""
    leases.remove_temporary()
    root = store.root
    for folder in _inside(root / "tmp"):
        _remove_unlocked(store, folder)
    for folder in _inside(root / SCRATCH):
        name = folder.name
        # killed between the rename of the result and its deletion
        if _KEY.fullmatch(name) and store.get(name) is not None:
            _remove_unlocked(store, folder)
        # killed while it was deleted
        elif name.endswith(GONE) and _KEY.fullmatch(name.removesuffix(GONE)):
            with contextlib.suppress(OSError):
                writing.remove(folder, below=store.root)
    for folder in _inside(root / INCOMING):
        # one that is not here yet is gone on with where it is asked for
        if _KEY.fullmatch(folder.name) and store.get(folder.name) is not None:
            _remove_unlocked(store, folder)
    for recipe in _inside(root / "runs"):
        for run in _inside(recipe):
            _remove_unrecorded(root, run)
    for log in _inside(root / "logs"):
        if _LOG.fullmatch(log.name) and log.lstat().st_size == 0:
            _remove_abandoned(log, log, root)
    # of small records: the next write of the same one would remove it, and may never come
    for path in (*_inside(root / "holdouts"), *_inside(root / "measured")):
        if path.suffix == ".part":
            _remove_abandoned(path, path, root)


def _remove_unlocked(store: Store, folder: Path) -> None:
    if not _KEY.fullmatch(folder.name):
        return
    with contextlib.suppress(OSError, EngineError), store.lock_if_free(folder.name) as is_free:
        if is_free:
            writing.remove(folder, below=store.root)


def _remove_unrecorded(root: Path, run: Path) -> None:
    """Remove the folder of a run that was never recorded; of one that was, the mark that it left."""
    mark = run / UNFINISHED
    if run.name.startswith(BEGUN):
        with contextlib.suppress(OSError):
            run.rmdir()  # killed before the mark was in it; fails where anything is
    _remove_abandoned(mark, mark if os.path.lexists(run / RECORD) else run, root)


def _remove_abandoned(held: Path, path: Path, root: Path) -> None:
    with contextlib.suppress(OSError), leases.abandoned(held) as is_abandoned:
        if is_abandoned:
            writing.remove(path, below=root)


def _inside(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.iterdir())
