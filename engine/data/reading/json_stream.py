"""A JSON document walked from front to back: one value of it in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.data.reading.row import Trouble
from engine.data.reading.strict_json import (
    BLANK,
    StrictJsonError,
    strict_json_at,
    twice_in_one_object,
)
from engine.data.reading.text import MAX_LINE

DEEPEST = 64
"""Levels of objects that are walked; what lies deeper is parsed whole."""


class JsonStream:
    """A position in a JSON text that comes in pieces; only what is being parsed is held.

    Every method raises DataError, with the line, where the text is not strict JSON.
    """

    def __init__(self, pieces: Iterator[str], trouble: Trouble) -> None:
        """Stand at the start of the text."""
        self._pieces = pieces
        self._trouble = trouble
        self._text = ""
        self._at = 0
        self.line = 1
        """Of the position."""

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
                # Twice as much each time: a value that is parsed again after every piece would
                # cost quadratic time.
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
        """Stop at each element of the array that starts here and yield its line.

        The caller reads or skips the element before it goes on.
        """
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
        """Check that nothing more follows."""
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
