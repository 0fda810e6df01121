"""How a file that no recipe describes is encoded: as asked, UTF-16 by its first bytes, or cp1252 where it fits."""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.data.reading.row import Trouble
from engine.data.reading.text import chunks, open_bytes, utf16_of
from engine.drafting.binary_files import COLUMNAR, WORKBOOKS
from engine.drafting.layout_table import PATTERNS
from engine.recipe.text.paths import suffix_of

PIECE: Final = 1 << 20
WESTERN: Final = "cp1252"
RECOGNISED: Final = (
    "name its encoding, as in --encoding cp1250; UTF-8, UTF-16 and cp1252 are recognised without"
)
"""What to do where the encoding of a file is not recognised."""


def drafted_encoding(path: Path, asked: str) -> str:
    """Return UTF-16 where the first bytes are that, cp1252 where the file is that and not UTF-8, else what was asked.

    A guess, for a draft and for a file to label: a run reads what the recipe states and nothing else.
    """
    is_text = not path.is_dir() and suffix_of(path.name) not in (*WORKBOOKS, *COLUMNAR)
    if asked.lower() not in ("utf-8", "utf8") or not is_text:
        return asked
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path, Trouble(path.name)) as stream:
        piece = stream.read(PIECE)
        if found := utf16_of(piece[:4096]):
            return found
        while piece:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return WESTERN if is_western(piece + stream.read(PIECE)) else asked
            piece = stream.read(PIECE)
    return asked


def text_of(path: Path, encoding: str = "", *, most: int | None = None) -> str:
    """Return the text of a file, or so much of its beginning; as what it is taken for where no encoding is given."""
    found, size = [], 0
    for piece in chunks(path, encoding or drafted_encoding(path, "utf-8"), Trouble(path.name)):
        found.append(piece)
        size += len(piece)
        if most is not None and size > most:
            break
    return "".join(found)


def note_of_encoding(files: Sequence[str], asked: str, found: str) -> str:
    """Return what is to be known of files that are read in an encoding nobody named; empty for none."""
    if not files or found != WESTERN or asked == WESTERN:
        return ""
    first = f"`{files[0]}` is" if len(files) == 1 else f"{len(files):,} files (`{files[0]}`) are"
    what = f"read as {WESTERN} (Windows, western Europe)"
    return f"{first} not UTF-8: {what}; if accents look wrong, --encoding names another"


def is_western(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 are text of western Europe, by its letters and where its signs stand."""
    try:
        text = data.decode(WESTERN)
    except UnicodeDecodeError:
        return False
    beyond = sum(not sign.isascii() for sign in text)
    as_utf8 = sum(map(len, re.findall(rb"[\xc2-\xf4][\x80-\xbf]+", data)))
    odd = ("letter of other languages", "odd sign in a word")
    count = sum(len(PATTERNS[what].findall(text)) for what in odd)
    if "\0" in text or as_utf8 >= 0.1 * beyond or count > 0.02 * beyond:
        return False
    # Hungarian: `õ` without `ã` stands for a letter that cp1252 does not have.
    if "õ" in text and "ã" not in text:
        return False
    words = [word for word in PATTERNS["word of letters"].findall(text) if not word.isascii()]
    letters = sum(map(len, words))
    return sum(not sign.isascii() for word in words for sign in word) <= 0.75 * letters
