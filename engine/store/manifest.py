"""Artifacts and `artifact.json`: writing, signing and judging them.

The key is 32 random bytes in the user's state folder, made at the first result; `SLM_RECIPE_STORE_KEY_FILE`
names another file, so that several machines share a store. HMAC-SHA256 over the canonical JSON of a record:
whoever has the key can write results that are believed here, nobody else.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final

from msgspec.structs import asdict

from engine.errors import EnvironmentProblem, Problem, StoreError
from engine.files import leases, reading, writing
from engine.files.digests import SHA256
from engine.files.reading import read_bytes, read_json
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


class StageKey(Value):
    digest: str
    """64 hex digits."""
    payload: Mapping[str, Any]


def make_key(payload: Mapping[str, Any]) -> StageKey:
    """The key of a payload of JSON data, dataclasses and tuples; paths are refused, they say nothing of content."""
    plain = _plain(payload)
    digest = hashlib.sha256(canonical_json(plain).encode()).hexdigest()
    return StageKey(digest=digest, payload=plain)


def product_key(name: str, payload: Mapping[str, Any]) -> StageKey:
    """The key of an inner product; it depends on its payload alone, whichever stage asks for it."""
    # wrapped, so that no stage's own payload can have the key of a product
    return make_key({"product": name, "payload": payload})


def canonical_json(value: Any) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


_SCALARS = (str, int, float, bool, type(None))


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:  # most values; the questions below are slow
        return value
    if isinstance(value, Value):
        # A key that older recipes could not have, and that is not written, is no part of what was asked.
        unwritten = getattr(value, "UNWRITTEN", ())
        return {
            field.name: _plain(getattr(value, field.name))
            for field in fields(value)
            if not (field.name in unwritten and getattr(value, field.name) == field.default)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        raise TypeError(f"a path cannot be part of a key: {value.name}")
    return value


KEY_FILE: Final = "store.key"
FIELD: Final = "signed"
"""Field of a record: `by` names the key, `hmac` is over all other fields."""
SHORTEST: Final = 32
LONGEST: Final = 4096


class Origin(Enum):
    OURS = "ours"
    CHANGED = "changed"
    """Signed with this user's key, but not with these fields: damage."""
    FOREIGN = "foreign"
    """Signed with another key, or with none, as versions did that knew of no signatures."""


def sign(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with this user's signature; `kind` keeps records of one sort from passing as another.

    EnvironmentProblem E757 where the key cannot be read, or made.
    """
    key = _read(_place()) or _make(_place())
    fields = {name: value for name, value in record.items() if name != FIELD}
    return {**fields, FIELD: {"by": _name_of(key), "hmac": _hmac(key, kind, fields)}}


def prepare() -> None:
    """Make this user's key where there is none; a confined process can only read it. EnvironmentProblem E757."""
    _read(_place()) or _make(_place())


def origin_of(kind: str, record: Mapping[str, Any]) -> Origin:
    """EnvironmentProblem E757 for a key that cannot be read."""
    signed = record.get(FIELD)
    key = _read(_place()) if isinstance(signed, dict) else None
    if key is None or not isinstance(signed, dict) or signed.get("by") != _name_of(key):
        return Origin.FOREIGN
    fields = {name: value for name, value in record.items() if name != FIELD}
    try:
        expected = _hmac(key, kind, fields)
    except ValueError:  # NaN, which no record holds
        return Origin.CHANGED
    given = str(signed.get("hmac")).encode("utf-8", "replace")
    # in constant time, and over bytes: `compare_digest` refuses texts beyond ASCII, which a
    # stranger's record may hold
    return Origin.OURS if hmac.compare_digest(given, expected.encode()) else Origin.CHANGED


def _place() -> Path:
    named = os.environ.get(reading.STORE_KEY)
    try:
        return Path(named) if named else reading.state_folder() / KEY_FILE
    except RuntimeError as error:  # no home folder
        raise _no_key(str(error)) from error


def _read(place: Path) -> bytes | None:
    try:
        status = place.stat()
        # time and inode are part of the cache's key: a key that is replaced while the process runs is read again
        return _read_again(place, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        # a named key is shared with other machines: one that was made here would be another than theirs
        if reading.STORE_KEY in os.environ:
            raise _no_key(f"{reading.STORE_KEY} names no file") from None
        return None
    except OSError as error:
        raise _no_key(error.strerror or str(error)) from error


@lru_cache(maxsize=4)
def _read_again(place: Path, *_version: int) -> bytes:
    content = read_bytes(place, limit=LONGEST)
    if len(content) < SHORTEST:
        raise OSError(None, f"shorter than {SHORTEST} bytes")
    return content


def _make(place: Path) -> bytes:
    """Make the key, for this user alone; of several processes that do so at once the first one's is taken."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # one at a time: two processes must not sign with two keys
            leases.hold(folder)
            if not os.path.lexists(place):
                with writing.replacing(place, durable=True, mode=0o600) as stream:
                    stream.write(secrets.token_bytes(SHORTEST))
        finally:
            os.close(folder)
    except OSError as error:
        raise _no_key(error.strerror or str(error)) from error
    key = _read(place)
    if key is None:
        raise _no_key("it vanished")
    return key


def _no_key(why: str) -> EnvironmentProblem:
    return EnvironmentProblem.one(
        "E757",
        f"the key that your stores are signed with cannot be used: {why}",
        hint=f"name a file of at least {SHORTEST} random bytes: {reading.STORE_KEY}=FILE; or a folder that "
        "can be written: XDG_STATE_HOME=FOLDER",
    )


def _name_of(key: bytes) -> str:
    """Return what a key is called in records; says nothing of it."""
    return hashlib.sha256(b"slm-recipe store key\0" + key).hexdigest()[:16]


def _hmac(key: bytes, kind: str, fields: Mapping[str, Any]) -> str:
    text = f"slm-recipe {kind}\0{canonical_json(fields)}"
    # JSON may hold half of a surrogate pair, which strict UTF-8 refuses
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
