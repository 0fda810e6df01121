"""Words of any script: the known name that is closest to a misspelt one, and texts that look alike."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_PAIRS: Final = (
    # Cyrillic
    "\u0410A \u0412B \u0415E \u041aK \u041cM \u041dH \u041eO \u0420P \u0421C \u0422T "
    "\u0423Y \u0425X \u0405S \u0406I \u0408J \u050cG \u0430a \u0441c \u0435e \u043eo "
    "\u0440p \u0445x \u0443y \u0455s \u0456i \u0458j \u0501d \u04bbh \u051bq \u051dw "
    "\u0475v \u04cfl "
    # Greek
    "\u0391A \u0392B \u0395E \u0396Z \u0397H \u0399I \u039aK \u039cM \u039dN \u039fO "
    "\u03a1P \u03a4T \u03a5Y \u03a7X \u03b1a \u03b9i \u03bak \u03bdv \u03bfo \u03c1p "
    # Latin
    "\u0131i \u0251a \u0261g \u0269i "
    # dashes and apostrophes
    "\u2010- \u2011- \u2012- \u2013- \u2014- \u2212- \u2019' \u2018' \u02bc' \uff07' "
)
_ALIKE: Final = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]"
)
"""Characters without a glyph that are no format characters: fillers and variation selectors."""
_JOINERS: Final = "\u200c\u200d"
"""Persian, Indic scripts and emoji need them within a word."""
_TAGS: Final = {ord(letter): 0xE0000 + ord(letter) for letter in "bceglnstw"}
_FLAGS: Final = re.compile("(\U0001f3f4(?:gbeng|gbsct|gbwls)\U000e007f)".translate(_TAGS))
"""England, Scotland and Wales: the flags of tag letters that fonts draw."""


def folded(text: str) -> str:
    """Return a text as it looks: NFKC, no case, blanks or invisible characters, letters that look alike as one."""
    visible = (
        part if at % 2 else "".join(one for one in part if unicodedata.category(one) != "Cf")
        for at, part in enumerate(_FLAGS.split(text))
    )
    plain = unicodedata.normalize("NFKC", _UNSEEN.sub("", "".join(visible))).translate(_ALIKE)
    return " ".join(plain.casefold().translate(_ALIKE).split())


def unlike(text: str, other: str) -> str:
    """Return how two texts that look alike differ, ` (U+0301 in place of U+00E9)`; empty for ASCII alone."""

    def only(characters: str, others: str) -> str:
        points = sorted({*characters} - {*others})
        return " ".join(f"U+{ord(point):04X}" for point in points if not point.isascii())

    own, its = only(text, other), only(other, text)
    words = " in place of ".join(filter(None, (own, its))) if own else f"without {its}"
    return f" ({words})" if (own or its) and folded(text) == folded(other) else ""


def unseen(text: str) -> str:
    """Return the first invisible character of a text, except joiners between letters; empty without one."""
    plain = _FLAGS.sub("", text)
    inner = plain.strip(_JOINERS)
    joined = inner.translate(dict.fromkeys(map(ord, _JOINERS))) if inner == plain else plain
    # U+FE0F selects the coloured form of the emoji before it.
    hidden = (
        one
        for one in joined
        if one != "\ufe0f" and (unicodedata.category(one) == "Cf" or _UNSEEN.match(one))
    )
    return next(hidden, "")


_ENDINGS: Final = re.compile(r"(?<=.)(?:\.[a-z]{1,8})+$", re.IGNORECASE)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None; case, `-`, `_` and blanks do not count."""
    # Reversed: the first of two names with the same shape wins.
    by_shape = {_shape(candidate): candidate for candidate in reversed(list(known))}
    matches = get_close_matches(_shape(name), by_shape, n=1, cutoff=0.6)
    return by_shape[matches[0]] if matches else None


def nearest_file(name: str, known: Iterable[str]) -> str | None:
    """Return the known file name most like `name`: `test.csv` and `tickets.csv` have only their ending in common."""
    ending = name.rpartition(".")[2]
    # Of two files with the same stem, the one with the same ending wins.
    by_stem = {
        _ENDINGS.sub("", other): other
        for other in sorted(known, key=lambda other: other.endswith(ending))
    }
    stem = nearest(_ENDINGS.sub("", name), by_stem)
    return by_stem[stem] if stem else None


def suggestion(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    near = nearest(name, known)
    return did_you_mean(near) if near else otherwise


def did_you_mean(known: str) -> str:
    return f"did you mean `{known}`?"


def with_suggestion(listing: str, name: str, known: Iterable[str]) -> str:
    near = suggestion(name, known)
    return f"{listing}; {near}" if near else listing


def _shape(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


_BLOCKS: Final = (
    (0x0300, 0x1E00),
    (0x20D0, 0x2100),
    (0x2CEF, 0x2E00),
    (0x302A, 0x3100),
    (0xA66F, 0xAC00),
    (0xFE20, 0xFE30),
)
"""Code points among which marks are: vowels and tones of Indian scripts, accents, points of Hebrew."""
_MARKS: Final = "".join(
    chr(point)
    for first, end in _BLOCKS
    for point in range(first, end)
    if unicodedata.category(chr(point)).startswith("M")
)
IN_WORD: Final = rf"\w{_MARKS}\u200c\u200d"
"""Characters within words, for a class of a pattern: with the joiners of Persian and Hindi."""
WORD: Final = re.compile(rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*")
r"""`\w` has no marks: with it alone the Hindi words for boy and girl are the same three consonants."""
