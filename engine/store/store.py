"""The store: `<root>/store/<ab>/<key>/`, one folder an artifact, `artifact.json` written last."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from engine.errors import EngineError, EnvironmentProblem, Problem, StoreError
from engine.files import writing
from engine.files.digests import SHA256, sha256_of
from engine.files.reading import read_json
from engine.process import interrupts
from engine.store.manifest import (
    FILES,
    Artifact,
    ArtifactFolder,
    DamagedError,
    FileEntry,
    Origin,
    StageKey,
    Stored,
    manifest_text,
    origin_of,
    plain_status,
    product_key,
    read_manifest,
    sign,
)
from engine.store.manifest import NAME as MANIFEST
from engine.values import replace

Build = Callable[[Path], object]
Cached = Callable[[str, Mapping[str, Any], Build], Artifact]
"""`Store.cached`, as it is handed to code that needs nothing else of a store."""

SMALL: Final = 1_000_000
"""Bytes of a file that is hashed whenever its artifact is looked at; a larger one when it is used."""
SCRATCH: Final = "scratch"
GONE: Final = ".gone"
"""Ending of the name of work in progress that is being deleted."""
MARK: Final = ".begun.json"
"""A file in a folder of work in progress: the signature of the user who began it."""

LITTLE: Final = 1 << 16
"""Bytes. With less than this free, the disk is why: PyTorch does not say so when a write fails."""
FULL_DISK: Final = ("no space left on device", "disk quota exceeded", "(os error 28)")
"""Messages of libraries and tools where the disk is full."""

README: Final = Path(__file__).with_name("README.txt")


class Store:
    """Content-addressed artifacts below one folder. Safe for several processes at once."""

    def __init__(self, root: Path, *, versions: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._versions = dict(versions or {})
        self._hashed: dict[Path, tuple[tuple[int, ...], str]] = {}

    def folder(self, key: str) -> Path:
        return self.root / "store" / key[:2] / key

    def scratch(self, key: str) -> Path:
        """The folder for work in progress on `key`; it outlives a killed process.

        One that this user did not begin is moved to `foreign/`: checkpoints are resumed from.
        """
        path = self.root / SCRATCH / key
        if os.path.lexists(path) and not self.has_scratch(key):
            is_plain = path.is_dir() and not path.is_symlink()
            # killed before its mark was written
            if is_plain and all(writing.is_half(one, path / MARK) for one in path.iterdir()):
                with storage_errors(self.root):
                    writing.remove(path, below=self.root)
            else:
                self.move_aside(path, to="foreign", name=f"{SCRATCH}-{key}")
        self._make(path)
        if not (path / MARK).exists():
            text = json.dumps(sign(SCRATCH, {"schema": "scratch.v1", "key": key}))
            with storage_errors(self.root):
                writing.write_text(path / MARK, text + "\n", below=self.root)
        return path

    def has_scratch(self, key: str) -> bool:
        path = self.root / SCRATCH / key
        # a key may come out of a file that a stage left: it must not be a path
        if not SHA256.fullmatch(key) or not _is_plain_folder(self.root, path.parent):
            return False
        try:
            mode = path.lstat().st_mode
            record = read_json(path / MARK, follow=False)
        except (OSError, ValueError):
            return False
        is_ours = isinstance(record, dict) and origin_of(SCRATCH, record) is Origin.OURS
        # the mark names its key: copied into another folder, it would vouch for checkpoints that came with that one
        return stat.S_ISDIR(mode) and is_ours and record.get("key") == key

    def stored(self, key: str) -> Stored:
        return self._looked_through(key).stored

    def get(self, key: str) -> Artifact | None:
        """The complete artifact of `key` that this user made, or None; see `stored`."""
        found = self._looked_through(key)
        return found.artifact if found.stored is Stored.WHOLE else None

    def whole(self, key: str) -> Artifact | None:
        """Like `get`, but reads every byte: once, until something changes the file."""
        artifact = self.get(key)
        if artifact is None:
            return None
        intact = all(self._is_intact(artifact, one, whole=True) for one in artifact.files)
        return artifact if intact else None

    def put(
        self,
        stage: str,
        key: StageKey,
        build: Build,
        *,
        anew: bool = False,
        waits: Callable[[], object] = lambda: None,
    ) -> Artifact:
        """The artifact of `key`; `build` fills an empty folder when it is absent. Built by one process at a time.

        `anew` builds it even when it is there, and then puts it in the old one's place. `waits` is called before this
        waits for another process, which may take as long as the build does.

        StoreError: the store cannot be written. EnvironmentProblem: the disk is full.
        """
        if not anew and (found := self.whole(key.digest)):
            return found
        with self.lock(key.digest, waits=waits):
            # asked again: another process may have built it while this one waited
            found = None if anew else self.whole(key.digest)
            return found or self._build(stage, key, build)

    def cached(
        self,
        name: str,
        payload: Mapping[str, Any],
        build: Build,
        *,
        anew: bool = False,
        waits: Callable[[], object] = lambda: None,
    ) -> Artifact:
        """The inner product `name` of a stage, keyed by its payload alone: built when it is absent, or `anew`."""
        return self.put(name, product_key(name, payload), build, anew=anew, waits=waits)

    def scratch_for(self, name: str, payload: Mapping[str, Any]) -> Path:
        return self.scratch(product_key(name, payload).digest)

    def set_aside(self, key: str) -> None:
        self.move_aside(self.folder(key))

    def deliver(self, artifact: Artifact, name: str, target: Path) -> None:
        """Put a file or folder of an artifact into a run folder: hard links where the file system has them.

        Every byte is hashed where it has arrived.

        DamagedError: a byte is not what the manifest says; the artifact is then set aside. StoreError,
        EnvironmentProblem: the folder cannot be written.
        """
        artifact.file(name)
        for entry in artifact.files:
            if entry.name != name and not entry.name.startswith(f"{name}/"):
                continue
            to = target.parent / f"{target.name}{entry.name.removeprefix(name)}"
            with storage_errors(self.root):
                writing.make_folder(to.parent, below=target.parent)
                link_file(artifact.path / entry.name, to)
                # hashed where it arrived: a copy may fail half way, and a link shows what the store holds now
                is_right = sha256_of(to) == entry.sha256
            if not is_right:
                self.set_aside(artifact.key)
                raise DamagedError(artifact, f"`{entry.name}` does not have its digest")

    def shared_looks(self, digest: str, decisions: Sequence[Mapping[str, Any]] = ()) -> int:
        """How often a holdout has decided on machines that share results, with these decisions; 0 without any."""
        del digest, decisions
        return 0

    def settle(self) -> None: ...

    def problems(self) -> tuple[Problem, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        return ()

    @contextlib.contextmanager
    def lock(self, key: str, *, waits: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Hold the lock of `key`, which the system releases when the process dies; `waits` is called before a wait."""
        with self.lock_if_free(key) as is_free:
            if is_free:
                yield
                return
        waits()
        with self.lock_if_free(key, waits=True):
            yield

    @contextlib.contextmanager
    def lock_if_free(self, key: str, *, waits: bool = False) -> Iterator[bool]:
        path = self.root / "locks" / f"{key[:16]}.lock"
        self._make(path.parent)
        with storage_errors(self.root):
            if path.is_symlink():
                writing.remove(path, below=self.root)
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        # a lock of the kernel, not the presence of a file: after a kill nothing has to be deleted by hand
        is_free = False
        try:
            with storage_errors(self.root), contextlib.suppress(BlockingIOError):
                fcntl.flock(number, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
                is_free = True
            yield is_free
        finally:
            os.close(number)

    def _looked_through(self, key: str) -> ArtifactFolder:
        if not _is_plain_folder(self.root / "store", self.folder(key).parent):
            return ArtifactFolder(stored=Stored.ABSENT)
        found = read_manifest(self.folder(key))
        if found.stored is not Stored.WHOLE or found.artifact is None:
            return found
        intact = all(self._is_intact(found.artifact, one) for one in found.artifact.files)
        return found if intact else replace(found, stored=Stored.DAMAGED)

    def _build(self, stage: str, key: StageKey, build: Build) -> Artifact:
        # below the root, hence on the same file system: only there is the rename into place one step
        partial = self.root / "tmp" / key.digest
        self._make(partial.parent)
        with storage_errors(self.root):
            writing.remove(partial, below=self.root)  # ours: the lock says nobody else builds it
        files = partial / FILES
        started = time.monotonic()
        try:
            self._make(files)
            build(files)
            artifact = self._seal(stage, key, partial=partial, seconds=time.monotonic() - started)
        # Ctrl-C and SIGTERM too: half a model would fill the disk
        except BaseException as error:
            # a signal that comes now waits: half of the folder would stay otherwise
            with interrupts.uninterrupted():
                # asked before the folder is deleted, which frees the very space that was missing
                refused = None
                if isinstance(error, Exception):
                    places = (partial, self.root / SCRATCH / key.digest)
                    refused = out_of_room(error, *(one for one in places if one.is_dir()))
                shutil.rmtree(partial, ignore_errors=True)
            if refused and not isinstance(error, EnvironmentProblem):
                raise storage_problem(refused, self.root) from error
            raise
        with contextlib.suppress(OSError):
            # the result is in place: checkpoints that cannot be deleted only take space
            writing.remove(self.root / SCRATCH / key.digest, below=self.root)
        return artifact

    def _seal(self, stage: str, key: StageKey, *, partial: Path, seconds: float) -> Artifact:
        final, files = self.folder(key.digest), partial / FILES
        with storage_errors(self.root):
            writing.share_reading(files)
            found = [_entry(files, path) for path in _regular(files)]
            artifact = Artifact(
                stage=stage,
                key=key.digest,
                path=final / FILES,
                files=tuple(entry for entry, _ in found),
                payload=key.payload,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(seconds, 3),
                versions=self._versions,
            )
            # the manifest is written last and the folder renamed whole: what has a manifest is complete
            writing.write_text(partial / MANIFEST, manifest_text(artifact), durable=True)
            self._make(final.parent)
            self._make_room(key.digest, final)
            writing.move(partial, final, below=self.root)
        for entry, stamp in found:
            if entry.bytes >= SMALL:
                self._hashed[artifact.path / entry.name] = (stamp, entry.sha256)
        return artifact

    def _make_room(self, key: str, place: Path) -> None:
        """Move what is no result of ours out of the way, never deleting it; an intact one is simply replaced."""
        if not os.path.lexists(place):
            return
        if self.whole(key) is not None:
            writing.remove(place, below=self.root)
        else:
            folder = "foreign" if self.stored(key) is Stored.FOREIGN else "damaged"
            self.move_aside(place, to=folder)

    def move_aside(self, path: Path, *, to: str = "damaged", name: str = "") -> None:
        """Move what cannot be used into the folder `to`, never deleting it; nothing where nothing stands."""
        if not os.path.lexists(path):
            return
        with storage_errors(self.root):
            self._make(self.root / to)
            # the time is in the name since one key can be damaged more than once, and neither copy may be lost
            target = self.root / to / f"{name or path.name}-{time.time_ns()}"
            writing.move(path, target, below=self.root)

    def _is_intact(self, artifact: Artifact, entry: FileEntry, *, whole: bool = False) -> bool:
        status = plain_status(artifact.path, entry.name)
        if status is None or status.st_size != entry.bytes:
            return False
        # models have gigabytes: they are hashed when they are used, not whenever they are looked at
        if not whole and entry.bytes >= SMALL and status.st_mtime_ns == entry.mtime_ns:
            return True
        path = artifact.path / entry.name
        stamp = _stamp(status)
        known = self._hashed.get(path)
        if known is None or known[0] != stamp:
            try:
                known = self._hashed[path] = (stamp, sha256_of(path))
            except OSError:
                return False
        return known[1] == entry.sha256

    def _make(self, folder: Path) -> None:
        with storage_errors(self.root):
            writing.make_folder(folder, below=self.root)
            writing.create_text(self.root / README.name, README.read_text("utf-8"), below=self.root)
            writing.create_text(self.root / ".gitignore", "*\n", below=self.root)


def out_of_room(error: BaseException, *folders: Path) -> OSError | None:
    """Return by which error of the system what is written to folders could not be; None where `error` is another.

    Asked while what is half written is still there: some libraries and tools do not say why a write fails.
    """
    is_full = any(shutil.disk_usage(folder).free < LITTLE for folder in folders)
    one: BaseException | None = error
    seen = set[int]()
    # contexts of exceptions can form a circle
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        hints = [it.hint or "" for it in one.problems] if isinstance(one, EngineError) else []
        text = "\n".join([str(one), *hints]).lower()
        is_full |= any(words in text for words in FULL_DISK)
        is_full |= isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT)
        one = one.__cause__ or one.__context__
    if is_full:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    # Others may be at work in a folder.
    with contextlib.suppress(FileNotFoundError):
        if most != resource.RLIM_INFINITY and any(path.stat().st_size >= most for path in files):
            return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return None


@contextlib.contextmanager
def storage_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_problem(error, root) from error


def storage_problem(error: OSError, root: Path) -> EnvironmentProblem | StoreError:
    """A failed write as a problem for the user: a full disk, a link in the way, or a place that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        existing = next(folder for folder in (root, *root.parents) if folder.exists())
        free = shutil.disk_usage(existing).free
        return EnvironmentProblem.one(
            "E710",
            f"the disk is full: no space left below `{root.name}` ({free / 1e6:.0f} MB free)",
            hint="free some space, then run the same command again: finished stages are kept",
        )
    if error.errno == errno.EFBIG:
        return size_problem()
    if error.errno == errno.ELOOP:
        path = Path(str(error.filename or root))
        is_inside = path.is_relative_to(root) and not root.is_absolute()
        return StoreError.one(
            "E753",
            f"`{path.as_posix() if is_inside else path.name}` is a link, and nothing is written through it",
            hint="delete the link, or choose another place with --store FOLDER",
        )
    return StoreError.one(
        "E750",
        f"cannot write to the store `{root.name}`: {error.strerror or error}",
        hint="choose another place with --store FOLDER",
    )


def size_problem() -> EnvironmentProblem:
    return EnvironmentProblem.one(
        "E742",
        "a file would grow larger than this process may write",
        hint="raise the limit (`ulimit -f unlimited`) and run the same command again",
    )


def _is_plain_folder(start: Path, folder: Path) -> bool:
    # texts and no paths, since this is asked a thousand times in a run
    ones = accumulate((os.fspath(start), *folder.relative_to(start).parts), os.path.join)
    return not any(map(os.path.islink, ones))


def _regular(files: Path) -> list[Path]:
    """Return the files that a stage left, their names on the disk. OSError ELOOP for a link: it may lead elsewhere."""
    paths = sorted(files.rglob("*"))
    for path in paths:
        writing.refuse_link(path)
    for folder in (files, *(path for path in paths if path.is_dir())):
        writing.sync_names(folder)
    return [path for path in paths if path.is_file()]


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Return what a file cannot keep when it changes: its size and time it may, inode and change time not."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _entry(files: Path, path: Path) -> tuple[FileEntry, tuple[int, ...]]:
    # taken before it is hashed: what changes it after that changes its stamp
    status = path.stat()
    digest = sha256_of(path)
    # a power cut could leave the name with an empty file
    writing.sync(path)
    name = path.relative_to(files).as_posix()
    entry = FileEntry(name=name, sha256=digest, bytes=status.st_size, mtime_ns=status.st_mtime_ns)
    return entry, _stamp(status)


def link_file(source: Path, target: Path) -> None:
    """Put a file where nothing stands, as a hard link: models have gigabytes; else as a copy."""
    try:
        os.link(source, target)
    # the name is taken: the copy below would overwrite what stands there
    except FileExistsError:
        raise
    except OSError:
        # another file system, or one without hard links
        shutil.copy2(source, target)
