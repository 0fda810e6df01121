"""The manifest of an artifact in a shared store: the signed one of its maker, and the parts of its large files.

Everything here was written by somebody else: it is read within bounds, and believed as far as digests show it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from engine.files.reading import parse_json
from engine.store.key import make_key
from engine.store.manifest import Artifact, FileEntry, Stored, judged, manifest_record
from engine.values import Value, replace

SCHEMA: Final = "shared.v1"
PART: Final = 2_000_000
"""Bytes of the largest blob; of `AT_ONCE` of them a killed transfer loses what has not arrived, 8 MB at most."""
MOST: Final = 16_000_000
"""Bytes of a manifest: some 200,000 parts, 400 GB."""
MOST_FILES: Final = 100_000
LONGEST_NAME: Final = 255
"""Bytes of a file's or a folder's name: what file systems take."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class FilePart(Value):
    """A run of bytes of a file."""

    start: int
    bytes: int
    sha256: str


class SharedManifest(Value):
    """What a shared store says of a key."""

    artifact: Artifact
    is_ours: bool
    """Signed with this user's key."""
    parts: Mapping[str, tuple[str, ...]]
    """Digests of the parts of a file, by the file's."""


def artifact_name(key: str) -> str:
    """The name of a manifest."""
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


def digests_of_parts(path: Path) -> tuple[str, ...]:
    """The sha256 of each part of a file."""
    with path.open("rb") as stream:
        return tuple(
            hashlib.sha256(part).hexdigest() for part in iter(lambda: stream.read(PART), b"")
        )


def shared_text(artifact: Artifact) -> bytes:
    """Return the manifest of an artifact of this store; reads its large files."""
    large = {
        entry.sha256: digests_of_parts(artifact.path / entry.name)
        for entry in artifact.files
        if entry.bytes > PART
    }
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
            if not _DIGEST.fullmatch(digest):
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
    if not folders.isdisjoint(names) or max(map(_length, parts), default=0) > LONGEST_NAME:
        raise ValueError("a file lies below another, or has too long a name")
    for entry in artifact.files:
        if entry.bytes < 0 or type(entry.mtime_ns) is not int:
            raise ValueError(f"`{entry.name}` has no size or no time")
        list(parts_of(entry, digests))


def _length(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))
