"""The folder of a store: refused where somebody else can change it; what it holds that was not made here."""

import contextlib
import errno
import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import EngineError, Problem, Severity, StoreError
from engine.files import leases, writing
from engine.files.digests import SHA256
from engine.store.manifest import Stored, read_manifest
from engine.store.records import RECORD, SHARED_KEY, UNFINISHED, Runs, is_ours, read_record
from engine.store.remote.transfer import INCOMING
from engine.store.store import GONE, SCRATCH, Store, storage_errors, storage_problem

_LOG: Final = re.compile(
    r"[a-z]+-(\d{4}-\d{2}-\d{2}-\d{6}-)?\d+(-[0-9a-f]{8})?\.(log|events\.jsonl)"
)


def remove_leftovers(store: Store) -> None:
    """Remove half-built results, scratch of finished ones, runs without a record, empty logs and temporary folders."""
    leases.remove_temporary()
    root = store.root
    # killed between the rename of the result and the deletion of its work; one that is not here yet is gone on with
    over = (
        one
        for place in (SCRATCH, INCOMING)
        for one in _inside(root / place)
        if SHA256.fullmatch(one.name) and store.get(one.name)
    )
    for folder in filter(lambda one: SHA256.fullmatch(one.name), (*_inside(root / "tmp"), *over)):
        with contextlib.suppress(OSError, EngineError), store.lock_if_free(folder.name) as is_free:
            if is_free:
                writing.remove(folder, below=root)
    for folder in _inside(root / SCRATCH):
        # killed while it was deleted
        if folder.name.endswith(GONE) and SHA256.fullmatch(folder.name.removesuffix(GONE)):
            with contextlib.suppress(OSError):
                writing.remove(folder, below=root)
    for recipe in _inside(root / "runs"):
        for run in _inside(recipe):
            mark = run / UNFINISHED
            with contextlib.suppress(OSError):
                run.rmdir()  # killed before the mark was in it; fails where anything is
            # of a run that was recorded, the mark alone
            _remove_abandoned(mark, mark if os.path.lexists(run / RECORD) else run, root)
    for log in _inside(root / "logs"):
        if _LOG.fullmatch(log.name) and log.lstat().st_size == 0:
            _remove_abandoned(log, log, root)
    # of small records: the next write of the same one would remove it, and may never come
    for path in (*_inside(root / "holdouts"), *_inside(root / "measured")):
        if path.suffix == ".part":
            _remove_abandoned(path, path, root)


def _remove_abandoned(held: Path, path: Path, root: Path) -> None:
    with contextlib.suppress(OSError), leases.abandoned(held) as is_abandoned:
        if is_abandoned:
            writing.remove(path, below=root)


def _inside(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.iterdir())


def foreign_problem(root: Path) -> Problem | None:
    """Return the warning about what was not made here; None without any. Reads manifests and records, not files."""
    runs = Runs(root)
    folders = [root / "store"]
    for _ in range(2):
        # None of them behind a link.
        plain = (folder for folder in folders if folder.is_dir() and not folder.is_symlink())
        folders = [inner for folder in plain for inner in folder.iterdir()]
    counts = {
        "result": sum(
            not folder.is_symlink() and read_manifest(folder).stored is Stored.FOREIGN
            for folder in folders
        ),
        "run": sum(not is_ours(read_record(run)) for name in runs.names() for run in runs.of(name)),
    }
    found = [
        f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count
    ]
    if not found:
        return None
    return Problem(
        code="E751",
        message=f"{' and '.join(found)} in `{root.name}` were not made here, "
        "or by an earlier version, and are not used",
        hint=SHARED_KEY,
        severity=Severity.WARNING,
    )


def checked_root(root: Path, *, is_named: bool) -> Path:
    """Return the folder of a store, whether or not it is there yet; a link that the user named is resolved.

    StoreError: E753 it is a link that nobody named, or holds links; E750 it is no folder; E754 it belongs to another
    user or everybody may write there.
    """
    if os.path.islink(root):  # False for a name that is too long
        if not is_named:
            raise StoreError.one(
                "E753",
                f"`{root}` is a link, and nothing is read or written through it",
                hint=f"delete it; or, if you made it, name it: --store {shlex.quote(str(root))}",
            )
        root = root.resolve()
    try:
        status = root.stat()
    except FileNotFoundError:
        return root
    except OSError as error:
        raise storage_problem(error, root) from error
    if not stat.S_ISDIR(status.st_mode):
        raise storage_problem(OSError(errno.ENOTDIR, "it is not a folder"), root)
    why = _open_to_others(status)
    if why:
        raise StoreError.one(
            "E754",
            f"the store `{root.name}` {why}: what it holds could be anybody's",
            hint="take the permission away (chmod o-w), or use a store of your own: --store FOLDER",
        )
    with storage_errors(root), os.scandir(root) as entries:
        links = sorted(entry.name for entry in entries if entry.is_symlink())
    if links:
        raise StoreError(
            [
                Problem(
                    code="E753",
                    message=f"`{root.name}/{name}` is a link, and nothing is read or written through it",
                    hint="delete the link; another disk is named whole: --store FOLDER",
                )
                for name in links
            ]
        )
    return root


def _open_to_others(status: os.stat_result) -> str:
    user = os.geteuid()
    # root by way of sudo may work on the store of the user who called it, as with git's safe.directory
    named = os.environ.get("SUDO_UID", "")
    owners = {user} if user or not named.isdecimal() else {0, int(named)}
    if status.st_uid not in owners:
        return "belongs to another user"
    # with the sticky bit, as on /tmp, others can add names but cannot replace what is there
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "can be written by everybody"
    return ""
