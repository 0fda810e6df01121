"""JSON texts, strictly: RFC 8259, no duplicate keys, no NaN, no number beyond a float."""

import json
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from msgspec import MsgspecError
from msgspec.json import decode

from engine.data.reading.row import excerpt, first_repeated

BLANK = " \t\n\r"
LONGEST_WORD = 16
"""Characters that a number, word or escape may lack when the text is cut off in it."""


class StrictJsonError(Exception):
    def __init__(
        self, code: str, message: str, position: int = 0, *, unfinished: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.position = position
        self.unfinished = unfinished
        """More text could make it right: it is wrong at its end only."""


def strict_json(text: str) -> Any:
    """Return the value of a JSON text; `StrictJsonError` where it is not JSON or not unambiguous."""
    if (found := _flat_object(text)) is not None:
        return found
    value = _parse(lambda: _DECODER.decode(text), text)
    _check_surrogates(value, text, 0, len(text))
    return value


def _flat_object(text: str) -> dict[str, Any] | None:
    """Return an object of texts, numbers and the like, as most rows are; None for what has to be read strictly."""
    if "\\" in text:
        return None
    try:
        found = decode(text)
    except (MsgspecError, ValueError, RecursionError):  # named by the strict reader
        return None
    if not isinstance(found, dict):
        return None
    kinds = [*map(type, found.values())]
    # A key that stands twice has quotes that are not counted here.
    is_counted = text.count('"') == 2 * (len(kinds) + kinds.count(str))
    return found if is_counted and {str, int, bool, type(None)}.issuperset(kinds) else None


def strict_json_at(text: str, start: int) -> tuple[Any, int]:
    value, end = _parse(lambda: _DECODER.raw_decode(text, start), text)
    _check_surrogates(value, text, start, end)
    return value, end


def kind_of_value(value: object) -> str:
    names = {
        list: "an array",
        dict: "an object",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _parse[Value](parse: Callable[[], Value], text: str) -> Value:
    try:
        return parse()
    except json.JSONDecodeError as error:
        near = excerpt(text[max(error.pos - 10, 0) : error.pos + 30].strip())
        message = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} near `{near}`"
        # A text cut off within `true` or an escape fails a few characters before its end; an open
        # string fails at its first quote.
        at_end = error.pos + LONGEST_WORD > len(text) or error.msg.startswith("Unterminated")
        raise StrictJsonError("D325", message, error.pos, unfinished=at_end) from error
    except RecursionError as error:
        raise StrictJsonError("D326", "nested too deeply") from error
    # Python's limit against the quadratic cost of long whole numbers (CVE-2020-10735).
    except ValueError as error:
        limit = f"{sys.get_int_max_str_digits():,}"
        raise StrictJsonError("D326", f"a number has more than {limit} digits") from error


def _check_surrogates(value: object, text: str, start: int, end: int) -> None:
    """Refuse text that no UTF-8 file can hold; only where an escape could have made it."""
    if text.find("\\ud", start, end) < 0 and text.find("\\uD", start, end) < 0:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise StrictJsonError("D326", "half a surrogate pair is no character", start) from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # The json module keeps the last of two equal keys in silence.
    if len(found) != len(pairs):
        twice = first_repeated(name for name, _ in pairs)
        raise StrictJsonError("D326", twice_in_one_object(str(twice)))
    return found


def twice_in_one_object(key: str) -> str:
    return f"key `{excerpt(key)}` stands twice in one object"


def _constant(name: str) -> NoReturn:
    raise StrictJsonError("D326", f"`{name}` is not JSON")


def _float(text: str) -> float:
    # `1e999` becomes infinity without an error, and infinity is not JSON.
    value = float(text)
    if not math.isfinite(value):
        raise StrictJsonError("D326", f"number `{excerpt(text)}` is beyond a float")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float, strict=True
)
