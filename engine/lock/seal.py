"""Sealing what a lock says of single rows, so that nobody confirms a guessed text by a lock that is public.

A lock holds the start of each recorded text's sha256: whoever guesses the text confirms it with one hash. With a key
beside it those strings are encrypted, and without the key nothing of them can be confirmed, whatever is tried. The
nonce of each string is the MAC of its plain text (synthetic, as in RFC 5297): equal locks give equal files, and two
versions never share a stream. The key is 32 random bytes in `<recipe>.lock.key`, which stays out of version control, or
in the environment. A lock whose key is there is sealed when it is written; plain locks are read as before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from engine.errors import DataError
from engine.files.reading import read_text

FIELD: Final = "sealed"
"""Of the file: the mark of the key that it is sealed with."""
VARIABLE: Final = "SLM_RECIPE_LOCK_KEY"
"""Of the environment: the key, where no file beside the lock holds it."""
KEY_SUFFIX: Final = ".key"
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_NONCE: Final = 16
_OF_A_SPLIT: Final = ("members", "left_out")


def key_path(lock: Path) -> Path:
    """Return where the key of a lock stands: `tickets.lock.json` has `tickets.lock.key` beside it."""
    return lock.with_suffix(KEY_SUFFIX)


def key_of(lock: Path) -> bytes | None:
    """Return the key of a lock, from the file beside it or from the environment; None where there is none.

    DataError D402 where what is there is no key.
    """
    place = key_path(lock)
    try:
        text, where = read_text(place, limit=1000), f"`{place.name}`"
    except FileNotFoundError:
        text, where = os.environ.get(VARIABLE, ""), f"the variable {VARIABLE}"
        if not text:
            return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"the key in `{place.name}` cannot be read") from error
    if not _KEY.fullmatch(text.strip()):
        raise _unusable(f"{where} holds no key: 64 hexadecimal digits")
    return bytes.fromhex(text.strip())


def make_key(lock: Path) -> bool:
    """Write a key beside a lock that has none, for its owner alone; tell whether it was made. OSError as of a file."""
    if key_of(lock) is not None:
        return False
    # From the start for its owner alone, and never through a link.
    handle = os.open(key_path(lock), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(f"{secrets.token_hex(32)}\n")
    return True


def sealed(plain: dict[str, Any], key: bytes) -> dict[str, Any]:
    """Return the content of a lock's file with what it says of single rows encrypted."""
    return {**_with_rows(plain, lambda name, text: _encrypted(name, text, key)), FIELD: _mark(key)}


def opened(data: dict[str, Any], lock: Path) -> dict[str, Any]:
    """Return the content of a lock's file as it was before it was sealed; as it is where it was not.

    DataError D402 without its key, and for strings that this key did not seal.
    """
    if FIELD not in data:
        return data
    key = key_of(lock)
    if key is None:
        raise _unusable(f"`{lock.name}` is sealed, and its key is not here")
    if data[FIELD] != _mark(key):
        raise _unusable(f"`{lock.name}` is sealed with another key than the one that is here")
    plain = {name: value for name, value in data.items() if name != FIELD}
    try:
        return _with_rows(plain, lambda name, text: _decrypted(name, text, key))
    except ValueError as error:
        raise _unusable(f"`{lock.name}` was changed after it was sealed: {error}") from error


def _with_rows(plain: dict[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """Return the content with a change of every string that speaks of single rows."""

    def changed(part: Any, *names: str, at: str) -> Any:
        if not isinstance(part, dict):
            return part
        found = {name: part[name] for name in names if isinstance(part.get(name), str)}
        return {**part, **{name: change(f"{at}.{name}", text) for name, text in found.items()}}

    found: dict[str, Any] = changed(plain, "unused", at="")
    if isinstance(splits := plain.get("splits"), dict):
        found["splits"] = {
            name: changed(part, *_OF_A_SPLIT, at=name) for name, part in splits.items()
        }
    if isinstance(accepted := plain.get("accepted"), dict):
        accepted = changed(accepted, "fingerprints", at="accepted")
        answers = changed(accepted.get("answers"), "entries", at="answers")
        found["accepted"] = {**accepted, "answers": answers}
    return found


def _encrypted(name: str, text: str, key: bytes) -> str:
    content = text.encode()
    nonce = _mac(name, content, key)
    return base64.b64encode(nonce + _streamed(content, nonce, key)).decode()


def _decrypted(name: str, text: str, key: bytes) -> str:
    joined = base64.b64decode(text, validate=True)
    nonce, content = joined[:_NONCE], _streamed(joined[_NONCE:], joined[:_NONCE], key)
    if not hmac.compare_digest(_mac(name, content, key), nonce):
        message = f"`{name.lstrip('.')}` is not what was sealed"
        raise ValueError(message)
    return content.decode()


def _mac(name: str, content: bytes, key: bytes) -> bytes:
    """The nonce: it depends on the field too, so that strings cannot change places."""
    own = hashlib.sha256(b"mac" + key).digest()
    return hmac.digest(own, name.encode() + b"\0" + content, "sha256")[:_NONCE]


def _streamed(content: bytes, nonce: bytes, key: bytes) -> bytes:
    stream = hashlib.shake_256(b"stream" + key + nonce).digest(len(content))
    mixed = int.from_bytes(content) ^ int.from_bytes(stream)
    return mixed.to_bytes(len(content))


def _mark(key: bytes) -> str:
    """What tells keys apart, and says nothing of one."""
    return hashlib.sha256(b"mark" + key).hexdigest()[:16]


def _unusable(why: str) -> DataError:
    hint = f"put the key beside the lock as `<recipe>.lock.key`, or into {VARIABLE}"
    return DataError.one("D402", why, hint=hint)
