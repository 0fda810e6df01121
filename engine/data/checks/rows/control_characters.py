"""Characters that nobody sees: control codes, bidirectional overrides, zero-width marks.

They split words for the tokenizer, hide text from a reviewer (Boucher and Anderson 2021, Trojan
Source) and make equal texts differ. Where a script or an emoji needs one, it is right and not reported.
"""

import re
import unicodedata
from typing import Final

from engine.data.checks.rows.base import AROUND, RowCheck, in_texts
from engine.data.reading.row import JOINERS, excerpt
from engine.errors import needs_extra


def broken_decoding(text: str) -> str | None:
    """Return the first place that was decoded wrongly and what it likely was, or None."""
    # ASCII reads the same in every encoding that is mistaken for another here.
    repaired = None if text.isascii() else repair(text)
    if repaired is None:
        return None
    pairs = zip(text, repaired, strict=False)
    # The default is needed where the repaired text is a beginning of the broken one.
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(repaired))
    start = max(0, same - AROUND)
    mark = "…" if start else ""
    return f"`{excerpt(mark + text[start:])}` was likely `{excerpt(mark + repaired[start:])}`"


def repair(text: str) -> str | None:
    """Return what a wrongly decoded text likely was, or None; control codes are left to `control_characters`."""
    instead = ", or write `mojibake: off` under `data.checks`"
    with needs_extra("the check `mojibake` needs ftfy", "data", instead=instead):
        from ftfy import badness, fix_encoding, fixes
    if not badness.is_bad(text):
        return None
    repaired = fix_encoding(text)
    return None if repaired in (text, fixes.fix_c1_controls(text)) else repaired


MOJIBAKE: Final = RowCheck(
    "mojibake",
    ("was decoded with the wrong encoding", "were decoded with the wrong encoding"),
    r"\x80-\U0010ffff",
    in_texts(broken_decoding),
)
MARKER: Final = re.compile(
    # The full-width bar and U+2581 are those of DeepSeek's tokens.
    r"[<\uff1c][|\uff5c]\w[\w \u2581]{0,40}(?<! )[|\uff5c][>\uff1e]"  # <|im_end|> and look-alikes
    r"|<(?:start_of_turn|end_of_turn|start_of_role|end_of_role|bos|eos|extra_id_\d+)>"
    r"|<</?SYS>>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|\A\s*<s>|</s>\s*\Z"
)
STRUCK: Final = re.compile(r"<s>.*?</s>", re.DOTALL)
"""Struck-through HTML: opened and closed in the text."""


def first_marker(text: str) -> str | None:
    """Return the first marker in a text; `<s>` and `</s>` that pair up are HTML and none."""
    # up to the last `</s>` only: behind it each `<s>` would be looked for to the end of the text
    struck, close, rest = text.rpartition("</s>")
    text = STRUCK.sub(" ", struck + close) + rest
    found = MARKER.search(text)
    return found.group().strip() if found else None


def template_token(text: str) -> str | None:
    marker = first_marker(text)
    return None if marker is None else f"holds the chat template's `{excerpt(marker)}`"


TEMPLATE_TOKENS: Final = RowCheck(
    "template_tokens",
    ("holds tokens of a chat template", "hold tokens of a chat template"),
    r"<\uff1c\[",
    in_texts(template_token),
)
CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
"""Every control code of ASCII but tab, line feed and carriage return."""
ASCII_CONTROLS: Final = re.compile(f"[{CONTROLS}]")
SUSPECT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffd"
    "\u061c\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef"
    "\U000e0000-\U000e007f\U000f0000-\U0010ffff"
    # The last two code points of every plane are noncharacters; planes 15 and 16 are covered above.
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


def invisible_character(text: str) -> str | None:
    """Return the first such character by code point and name, and where it stands, or None."""
    at = first_invisible(text)
    if at is None:
        return None
    left, right = max(0, at - AROUND), at + 1 + AROUND
    shown = f"{'…' if left else ''}{text[left:right]}{'…' if right < len(text) else ''}"
    if text[at] in JOINERS:  # one that is out of place is the finding, and has to be seen
        shown = shown.replace(text[at], repr(text[at])[1:-1])
    return f"holds {described(text[at])} in `{excerpt(shown)}`"


CONTROL_CHARACTERS: Final = RowCheck(
    "control_characters",
    ("holds invisible characters", "hold invisible characters"),
    rf"{CONTROLS}\x80-\U0010ffff",
    in_texts(invisible_character),
)


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
    name = unicodedata.name(character, "") or NAMES.get(character, "")
    kinds = {"Co": "private use", "Cs": "unpaired surrogate", "Cn": "noncharacter"}
    kind = kinds.get(unicodedata.category(character), "control code")
    # What a control code of the upper half was before Windows-1252 was read as Latin-1. cp1252
    # leaves five of these bytes undefined: nothing is named for them.
    is_upper = "\x80" <= character <= "\x9f"
    meant = character.encode("latin-1").decode("cp1252", "ignore") if is_upper else ""
    windows = f" (in Windows-1252: {meant})" if meant else ""
    return f"U+{ord(character):04X} {name or kind}{windows}"


def _right(text: str, at: int) -> bool:
    character = text[at]
    if character in JOINERS:
        before = text[at - 1] if at else ""
        after = text[at + 1 : at + 2]
        if not before:
            return False
        # Emoji sequences (families, professions) are held together by U+200D.
        if before == VARIATION or unicodedata.category(before) in EMOJI:
            return bool(after) and unicodedata.category(after) in EMOJI
        return unicodedata.category(before) in LETTERS
    if character in MARKS:
        return any(unicodedata.bidirectional(other) in ("R", "AL") for other in text)
    return bool(TAGS.match(character)) and _in_flag(text, at)


def _in_flag(text: str, at: int) -> bool:
    """Tag characters spell a region behind the black flag: the flag of Wales."""
    while at and TAGS.match(text[at]):
        at -= 1
    return text[at] == BLACK_FLAG
