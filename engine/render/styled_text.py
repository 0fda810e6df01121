"""Styled lines for terminals: the same words with and without colour."""

import json
import re
import unicodedata
from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text and its style: a key of `STYLES`, or empty for none."""
Line = tuple[Span, ...]

STYLES = {
    "place": "bold",
    "error": "bold red",
    "warning": "bold yellow",
    "mark": "red",
    "hint": "cyan",
    "quiet": "dim",
    "strong": "bold",
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "warn": "yellow",
    "bar": "cyan",
}

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")
"""Within words of Persian and Hindi, and within emoji."""
_TAB = "    "
_OBEYED = re.compile(
    "\x1b\\[(?:0|[12]|(?:[12];)?3[1-7])m"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""A style as `to_text` writes it, or a single character: one that a terminal obeys, or one that nobody sees.

The letters of tags (U+E0000 on) are whole hidden sentences, which an agent that reads the terminal sees.
"""


def printable(text: str) -> str:
    """The text with nothing a terminal would obey: control and direction characters become escapes.

    A tab becomes four spaces; line breaks are escaped too, so the result is always one line.
    """
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character == "\t":
        return _TAB
    hostile = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI
    if not hostile:
        return character
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # latin-1


def cleaned(text: str, *, colour: bool = False) -> str:
    r"""The text with line breaks and tabs as they are and all else that a terminal would obey as `\u001b`.

    So is what nobody sees, joiners apart, such as `\u200b`.

    With `colour`, what `to_text` writes for styles stays: a text of somebody else's may then be coloured, not hidden.
    """
    return _OBEYED.sub(lambda match: _kept_or_escaped(match[0], colour=colour), text)


def revealed(text: str) -> str:
    r"""The text as `cleaned`, and every format character as JSON's escape, were it one that is seen; joiners stay.

    For names, which must not look alike, and for agents.
    """
    unseen = {one for one in text if unicodedata.category(one) == "Cf"} - _JOINERS
    for one in unseen:
        text = text.replace(one, json.dumps(one)[1:-1])
    return cleaned(text)


def _kept_or_escaped(matched: str, *, colour: bool) -> str:
    if colour and len(matched) > 1:
        return matched
    # as JSON writes it, since results for programs pass here as well
    units = matched[0].encode("utf-16-be", "surrogatepass").hex()
    escape = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return f"{escape}{matched[1:]}"


def pad(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))


def crop(text: str, width: int) -> str:
    """The text cut to `width` terminal columns, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def line(*spans: str | Span) -> Line:
    return tuple((span, "") if isinstance(span, str) else span for span in spans)


def to_text(lines: Iterable[Line], *, colour: bool) -> str:
    """The lines joined, each ended by a line break; escape sequences only with `colour`."""
    if not colour:
        return "".join("".join(text for text, _ in spans).rstrip() + "\n" for spans in lines)
    return "".join("".join(_painted(span) for span in spans) + "\n" for spans in lines)


def _painted(span: Span) -> str:
    from rich.color import ColorSystem  # plain output never needs it
    from rich.style import Style

    text, style = span
    if not style:
        return text
    # `_OBEYED` knows the sequences of these colours only: others would be shown as escapes.
    return Style.parse(STYLES[style]).render(text, color_system=ColorSystem.STANDARD)
