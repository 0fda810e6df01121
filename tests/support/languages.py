"""Texts of several languages, and the encodings that people keep them in."""

from support.paths import TESTS

_LINES = (TESTS / "support" / "languages.tsv").read_text(encoding="utf-8").splitlines()[1:]
_ROWS = [line.split("\t") for line in _LINES]
WESTERN = [text for text, encoding, _ in _ROWS if encoding]
"""Texts that are kept as cp1252."""
OTHERS = [(text, other.split()) for text, _, other in _ROWS if other]
"""(text, encodings)."""
