"""Rows of JSON and JSON Lines files, value by value: a large file is never held whole."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.data.reading.row import Row, Trouble, excerpt
from engine.data.reading.strict_json import (
    BLANK,
    StrictJsonError,
    kind_of_value,
    strict_json,
    strict_json_at,
    twice_in_one_object,
)
from engine.data.reading.text import MAX_LINE, chunks, lines
from engine.recipe.model import Source
from engine.recipe.text.words import nearest

DEEPEST = 64
"""Levels of objects that are walked; what lies deeper is parsed whole."""


class JsonStream:
    """A position in a JSON text that comes in pieces. Methods raise DataError, with the line, for no strict JSON."""

    def __init__(self, pieces: Iterator[str], trouble: Trouble) -> None:
        self._pieces = pieces
        self._trouble = trouble
        self._text = ""
        self._at = 0
        self.line = 1

    def peek(self) -> str:
        """Move to the next character that is not blank and return it; empty at the end."""
        while True:
            start, end = self._at, len(self._text)
            while self._at < end and self._text[self._at] in BLANK:
                self._at += 1
            self.line += self._text.count("\n", start, self._at)
            if self._at < end:
                return self._text[self._at]
            if not self._grow():
                return ""

    def value(self) -> Any:
        """Return the value that starts here, and move behind it."""
        self.peek()
        while True:
            try:
                value, end = strict_json_at(self._text, self._at)
            except StrictJsonError as refused:
                # Twice as much each time: a value that is parsed again after every piece would cost quadratic time.
                if refused.unfinished and self._double():
                    continue
                line = self.line + self._text.count("\n", self._at, refused.position)
                raise self._trouble.stop(refused.code, str(refused), line=line) from refused
            # A number that ends with the buffer may go on in the next piece: `12` of `123`.
            if end == len(self._text) and self._grow():
                continue
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def elements(self) -> Iterator[int]:
        """Stop at each element of the array that starts here and yield its line; the caller reads or skips it."""
        return self._items("]", "array", lambda: self.line)

    def members(self) -> Iterator[str]:
        """Stop at each value of the object that starts here and yield its key; otherwise the same."""
        seen: set[str] = set()
        return self._items("}", "object", lambda: self._key(seen))

    def skip(self, depth: int = 0) -> None:
        """Move behind the value that starts here; what is large is not held whole."""
        opening = self.peek()
        if opening == "[":
            for _ in self.elements():
                self.value()
        elif opening == "{" and depth < DEEPEST:
            for _ in self.members():
                self.skip(depth + 1)
        else:
            self.value()

    def end(self) -> None:
        if mark := self.peek():
            message = "not JSON: more text after the end of the value"
            hint = "a file with a value on each line is `format: jsonl`" if mark in "{[" else None
            raise self._trouble.stop("D325", message, line=self.line, hint=hint)

    def _items[Item](self, close: str, what: str, start: Callable[[], Item]) -> Iterator[Item]:
        self._at += 1
        if self.peek() == close:
            self._at += 1
            return
        while True:
            if not self.peek():
                raise self._trouble.stop("D325", f"the {what} is never closed", line=self.line)
            yield start()
            mark = self.peek()
            self._at += len(mark)
            if mark == close:
                return
            if mark != ",":
                raise self._expected(f"`,` or `{close}` expected after a value", mark)

    def _key(self, seen: set[str]) -> str:
        mark = self.peek()
        if mark != '"':
            raise self._expected("a key in double quotes expected", mark)
        key: str = self.value()
        if key in seen:
            raise self._trouble.stop("D326", twice_in_one_object(key), line=self.line)
        seen.add(key)
        mark = self.peek()
        if mark != ":":
            raise self._expected("`:` expected after a key", mark)
        self._at += 1
        return key

    def _expected(self, what: str, mark: str) -> Exception:
        got = f"`{mark}`" if mark else "the end of the file"
        return self._trouble.stop("D325", f"not JSON: {what}, got {got}", line=self.line)

    def _double(self) -> bool:
        """Grow to twice the length; False at the end of the file."""
        wanted = 2 * (len(self._text) - self._at)
        grown = False
        while len(self._text) - self._at < wanted and self._grow():
            grown = True
        if grown and len(self._text) - self._at > MAX_LINE:
            message = f"one value is longer than {MAX_LINE:,} characters: is a quote never closed?"
            raise self._trouble.stop("D336", message, line=self.line)
        return grown

    def _grow(self) -> bool:
        """Add the next piece and forget what was parsed; False, and nothing moved, at the end."""
        for piece in self._pieces:
            if piece:
                # What was parsed is cut off: the buffer holds one value, not the file.
                self._text = self._text[self._at :] + piece
                self._at = 0
                return True
        return False


SHOWN = 12


def read_json_lines(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield one row a line; broken ones are added to `trouble`. A line that is an array gets its `header`."""
    for number, line in enumerate(lines(path, source.encoding, trouble), 1):
        if not line.strip(BLANK):
            continue
        try:
            value = strict_json(line)
        except StrictJsonError as refused:
            hint = None if trouble.count else _line_hint(line)
            trouble.add(refused.code, str(refused), line=number, hint=hint)
            continue
        values = _as_columns(value, source.header, trouble, line=number)
        if values is not None:
            yield trouble.row(f":{number}", values)


def _line_hint(line: str) -> str | None:
    text = line.strip(BLANK)
    if text in ("[", "[{", "{"):
        return "this looks like one JSON value on several lines: add `format: json` to the source"
    if text.startswith("{") and text.endswith("},"):
        return "take the comma off the end of each line"
    if text.startswith("{'"):
        return "this is a dict as Python prints it: write each row with json.dumps"
    return None


def read_json(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows of a JSON file: of the array at the source's key path `records`, or of its only array."""
    stream = JsonStream(chunks(path, source.encoding, trouble), trouble)
    mark = f"#{source.records}:" if source.records else "#"
    for number, (line, value) in enumerate(_values(stream, source.records, trouble), 1):
        values = _as_columns(value, source.header, trouble, line=line)
        if values is not None:
            yield trouble.row(f"{mark}{number}", values)


def _as_columns(
    value: object, header: Sequence[str], trouble: Trouble, *, line: int
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
    if isinstance(value, list) and value and isinstance(value[0], dict):
        hint = "an array of rows is read with `format: json`"
    shown = excerpt(json.dumps(value, ensure_ascii=False))
    message = f"row is {kind_of_value(value)}, not an object: `{shown}`"
    trouble.add("D326", message, line=line, hint=hint)
    return None


def _values(stream: JsonStream, records: str, trouble: Trouble) -> Iterator[tuple[int, Any]]:
    opening = stream.peek()
    if not opening:
        raise trouble.stop("D321", "is empty", line=stream.line)
    if opening == "{":
        search = _ArraySearch(wanted=records)
        yield from search.walk(stream, "", 0)
        stream.end()
        search.judge(trouble)
        return
    if opening == "[":
        if records:
            message = "is an array of rows; `records` names a key of an object"
            raise trouble.stop("D334", message, line=stream.line, hint="delete `records`")
        yield from _elements(stream)
        stream.end()
        return
    line, value = stream.line, stream.value()
    stream.end()
    raise trouble.stop("D326", f"is {kind_of_value(value)}, not an array of rows", line=line)


def _elements(stream: JsonStream) -> Iterator[tuple[int, Any]]:
    for line in stream.elements():
        yield line, stream.value()


@dataclass(slots=True, kw_only=True)
class _ArraySearch:
    wanted: str
    """Its key path; empty for the only array of the object."""
    top: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    found: int = 0
    other: str = ""
    """What stands at `wanted` instead of an array."""

    def walk(self, stream: JsonStream, prefix: str, depth: int) -> Iterator[tuple[int, Any]]:
        for key in stream.members():
            path, opening = f"{prefix}{key}", stream.peek()
            if opening == "[":
                arrays = self.below if depth else self.top
                if len(arrays) < SHOWN:
                    arrays.append(path)
                is_first = depth == 0 and not self.found
                if path == self.wanted if self.wanted else is_first:
                    self.found += 1
                    yield from _elements(stream)
                    continue
            # Only into what can still lead to the wanted array: anything else is skipped without being held.
            elif (
                opening == "{"
                and depth < DEEPEST
                and (not self.wanted or self.wanted.startswith(f"{path}."))
            ):
                yield from self.walk(stream, f"{path}.", depth + 1)
                continue
            elif path == self.wanted:
                self.other = "an object" if opening == "{" else "a single value"
            stream.skip()

    def judge(self, trouble: Trouble) -> None:
        # Asked at the end: rows were already yielded, so callers may use none before the last.
        if self.found == 1 and (self.wanted or len(self.top) == 1):
            return
        code, message, hint = self._not_found() if self.wanted else self._not_one()
        raise trouble.stop(code, message, line=1, hint=hint)

    def _not_found(self) -> tuple[str, str, str | None]:
        """Return code, message and hint where the wanted key path is not that of one array."""
        shown = f"`records: {excerpt(self.wanted)}`"
        if self.found:
            return "D334", f"{shown} stands for {self.found} arrays", None
        if self.other:
            return "D334", f"{shown} is {self.other}, not an array", None
        known = self.top + self.below
        near = nearest(self.wanted, known)
        listed = f"arrays: {_listed(known)}" if known else None
        return "D334", f"{shown} is not in the file", f"did you mean `{near}`?" if near else listed

    def _not_one(self) -> tuple[str, str, str | None]:
        if self.top:
            hint = f"say which one holds the rows: `records: {excerpt(self.top[0])}`"
            return "D333", f"holds {len(self.top)} arrays: {_listed(self.top)}", hint
        message = "is an object without an array of rows in it"
        if not self.below:
            return "D326", message, None
        message = f"{message}; further down there are {_listed(self.below)}"
        return "D333", message, f"say where: `records: {excerpt(self.below[0])}`"


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) == SHOWN else ""
    return ", ".join(f"`{excerpt(name)}`" for name in names) + more
