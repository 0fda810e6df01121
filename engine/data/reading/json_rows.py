"""Rows of JSON and JSON Lines files, value by value: a large file is never held whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.data.reading.json_stream import DEEPEST, JsonStream
from engine.data.reading.row import Row, Trouble, excerpt
from engine.data.reading.strict_json import BLANK, StrictJsonError, kind_of_value, strict_json
from engine.data.reading.text import chunks, lines
from engine.recipe.model import Source
from engine.recipe.text.words import nearest

SHOWN = 12
"""Arrays of a document that are offered to choose from."""


def read_json_lines(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield one row a line; blank lines are passed over, broken ones added to `trouble`.

    A line that is an array becomes a row through the source's `header`.
    """
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
    """Return what to do about a line that is no JSON value but a part of one."""
    text = line.strip(BLANK)
    if text in ("[", "[{", "{"):
        return "this looks like one JSON value on several lines: add `format: json` to the source"
    if text.startswith("{") and text.endswith("},"):
        return "take the comma off the end of each line"
    if text.startswith("{'"):
        return "this is a dict as Python prints it: write each row with json.dumps"
    return None


def read_json(path: Path, source: Source, trouble: Trouble) -> Iterator[Row]:
    """Yield the rows of a JSON file: those of the array at the source's key path `records`.

    Without it, those of the array that the file is, or of the only array that its object holds.
    """
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
    """Yield (line, value) for each element of the array that holds the rows."""
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
    """Looks for the array of rows in an object, on one pass over the document."""

    wanted: str
    """Its key path; empty for the only array of the object."""
    top: list[str] = field(default_factory=list)
    """Arrays of the object itself."""
    below: list[str] = field(default_factory=list)
    """Key paths of arrays further down, the first ones."""
    found: int = 0
    other: str = ""
    """What stands at `wanted` instead of an array."""

    def walk(self, stream: JsonStream, prefix: str, depth: int) -> Iterator[tuple[int, Any]]:
        """Yield the rows, and note what else there is."""
        for key in stream.members():
            path, opening = f"{prefix}{key}", stream.peek()
            if opening == "[":
                arrays = self.below if depth else self.top
                if len(arrays) < SHOWN:
                    arrays.append(path)
                if self._is_wanted(path, depth):
                    self.found += 1
                    yield from _elements(stream)
                    continue
            # Only into what can still lead to the wanted array: anything else is skipped without
            # being held.
            elif opening == "{" and depth < DEEPEST and self._leads_on(path):
                yield from self.walk(stream, f"{path}.", depth + 1)
                continue
            elif path == self.wanted:
                self.other = "an object" if opening == "{" else "a single value"
            stream.skip()

    def judge(self, trouble: Trouble) -> None:
        """Raise DataError unless exactly one array was the one."""
        # Asked at the end: rows were already yielded, so callers may use none before the last.
        if self.found == 1 and (self.wanted or len(self.top) == 1):
            return
        code, message, hint = self._not_found() if self.wanted else self._not_one()
        raise trouble.stop(code, message, line=1, hint=hint)

    def _is_wanted(self, path: str, depth: int) -> bool:
        if self.wanted:
            return path == self.wanted
        return depth == 0 and not self.found

    def _leads_on(self, path: str) -> bool:
        return not self.wanted or self.wanted.startswith(f"{path}.")

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
        """Return the same where the object does not hold one array."""
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
