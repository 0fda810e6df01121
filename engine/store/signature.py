"""Keys of results, and whose results a store holds: every record is signed with a key that no repository brings along.

The key is 32 random bytes in the user's state folder, made at the first result; `SLM_RECIPE_STORE_KEY_FILE`
names another file, so that several machines share a store. HMAC-SHA256 over the canonical JSON of a record:
whoever has the key can write results that are believed here, nobody else.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, Final

from engine.errors import EnvironmentProblem
from engine.files import leases, user, writing
from engine.files.reading import read_bytes
from engine.values import Value, fields


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


NAME: Final = "store.key"
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
    named = os.environ.get(user.STORE_KEY)
    try:
        return Path(named) if named else user.state_folder() / NAME
    except RuntimeError as error:  # no home folder
        raise _no_key(str(error)) from error


def _read(place: Path) -> bytes | None:
    try:
        status = place.stat()
        # time and inode are part of the cache's key: a key that is replaced while the process runs is read again
        return _read_again(place, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        # a named key is shared with other machines: one that was made here would be another than theirs
        if user.STORE_KEY in os.environ:
            raise _no_key(f"{user.STORE_KEY} names no file") from None
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
        hint=f"name a file of at least {SHORTEST} random bytes: {user.STORE_KEY}=FILE; or a folder that "
        "can be written: XDG_STATE_HOME=FOLDER",
    )


def _name_of(key: bytes) -> str:
    """Return what a key is called in records; says nothing of it."""
    return hashlib.sha256(b"slm-recipe store key\0" + key).hexdigest()[:16]


def _hmac(key: bytes, kind: str, fields: Mapping[str, Any]) -> str:
    text = f"slm-recipe {kind}\0{canonical_json(fields)}"
    # JSON may hold half of a surrogate pair, which strict UTF-8 refuses
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
