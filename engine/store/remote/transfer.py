"""Artifacts to and from a shared store: blobs before the manifest on the way out, every byte hashed on the way in.

A killed transfer leaves blobs there, and parts of files in `incoming/` here; the next one goes on from them. Neither
side shows an artifact before its manifest is in place.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from engine.files import writing
from engine.files.digests import SHA256
from engine.files.reading import parse_json
from engine.store.manifest import (
    FILES,
    Artifact,
    FileEntry,
    Stored,
    judged,
    make_key,
    manifest_record,
)
from engine.store.remote.objects import ObjectStore, RefusedError
from engine.values import Value, replace

SCHEMA: Final = "shared.v1"
PART: Final = 2_000_000
"""Bytes of the largest blob; of `AT_ONCE` of them a killed transfer loses what has not arrived, 8 MB at most."""
MOST: Final = 16_000_000
"""Bytes of a manifest: some 200,000 parts, 400 GB."""
MOST_FILES: Final = 100_000
LONGEST_NAME: Final = 255
"""Bytes of a file's or a folder's name: what file systems take."""


class FilePart(Value):
    start: int
    bytes: int
    sha256: str


class SharedManifest(Value):
    artifact: Artifact
    is_ours: bool
    parts: Mapping[str, tuple[str, ...]]
    """Digests of the parts of a file, by the file's."""


def artifact_name(key: str) -> str:
    return f"artifacts/{key[:2]}/{key}.json"


def blob_name(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


def parts_of(entry: FileEntry, digests: Mapping[str, tuple[str, ...]]) -> Iterator[FilePart]:
    """Yield the parts of a file, in order. ValueError where there are more or fewer than its size says."""
    named = digests.get(entry.sha256, (entry.sha256,) if entry.bytes <= PART else ())
    if len(named) != max(1, -(-entry.bytes // PART)):
        raise ValueError(f"`{entry.name}` has {len(named)} parts, and {entry.bytes} bytes")
    for number, digest in enumerate(named):
        start = number * PART
        yield FilePart(start=start, bytes=min(PART, entry.bytes - start), sha256=digest)


def shared_text(artifact: Artifact) -> bytes:
    large = {}
    for entry in artifact.files:
        if entry.bytes > PART:
            with (artifact.path / entry.name).open("rb") as stream:
                parts = iter(lambda: stream.read(PART), b"")
                large[entry.sha256] = [hashlib.sha256(part).hexdigest() for part in parts]
    # where it was taken from says nothing on another machine; that it was not made here does
    record = manifest_record(replace(artifact, taken_from=""))
    described = {"schema": SCHEMA, "manifest": record, "parts": large}
    return (json.dumps(described, ensure_ascii=False, sort_keys=True) + "\n").encode()


def read_shared(content: bytes, key: str, folder: Path) -> SharedManifest:
    """Return what the manifest of `key` says of files that are to lie below `folder`.

    ValueError, in words, where it is none, or of another key, or leads out of the folder.
    """
    try:
        record = parse_json(content)
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise ValueError("it is in no form that this version reads")
        found = judged(record["manifest"], folder)
        parts = {str(name): tuple(digests) for name, digests in record["parts"].items()}
        for digest in (one for digests in (parts, *parts.values()) for one in digests):
            if not SHA256.fullmatch(digest):
                raise ValueError("a part has no digest")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it describes no result") from error
    artifact = found.artifact
    if artifact is None or found.stored not in (Stored.WHOLE, Stored.FOREIGN):
        raise ValueError("it describes no result of that key, or was changed after it was signed")
    # right digests of files say nothing of the question: any result can be put under any key
    if artifact.key != key or make_key(artifact.payload).digest != key:
        raise ValueError("it answers another question than its name says")
    _require_sound(artifact, parts)
    return SharedManifest(artifact=artifact, is_ours=found.stored is Stored.WHOLE, parts=parts)


def _require_sound(artifact: Artifact, digests: Mapping[str, tuple[str, ...]]) -> None:
    names = [entry.name for entry in artifact.files]
    if len(set(names)) != len(names) or len(names) > MOST_FILES:
        raise ValueError("it names a file twice, or too many")
    folders = {above.as_posix() for name in names for above in PurePosixPath(name).parents}
    parts = {part for name in names for part in name.split("/")}
    if not folders.isdisjoint(names) or any(
        len(one.encode("utf-8", "surrogatepass")) > LONGEST_NAME for one in parts
    ):
        raise ValueError("a file lies below another, or has too long a name")
    for entry in artifact.files:
        if entry.bytes < 0 or type(entry.mtime_ns) is not int:
            raise ValueError(f"`{entry.name}` has no size or no time")
        list(parts_of(entry, digests))


INCOMING: Final = "incoming"
"""Folder of a store: files that are being taken from a shared one, `<key>/files/`."""
AT_ONCE: Final = 4
"""Blobs that travel at the same time; each is in memory whole."""
LITTLE: Final = 64_000
"""Bytes of a blob that is sent without asking first whether it is there."""


def find(objects: ObjectStore, key: str, root: Path) -> SharedManifest | None:
    try:
        content = objects.get(artifact_name(key), limit=MOST)
        # named as the folder that the files would lie in: the reader compares the key with it
        folder = root / INCOMING / key
        return None if content is None else read_shared(content, key, folder)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def send(objects: ObjectStore, artifact: Artifact, root: Path) -> tuple[SharedManifest, int]:
    """Return what stands there now, of this artifact or of the one that was first, and how many bytes were sent."""
    there = find(objects, artifact.key, root)
    if there is not None:
        return there, 0
    text = shared_text(artifact)
    manifest = read_shared(text, artifact.key, root / INCOMING / artifact.key)
    blobs = {
        part.sha256: (artifact.path / entry.name, part.start, part.bytes)
        for entry in artifact.files
        for part in parts_of(entry, manifest.parts)
    }
    sent = sum(_each(lambda one: _send_blob(objects, one[0], *one[1]), blobs.items()))
    if objects.create(artifact_name(artifact.key), text):
        return manifest, sent
    first = find(objects, artifact.key, root)
    if first is None:
        raise RefusedError("it refuses a manifest where there is none")
    return first, sent


def _send_blob(objects: ObjectStore, digest: str, path: Path, start: int, size: int) -> int:
    name = blob_name(digest)
    known = objects.size(name) if size > LITTLE else None
    if known is None:
        with path.open("rb") as stream:
            stream.seek(start)
            content = stream.read(size)
        if hashlib.sha256(content).hexdigest() != digest:
            raise RefusedError(f"`{path.name}` changed while it was sent")
        if objects.create(name, content):
            return size
        known = objects.size(name)
    if known != size:
        raise RefusedError(f"blob {digest[:12]} has {known} bytes there, and {size} here")
    return 0


def fetch(objects: ObjectStore, manifest: SharedManifest, root: Path) -> Path:
    """Take the files of an artifact into `incoming/<key>` and return that folder; goes on from what is there.

    UnreachableError, RefusedError, OSError.
    """
    artifact = manifest.artifact
    folder = root / INCOMING / artifact.key
    files = folder / FILES
    names = {entry.name for entry in artifact.files}
    for path in sorted(files.rglob("*")) if files.is_dir() and not files.is_symlink() else []:
        is_known = path.relative_to(files).as_posix() in names and path.is_file()
        if path.is_symlink() or not (is_known or path.is_dir()):
            writing.remove(path, below=root)
    writing.make_folder(files, below=root)
    missing = sum(entry.bytes for entry in artifact.files) - (
        sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
    )
    if missing > (free := shutil.disk_usage(root).free):
        raise RefusedError(f"it has {missing / 1e6:.0f} MB more, and {free / 1e6:.0f} MB are free")
    for entry in artifact.files:
        writing.make_folder((files / entry.name).parent, below=root)
    _each(lambda entry: _fetch_file(objects, entry, files, manifest.parts), artifact.files)
    for inner in (files, *(path for path in files.rglob("*") if path.is_dir())):
        writing.sync_names(inner)
    return folder


def _fetch_file(
    objects: ObjectStore, entry: FileEntry, files: Path, digests: Mapping[str, tuple[str, ...]]
) -> None:
    path, whole = files / entry.name, hashlib.sha256()
    # links are not followed: the folder may have come with a project
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "r+b") as stream:
        for part in parts_of(entry, digests):
            # a part that an earlier transfer left; of an empty file too, which is whole before anything has arrived
            stream.seek(part.start)
            content: bytes | None = stream.read(part.bytes)
            if content is None or hashlib.sha256(content).hexdigest() != part.sha256:
                content = objects.get(blob_name(part.sha256), limit=part.bytes)
                if content is None:
                    raise RefusedError(f"blob {part.sha256[:12]} is not there")
                if hashlib.sha256(content).hexdigest() != part.sha256:
                    raise RefusedError(f"blob {part.sha256[:12]} does not have its digest")
                stream.seek(part.start)
                stream.truncate()
                stream.write(content)
            whole.update(content)
        stream.truncate(entry.bytes)
        stream.flush()
        os.fsync(stream.fileno())
    if whole.hexdigest() != entry.sha256:
        path.unlink()
        raise RefusedError(f"`{entry.name}` does not have its digest")
    # the time of its manifest: a file of the same size and time is not hashed again
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _each[T, R](call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call each, a few at once; the first error ends it."""
    from concurrent.futures import ThreadPoolExecutor  # brings logging, which light verbs spare

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
