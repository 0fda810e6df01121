"""Characters that nobody sees: control codes, bidirectional overrides, zero-width marks.

They split words for the tokenizer, hide text from a reviewer (Boucher and Anderson 2021, Trojan
Source) and make equal texts differ. Where a script or an emoji needs one, it is right and not reported.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from engine.data.checks.rows.base import RowCheck
from engine.data.checks.rows.texts import around
from engine.data.reading.row import JOINERS, excerpt

ASCII_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Every control code of ASCII but tab, line feed and carriage return."""
SUSPECT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffd"
    "\u061c\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef"
    "\U000e0000-\U000e007f\U000f0000-\U0010ffff"
    # The last two code points of every plane are noncharacters; planes 15 and 16 are covered
    # above.
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(15))
    + "]"
)
MARKS: Final = "\u200e\u200f\u061c"
TAGS: Final = re.compile("[\U000e0020-\U000e007f]")
BLACK_FLAG: Final = "\U0001f3f4"
EMOJI: Final = frozenset(("So", "Sk"))
LETTERS: Final = frozenset(("Lo", "Mn", "Mc"))
VARIATION: Final = "\ufe0f"
NAMES: Final[dict[str, str]] = {
    "\x00": "NULL",
    "\x08": "BACKSPACE",
    "\x0b": "VERTICAL TAB",
    "\x0c": "FORM FEED",
    "\x1a": "SUBSTITUTE",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
"""Control codes have no name in Unicode's own table."""


class ControlCharactersCheck(RowCheck):
    """Finds invisible characters that no script or emoji needs."""

    name = "control_characters"
    finding = ("holds invisible characters", "hold invisible characters")

    def fault(self, text: str) -> str | None:
        """Return the first such character by code point and name, and where it stands, or None."""
        at = first_invisible(text)
        if at is None:
            return None
        shown = around(text, at, at + 1)
        if text[at] in JOINERS:  # one that is out of place is the finding, and has to be seen
            shown = shown.replace(text[at], repr(text[at])[1:-1])
        return f"holds {described(text[at])} in `{excerpt(shown)}`"


def first_invisible(text: str) -> int | None:
    """Return where the first invisible character stands that has no right use there."""
    if text.isascii():
        found = ASCII_CONTROLS.search(text)
        return found.start() if found else None
    for found in SUSPECT.finditer(text):
        if not _right(text, found.start()):
            return found.start()
    return None


def described(character: str) -> str:
    """Return the code point and the name: `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    point = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "") or NAMES.get(character, "")
    return f"{point} {name or _kind(character)}{_windows(character)}"


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    kinds = {"Co": "private use", "Cs": "unpaired surrogate", "Cn": "noncharacter"}
    return kinds.get(category, "control code")


def _windows(character: str) -> str:
    """What a control code of the upper half was before Windows-1252 was read as Latin-1."""
    if not "\x80" <= character <= "\x9f":
        return ""
    # cp1252 leaves five of these bytes undefined: nothing is named for them.
    meant = character.encode("latin-1").decode("cp1252", errors="ignore")
    return f" (in Windows-1252: {meant})" if meant else ""


def _right(text: str, at: int) -> bool:
    character = text[at]
    if character in JOINERS:
        return _joins(text, at)
    if character in MARKS:
        return any(unicodedata.bidirectional(other) in ("R", "AL") for other in text)
    return bool(TAGS.match(character)) and _in_flag(text, at)


def _joins(text: str, at: int) -> bool:
    """A joiner is right behind a letter of a script that joins, and between two emoji."""
    before = text[at - 1] if at else ""
    after = text[at + 1 : at + 2]
    if not before:
        return False
    # Emoji sequences (families, professions) are held together by U+200D.
    if before == VARIATION or unicodedata.category(before) in EMOJI:
        return bool(after) and unicodedata.category(after) in EMOJI
    return unicodedata.category(before) in LETTERS


def _in_flag(text: str, at: int) -> bool:
    """Tag characters spell a region behind the black flag: the flag of Wales."""
    while at and TAGS.match(text[at]):
        at -= 1
    return text[at] == BLACK_FLAG
