"""Compiled loops over text files: where rows and their values stand, where that needs no second look.

What a loop does not know for certain is left to Python, which reads it as ever.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.text.compiled import compiled
from engine.runtime.text.rows import Bytes, Flags, Offsets

Spans = NDArray[np.int64]
"""By row and column: where a text begins and ends; -1 where the value is no text, or has escapes."""
_TAB, _LINE_FEED, _RETURN, _SPACE, _QUOTE = 9, 10, 13, 32, 34
_COMMA, _MINUS, _POINT, _ZERO, _NINE, _COLON = 44, 45, 46, 48, 57, 58
_BACKSLASH, _OPEN, _CLOSE = 92, 123, 125
_LONGEST_NUMBER: Final = 15
"""Characters of a number that is read over: a longer one may be more than JSON allows."""
WORDS: Final = tuple(np.frombuffer(word, np.uint8) for word in (b"true", b"false", b"null"))


@compiled
def _behind_blanks(data: Bytes, at: int, end: int) -> int:
    while at < end and (data[at] == _SPACE or data[at] == _TAB or data[at] == _RETURN):
        at += 1
    return at


@compiled
def _begins(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    """Tell whether a word stands there."""
    return bool(at + len(word) <= end and np.all(data[at : at + len(word)] == word))


@compiled
def _behind_text(data: Bytes, at: int, end: int) -> int:
    """Return where the closing quote of a text stands; -1 where it has an escape, or a control code."""
    while at < end and data[at] != _QUOTE:
        if data[at] < _SPACE or data[at] == _BACKSLASH:
            return -1
        at += 1
    return at if at < end else -1


@compiled
def _behind_scalar(data: Bytes, at: int, end: int, words: tuple[Bytes, ...]) -> int:
    """Return where a short number or a word of JSON ends; -1 for anything else."""
    for word in words:
        if _begins(data, at, end, word):
            return at + len(word)
    start = at
    at += data[at] == _MINUS if at < end else 0
    whole = at
    while at < end and _ZERO <= data[at] <= _NINE:
        at += 1
    if at == whole or (data[whole] == _ZERO and at > whole + 1):
        return -1
    if at < end and data[at] == _POINT:
        at += 1
        part = at
        while at < end and _ZERO <= data[at] <= _NINE:
            at += 1
        if at == part:
            return -1
    return at if at - start <= _LONGEST_NUMBER else -1


@compiled
def json_values(
    data: Bytes,
    starts: Offsets,
    ends: Offsets,
    keys: tuple[Bytes, Offsets],
    words: tuple[Bytes, ...],
) -> tuple[Spans, Flags]:
    """Return the values of lines, and which lines are certainly objects of these keys, in their order."""
    key_bytes, key_offsets = keys
    count = len(key_offsets) - 1
    spans, sure = np.full((len(starts), count, 2), -1, np.int64), np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        end = ends[row]
        at = _behind_blanks(data, starts[row], end)
        mark = _OPEN
        for key in range(count):
            # Before the first key stands a brace, before the others a comma.
            if at >= end or data[at] != mark:
                break
            mark = _COMMA
            at = _behind_blanks(data, at + 1, end)
            if not _begins(data, at, end, key_bytes[key_offsets[key] : key_offsets[key + 1]]):
                break
            at = _behind_blanks(data, at + key_offsets[key + 1] - key_offsets[key], end)
            if at >= end or data[at] != _COLON:
                break
            at = _behind_blanks(data, at + 1, end)
            if at < end and data[at] == _QUOTE:
                start, at = at + 1, _behind_text(data, at + 1, end)
                if at < 0:
                    break
                spans[row, key, 0], spans[row, key, 1] = start, at
                at += 1
            else:
                at = _behind_scalar(data, at, end, words)
                if at < 0:
                    break
            at = _behind_blanks(data, at, end)
            if key == count - 1 and at < end and data[at] == _CLOSE:
                sure[row] = _behind_blanks(data, at + 1, end) == end
    return spans, sure


@compiled
def _behind_quoted(data: Bytes, at: int) -> tuple[int, int, int]:
    """Return where a quoted field ends that begins there, how many line feeds and how many doubled quotes it has.

    -1 where it does not end, or holds a carriage return that ends a line.
    """
    breaks = doubled = 0
    while at < len(data):
        letter = data[at]
        if letter == _QUOTE:
            if at + 1 >= len(data) or data[at + 1] != _QUOTE:
                return at, breaks, doubled
            doubled += 1
            at += 1
        elif letter == _LINE_FEED:
            breaks += 1
        elif letter == _RETURN and not _ends_line(data, at):
            return -1, breaks, doubled
        at += 1
    return -1, breaks, doubled


@compiled
def _ends_line(data: Bytes, at: int) -> bool:
    """Tell whether a line feed stands behind a carriage return."""
    return bool(at + 1 < len(data) and data[at + 1] == _LINE_FEED)


@compiled
def _behind_field(data: Bytes, at: int, delimiter: int) -> int:
    while at < len(data) and data[at] != delimiter and data[at] != _LINE_FEED:
        at += 1
    return at


@compiled
def _quoted_field(data: Bytes, at: int, delimiter: int) -> tuple[int, int, int, int]:
    """Return where a field begins and ends that begins with a quote, what stands behind it, and its line feeds.

    The beginning is -1 where the field is not the text that stands there, the end where nothing is certain.
    """
    end, breaks, doubled = _behind_quoted(data, at + 1)
    behind = end + 1
    behind += behind < len(data) and data[behind] == _RETURN and _ends_line(data, behind)
    if end < 0 or _behind_field(data, behind, delimiter) != behind:
        return at, -1, at, 0
    return (-1 if breaks or doubled else at + 1), end, behind, breaks


@compiled
def _usual_field(data: Bytes, at: int, form: tuple[int, bool]) -> tuple[int, int, int, int]:
    """Return the same of any other field."""
    delimiter, is_quoted = form
    end = behind = _behind_field(data, at, delimiter)
    is_last = behind == len(data) or data[behind] == _LINE_FEED
    end -= is_last and end > at and data[end - 1] == _RETURN
    # With quotes, a carriage return ends a line as well.
    if is_quoted and (end < behind == len(data) or np.any(data[at:end] == _RETURN)):
        return at, -1, at, 0
    return at, end, behind, 0


@compiled
def table_rows(
    data: Bytes, form: tuple[int, bool], columns: int
) -> tuple[Offsets, Offsets, Spans, Flags]:
    """Return where rows begin and the end, on which lines from 0, their fields, and which rows have so many fields.

    `form` is the delimiter and whether fields may be quoted. A field with a doubled quote, or of more than one line,
    has no span. No row at all where it is not certain how they are divided: where the last one goes on, or quotes and
    carriage returns stand where few write one.
    """
    delimiter, is_quoted = form
    most = 1 + np.sum(data == _LINE_FEED)
    starts, lines = np.zeros(most + 1, np.int64), np.zeros(most + 1, np.int64)
    spans, sure = np.full((most, columns, 2), -1, np.int64), np.zeros(most, np.bool_)
    at = row = line = field = 0
    is_open = len(data) > 0
    while is_open:
        if is_quoted and at < len(data) and data[at] == _QUOTE:
            start, end, at, breaks = _quoted_field(data, at, delimiter)
        else:
            start, end, at, breaks = _usual_field(data, at, form)
        if end < 0:
            return starts[:1], lines[:0], spans[:0], sure[:0]
        if field < columns and start >= 0:
            spans[row, field, 0], spans[row, field, 1] = start, end
        field, line = field + 1, line + breaks
        if at == len(data) or data[at] == _LINE_FEED:
            is_blank = field == 1 and start == starts[row] and start == end
            sure[row] = field == columns and not is_blank
            row, line, field = row + 1, line + 1, 0
            starts[row], lines[row] = min(at + 1, len(data)), line
            is_open = at + 1 < len(data)
        at += 1
    return starts[: row + 1], lines[:row], spans[:row], sure[:row]


@compiled
def gathered(data: Bytes, spans: Spans) -> tuple[Bytes, NDArray[np.int32], Flags]:
    """Return the texts at these spans one after the other, their offsets, and which rows have one."""
    size = np.int64(0)
    for row in range(len(spans)):
        size += spans[row, 1] - spans[row, 0]
    out, offsets = np.empty(size, np.uint8), np.zeros(len(spans) + 1, np.int32)
    found = np.zeros(len(spans), np.bool_)
    at = 0
    for row in range(len(spans)):
        found[row] = spans[row, 0] >= 0
        for place in range(spans[row, 0], spans[row, 1]):
            out[at] = data[place]
            at += 1
        offsets[row + 1] = at
    return out, offsets, found
