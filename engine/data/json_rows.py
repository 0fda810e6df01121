"""JSON and JSON Lines, strictly: RFC 8259, no duplicate keys, no NaN, no number beyond a float.

A top-level array is read value by value, so that a large file is never held whole; an object that
holds one array is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from engine.data.row import Row, Trouble, excerpt
from engine.data.text import MAX_LINE, chunks, lines

MAX_OBJECT = 512 << 20
"""Characters of a JSON file that is one object."""
BLANK = " \t\n\r"


def read_json_lines(
    path: Path, *, encoding: str, header: Sequence[str], trouble: Trouble
) -> Iterator[Row]:
    """Yield one row a line; blank lines are passed over, broken ones added to `trouble`.

    A line that is an array becomes a row through `header`.
    """
    for number, line in enumerate(lines(path, encoding, trouble), 1):
        if not line.strip(BLANK):
            continue
        try:
            value = strict_json(line)
        except _RefusedError as refused:
            trouble.add(refused.code, str(refused), line=number)
            continue
        values = _as_columns(value, header, trouble, line=number)
        if values is not None:
            yield Row(origin=f"{trouble.file}:{number}", values=values)


def read_json(
    path: Path, *, encoding: str, header: Sequence[str], trouble: Trouble
) -> Iterator[Row]:
    """Yield the rows of a JSON file: an array of objects, or an object that holds one array."""
    for number, (line, value) in enumerate(_values(path, encoding, trouble), 1):
        values = _as_columns(value, header, trouble, line=line)
        if values is not None:
            yield Row(origin=f"{trouble.file}#{number}", values=values)


def strict_json(text: str) -> Any:  # noqa: ANN401 - JSON data
    """Return the value of a JSON text; `_RefusedError` where it is not JSON or not unambiguous."""
    value = _parse(lambda: _DECODER.decode(text), text)
    _check_surrogates(value, text, 0, len(text))
    return value


class _RefusedError(Exception):
    """A JSON text is refused; the message says why."""

    def __init__(self, code: str, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.position = position


def _parse[Value](parse: Callable[[], Value], text: str) -> Value:
    try:
        return parse()
    except json.JSONDecodeError as error:
        near = excerpt(text[max(error.pos - 10, 0) : error.pos + 30].strip())
        message = f"not JSON: {_lowered(error.msg)} near `{near}`"
        raise _RefusedError("D325", message, error.pos) from error
    except RecursionError as error:
        raise _RefusedError("D326", "nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise _RefusedError("D326", f"a number is refused: {_lowered(str(error))}") from error


def _check_surrogates(value: object, text: str, start: int, end: int) -> None:
    """Refuse text that no UTF-8 file can hold; only where an escape could have made it."""
    if text.find("\\ud", start, end) < 0 and text.find("\\uD", start, end) < 0:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _RefusedError("D326", "half a surrogate pair is no character") from error


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError("D326", f"key `{excerpt(twice)}` stands twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise _RefusedError("D326", f"`{name}` is not JSON", 0)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _RefusedError("D326", f"number `{excerpt(text)}` is beyond a float")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float, strict=True
)


def _as_columns(
    value: object, header: Sequence[str], trouble: Trouble, *, line: int | None
) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and header:
        if len(value) == len(header):
            return dict(zip(header, value, strict=True))
        message = f"row has {len(value)} values, `header` names {len(header)}"
        trouble.add("D324", message, line=line)
        return None
    hint = "name its columns: `header: [...]`" if isinstance(value, list) else None
    message = f"row is {_kind(value)}, not an object: `{excerpt(json.dumps(value))}`"
    trouble.add("D326", message, line=line, hint=hint)
    return None


def _kind(value: object) -> str:
    names = {list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _values(path: Path, encoding: str, trouble: Trouble) -> Iterator[tuple[int, Any]]:
    """Yield (line, value) for each element of the one array of the file."""
    window = _Window(chunks(path, encoding, trouble), trouble)
    first = window.skip_blank()
    if first == "[":
        yield from window.elements()
        if window.skip_blank():
            raise trouble.stop("D325", "more text after the end of the array", line=window.line)
        return
    if not first:
        raise trouble.stop("D321", "is empty")
    whole = window.rest()
    try:
        value = strict_json(whole)
    except _RefusedError as refused:
        line = whole.count("\n", 0, refused.position) + window.line
        raise trouble.stop(refused.code, str(refused), line=line) from refused
    for element in _only_array(value, trouble):
        yield window.line, element


def _only_array(value: object, trouble: Trouble) -> list[Any]:
    if not isinstance(value, dict):
        raise trouble.stop("D326", f"is {_kind(value)}, not an array of rows")
    arrays = {name: item for name, item in value.items() if isinstance(item, list)}
    if not arrays:
        raise trouble.stop("D326", "is an object without an array of rows in it")
    if len(arrays) > 1:
        names = ", ".join(f"`{excerpt(name)}`" for name in arrays)
        raise trouble.stop("D326", f"holds {len(arrays)} arrays ({names}); one is needed")
    rows: list[Any] = next(iter(arrays.values()))
    return rows


class _Window:
    """The part of a JSON text that is being parsed; grows until one value fits."""

    def __init__(self, pieces: Iterator[str], trouble: Trouble) -> None:
        self._pieces = pieces
        self._trouble = trouble
        self._text = ""
        self._at = 0
        self.line = 1
        """Of the position."""

    def skip_blank(self) -> str:
        """Move to the next character that is not blank and return it; empty at the end."""
        while True:
            start = self._at
            while self._at < len(self._text) and self._text[self._at] in BLANK:
                self._at += 1
            self.line += self._text.count("\n", start, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow():
                return ""

    def elements(self) -> Iterator[tuple[int, Any]]:
        """Yield the elements of the array that starts here, each with its line."""
        self._at += 1
        if self.skip_blank() == "]":
            self._at += 1
            return
        while True:
            if not self.skip_blank():
                raise self._trouble.stop("D325", "the array is never closed", line=self.line)
            yield self.line, self._value()
            mark = self.skip_blank()
            self._at += 1
            if mark == "]":
                return
            if mark != ",":
                what = f"`{mark}`" if mark else "the end of the file"
                message = f"not JSON: `,` or `]` expected after a value, got {what}"
                raise self._trouble.stop("D325", message, line=self.line)

    def rest(self) -> str:
        """Return everything from here on."""
        while len(self._text) - self._at <= MAX_OBJECT and self._grow():
            pass
        if len(self._text) - self._at > MAX_OBJECT:
            raise self._trouble.stop(
                "D326",
                f"is one object of more than {MAX_OBJECT:,} characters",
                hint="write one row a line (JSONL)",
            )
        return self._text[self._at :]

    def _value(self) -> Any:  # noqa: ANN401 - JSON data
        while True:
            try:
                value, end = self._try()
            except _RefusedError as refused:
                if refused.code == "D325" and self._double():
                    continue
                line = self.line + self._text.count("\n", self._at, refused.position)
                raise self._trouble.stop(refused.code, str(refused), line=line) from refused
            if end == len(self._text) and self._grow():
                continue
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def _try(self) -> tuple[Any, int]:
        text, at = self._text, self._at
        value, end = _parse(lambda: _DECODER.raw_decode(text, at), text)
        _check_surrogates(value, text, at, end)
        return value, end

    def _double(self) -> bool:
        """Grow to twice the length; False at the end of the file or of what is held at once."""
        wanted = 2 * (len(self._text) - self._at)
        if wanted > MAX_LINE:
            return False
        grown = False
        while len(self._text) - self._at < wanted and self._grow():
            grown = True
        return grown

    def _grow(self) -> bool:
        """Add the next piece and forget what was parsed; False, and nothing moved, at the end."""
        for piece in self._pieces:
            if piece:
                self._text = self._text[self._at :] + piece
                self._at = 0
                return True
        return False
