"""Keys taken out of text before it is kept or shown, in whatever form a server hands them back."""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

PLACEHOLDER: Final = "[key]"
_LEAST: Final = 8
"""Characters from which on a key is looked for in every form; a shorter one only as it is, between other signs."""
_DUMMIES: Final = frozenset(
    {
        *("", "empty", "none", "null", "dummy", "fake", "local", "test"),
        *("token", "key", "ollama", "vllm"),
    }
)
"""Placeholders that people write where a server wants some key: words that may well be answers."""
_NAMES: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)

_kept: set[str] = set()


def keep_secret(key: str) -> None:
    _kept.add(key)


def redacted(text: str, keys: Iterable[str] = ()) -> str:
    """Return a text without any of `keys`, or of those that were kept: plain, in another case, broken over lines,
    escaped for JSON, URLs or HTML, or as base64 or hexadecimal digits.
    """  # noqa: D205 - one sentence
    # the longest first: of a key that holds another one the rest would stay
    for pattern in map(_pattern, sorted({*_kept, *keys}, key=len, reverse=True)):
        if pattern is not None:
            text = pattern.sub(PLACEHOLDER, text)
    return text


def redacted_value(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [redacted_value(item) for item in value]
    if isinstance(value, Mapping):
        return {redacted(str(name)): redacted_value(item) for name, item in value.items()}
    return value


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables whose names say that they are secret; a switch such as `AUTH=1` is none."""
    return tuple(
        value for name, value in environment.items() if len(value) >= _LEAST and _NAMES.search(name)
    )


@lru_cache(maxsize=256)
def _pattern(key: str) -> re.Pattern[str] | None:
    if key.casefold() in _DUMMIES:
        return None
    if len(key) < _LEAST:
        return re.compile(rf"(?<!\w){re.escape(key)}(?!\w)")
    exact = "|".join(re.escape(form) for form in sorted(_encoded(key), key=len, reverse=True))
    spelled = r"(?:\\?\s|\\[nrt])*".join(_letter(letter) for letter in key)
    return re.compile(f"{exact}|(?i:{spelled})")


def _letter(letter: str) -> str:
    code = ord(letter)
    forms = {re.escape(letter), rf"\\{re.escape(letter)}", rf"\\u{code:04x}", rf"&#0*{code};"}
    forms |= {rf"&#x0*{code:x};", *(re.escape(form) for form in (quote(letter, safe=""),))}
    forms |= {f"%{code:02x}"} if code < 128 else set()  # ASCII
    forms |= {re.escape(json.dumps(letter)[1:-1]), re.escape(html.escape(letter))}
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _encoded(key: str) -> set[str]:
    """Return the key as digits of base 64 and 16; of base 64, what does not hang on its neighbours."""
    content = key.encode()
    found = {content.hex(), content.hex().upper(), key[::-1]}
    # base64 takes three bytes at a time, so the digits of a key depend on where it begins
    for before in range(3):
        whole = base64.b64encode(bytes(before) + content).decode().rstrip("=")
        start = (0, 2, 3)[before]
        end = len(whole) - (0 if (before + len(content)) % 3 == 0 else 1)
        inner = whole[start:end]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
