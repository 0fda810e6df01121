"""The store: `<root>/store/<ab>/<key>/`, one folder an artifact, `artifact.json` written last.

Owns keys, locks, atomic writes and damage detection; knows nothing of what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import EnvironmentProblem, StoreError
from engine.store.artifact import Artifact, FileEntry
from engine.store.key import StageKey
from engine.store.space import is_full

MANIFEST = "artifact.json"
SCHEMA = "artifact.v1"

README = """\
This folder belongs to `recipe` (distribution slm-recipe).

runs/     one folder a run: report, recipe, links to the exported model. Yours to keep.
store/    results by the sha256 of what was asked; safe to delete, everything in it can be built again.
scratch/  work in progress (training checkpoints); an interrupted run continues from it.
damaged/  results whose bytes no longer matched their digests, moved here and never deleted.
holdouts/ how often each holdout has decided something. Keep it: the count starts at 0 without it.
logs/     reports of bugs in the engine.
"""


class Store:
    """Content-addressed artifacts below one folder. Safe for several processes at once."""

    def __init__(self, root: Path, *, versions: Mapping[str, str] | None = None) -> None:
        """Use `root`; nothing is written before the first `put`."""
        self.root = root
        self._versions = dict(versions or {})

    def folder(self, key: str) -> Path:
        """Where the artifact of `key` stands or would stand."""
        return self.root / "store" / key[:2] / key

    def scratch(self, key: str) -> Path:
        """The folder for work in progress on `key`; it outlives a killed process."""
        path = self.root / "scratch" / key
        self._make(path)
        return path

    def get(self, key: str) -> Artifact | None:
        """The complete artifact of `key`, or None when it is absent or its bytes have changed."""
        folder = self.folder(key)
        artifact = _read_manifest(folder)
        if artifact is None or any(_changed(artifact.path, entry) for entry in artifact.files):
            return None
        return artifact

    def is_damaged(self, key: str) -> bool:
        """Something stands at the place of `key` that is not a complete artifact."""
        return self.folder(key).exists() and self.get(key) is None

    def put(
        self, stage: str, key: StageKey, build: Callable[[Path], None], *, anew: bool = False
    ) -> Artifact:
        """The artifact of `key`; `build` fills an empty folder when it is absent. Built by one process at a time.

        `anew` builds it even when it is there, and then puts it in the old one's place.

        Raises:
            StoreError: the store cannot be written.
            EnvironmentProblem: the disk is full.

        """
        with self.lock(key.digest):
            found = None if anew else self.get(key.digest)
            return found or self._build(stage, key, build)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of `key`; the system releases it when the process dies."""
        from filelock import FileLock  # noqa: PLC0415 - light verbs that only read need no lock

        folder = self.root / "locks"
        self._make(folder)
        with FileLock(folder / f"{key[:16]}.lock"):
            yield

    def _build(self, stage: str, key: StageKey, build: Callable[[Path], None]) -> Artifact:
        aside = self.root / "tmp" / key.digest
        shutil.rmtree(aside, ignore_errors=True)  # ours: the lock says nobody else builds it
        files = aside / "files"
        self._make(files)
        started = time.monotonic()
        try:
            build(files)
            artifact = self._seal(stage, key, aside=aside, seconds=time.monotonic() - started)
        except BaseException as error:
            full = isinstance(error, Exception) and is_full(error, self.root)
            shutil.rmtree(aside, ignore_errors=True)
            if full and not isinstance(error, EnvironmentProblem):
                raise storage_problem(OSError(errno.ENOSPC, ""), self.root) from error
            raise
        shutil.rmtree(self.root / "scratch" / key.digest, ignore_errors=True)
        return artifact

    def _seal(self, stage: str, key: StageKey, *, aside: Path, seconds: float) -> Artifact:
        """Describe what was built, make it durable, and rename it into place."""
        final = self.folder(key.digest)
        try:
            artifact = Artifact(
                stage=stage,
                key=key.digest,
                path=final / "files",
                files=_entries(aside / "files"),
                payload=key.payload,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(seconds, 3),
                versions=self._versions,
            )
            _write_durably(aside / MANIFEST, _manifest(artifact))
            self._make(final.parent)
            if final.exists():
                self._set_aside(final, intact=self.get(key.digest) is not None)
            aside.rename(final)
        except OSError as error:
            raise storage_problem(error, self.root) from error
        return artifact

    def _set_aside(self, folder: Path, *, intact: bool) -> None:
        """Move a damaged artifact out of the way, never deleting it; an intact one is simply replaced."""
        if intact:
            shutil.rmtree(folder)
            return
        damaged = self.root / "damaged"
        self._make(damaged)
        folder.rename(damaged / f"{folder.name}-{time.time_ns()}")

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            readme = self.root / "README.txt"
            if not readme.exists():
                readme.write_text(README, encoding="utf-8")
                (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise storage_problem(error, self.root) from error


def storage_problem(error: OSError, root: Path) -> EnvironmentProblem | StoreError:
    """A failed write told in the user's words: a full disk, or a place that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentProblem.one(
            "E710",
            f"the disk is full: no space left below `{root.name}` "
            f"({shutil.disk_usage(_existing(root)).free / 1e6:.0f} MB free)",
            hint="free some space, then run the same command again: finished stages are kept",
        )
    return StoreError.one(
        "E750",
        f"cannot write to the store `{root.name}`: {error.strerror or error}",
        hint="choose another place with --store FOLDER",
    )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _manifest(artifact: Artifact) -> str:
    fields = asdict(artifact)
    del fields["path"]
    return json.dumps({"schema": SCHEMA, **fields}, indent=1, ensure_ascii=False, sort_keys=True)


def _read_manifest(folder: Path) -> Artifact | None:
    try:
        fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(fields, dict) or fields.pop("schema", None) != SCHEMA:
        return None
    try:
        fields["files"] = tuple(FileEntry(**entry) for entry in fields["files"])
        return Artifact(**fields, path=folder / "files")
    except (KeyError, TypeError):  # not the fields of an artifact
        return None


def _changed(files: Path, entry: FileEntry) -> bool:
    path = files / entry.name
    try:
        status = path.stat()
    except OSError:
        return True
    if status.st_size != entry.bytes:
        return True
    return status.st_mtime_ns != entry.mtime_ns and sha256_of(path) != entry.sha256


def _entries(files: Path) -> tuple[FileEntry, ...]:
    paths = sorted(path for path in files.rglob("*") if path.is_file())
    return tuple(_entry(files, path) for path in paths)


def _entry(files: Path, path: Path) -> FileEntry:
    digest = sha256_of(path)
    _sync(path)
    status = path.stat()
    return FileEntry(
        name=path.relative_to(files).as_posix(),
        sha256=digest,
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits; OSError when it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
