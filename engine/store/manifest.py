"""Artifacts and `artifact.json`: writing it, and judging whether what stands beside it can be believed."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Final

from msgspec.structs import asdict

from engine.errors import Problem, StoreError
from engine.files.digests import SHA256
from engine.files.reading import read_json
from engine.store.signature import Origin, origin_of, sign
from engine.values import Value, fields, to_json


class FileEntry(Value):
    name: str
    """Path below the artifact's files, with `/`."""
    sha256: str
    bytes: int
    mtime_ns: int
    """When it was hashed; a file of the same size and time is not hashed again."""


class Artifact(Value):
    stage: str
    key: str
    path: Path
    """The folder that holds `files`."""
    files: tuple[FileEntry, ...]
    payload: Mapping[str, Any]
    """The values that the key is the hash of."""
    created: str
    """ISO 8601, UTC."""
    seconds: float
    versions: Mapping[str, str]
    adopted: str = ""
    """When this user took it over from somebody else or an earlier version, ISO 8601, UTC; empty for one made here."""
    taken_from: str = ""
    """The shared store that it was taken from; empty for one that was built in this store."""

    def file(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise FileNotFoundError(name)
        return path

    def digest(self) -> str:
        """The sha256 over names and digests of all files: equal bytes, equal digest."""
        lines = (f"{entry.sha256}  {entry.name}\n" for entry in self.files)
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


class DamagedError(StoreError):
    """An artifact whose files are not what its manifest says, or cannot be read back: it is to be built again."""

    def __init__(self, artifact: Artifact, why: str) -> None:
        self.artifact = artifact
        super().__init__(
            Problem(
                code="E752",
                message=f"the stored result of {artifact.stage} is damaged: {why}",
                hint="run the same command again: it is set aside and built anew",
            )
        )


NAME: Final = "artifact.json"
SCHEMA: Final = "artifact.v1"
FILES: Final = "files"
KIND: Final = "artifact"
TAKEN_FROM: Final = "from"


class Stored(Enum):
    ABSENT = "absent"
    WHOLE = "whole"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    """Made by another user, by a version that did not sign, or in another version's form."""


class ArtifactFolder(Value):
    """An artifact's folder as its manifest describes it; the files themselves are not looked at."""

    stored: Stored
    artifact: Artifact | None = None
    """None where no manifest can be read."""


def manifest_text(artifact: Artifact) -> str:
    return json.dumps(manifest_record(artifact), indent=1, ensure_ascii=False, sort_keys=True)


def manifest_record(artifact: Artifact) -> dict[str, Any]:
    """Return the signed manifest as JSON data. EnvironmentProblem as `manifest_text`."""
    described = asdict(artifact)
    del described["path"]
    if not artifact.adopted:
        del described["adopted"]
    if taken_from := described.pop("taken_from"):
        described[TAKEN_FROM] = taken_from
    return sign(KIND, to_json({"schema": SCHEMA, **described}))


def read_manifest(folder: Path) -> ArtifactFolder:
    """Return what the manifest in a folder says of it. EnvironmentProblem E757 for a key that cannot be read."""
    if not os.path.lexists(folder):
        return ArtifactFolder(stored=Stored.ABSENT)
    if folder.is_symlink():
        return ArtifactFolder(stored=Stored.FOREIGN)
    try:
        record = read_json(folder / NAME, follow=False)
    except (OSError, ValueError):
        return ArtifactFolder(stored=Stored.DAMAGED)
    return judged(record, folder)


def judged(record: Any, folder: Path) -> ArtifactFolder:
    """Return what a manifest says of the folder it is to describe. EnvironmentProblem as `read_manifest`."""
    try:
        if record["schema"] != SCHEMA:
            # one of another version is no damage: it is kept for the version that reads it
            is_foreign = re.fullmatch(r"artifact\.v[0-9]+", record["schema"])
            return ArtifactFolder(stored=Stored.FOREIGN if is_foreign else Stored.DAMAGED)
        # a newer version may write further fields, and its results are no less whole for that
        known = {field.name for field in fields(Artifact)} - {"path", "files"}
        given = {name: value for name, value in record.items() if name in known}
        given["taken_from"] = record.get(TAKEN_FROM, "")
        artifact = Artifact(**given, files=tuple(map(_entry, record["files"])), path=folder / FILES)
    except (KeyError, TypeError, ValueError):
        return ArtifactFolder(stored=Stored.DAMAGED)
    # a whole, signed folder under another key's name would pass one result off as another
    if artifact.key != folder.name.partition(".")[0]:
        return ArtifactFolder(stored=Stored.DAMAGED)
    origin = origin_of(KIND, record)
    by_origin = {Origin.OURS: Stored.WHOLE, Origin.FOREIGN: Stored.FOREIGN}
    return ArtifactFolder(stored=by_origin.get(origin, Stored.DAMAGED), artifact=artifact)


def _entry(described: Any) -> FileEntry:
    known = [field.name for field in fields(FileEntry)]
    entry = FileEntry(**{name: described[name] for name in known})
    path = PurePosixPath(entry.name)
    # names are joined to the folder: one that leads out would have other files hashed and linked
    is_inside = path.parts and not path.is_absolute() and not {"..", "."} & set(path.parts)
    if not is_inside or "\\" in entry.name or "\0" in entry.name:
        raise ValueError(f"`{entry.name}` is no name of a file of an artifact")
    # not `isinstance`: JSON's `true` would pass as an int
    if not SHA256.fullmatch(entry.sha256) or type(entry.bytes) is not int:
        raise ValueError(f"`{entry.name}` has no digest or no size")
    return entry


def plain_status(files: Path, name: str) -> os.stat_result | None:
    """Return the status of a regular file of an artifact; None where it is absent, or behind a link."""
    path = files.parent
    parts = (files.name, *PurePosixPath(name).parts)
    try:
        # folder by folder: `lstat` of the whole path would follow links on the way
        for part in parts[:-1]:
            path /= part
            if not stat.S_ISDIR(path.lstat().st_mode):
                return None
        status = (path / parts[-1]).lstat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def regular_files(files: Path) -> Iterator[Path]:
    for path in sorted(files.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            yield path
        elif not stat.S_ISDIR(mode):
            raise ValueError(f"`{path.relative_to(files).as_posix()}` is no regular file")
