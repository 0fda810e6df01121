"""Texts of several languages: how many tokens SmolLM2 makes of them, and the encodings that people keep them in."""

from __future__ import annotations

from support.paths import TESTS

_LINES = (TESTS / "support" / "languages.tsv").read_text(encoding="utf-8").splitlines()[1:]
_ROWS = [line.split("\t") for line in _LINES]
COUNTED = [(text, int(tokens)) for text, tokens, _, _ in _ROWS if tokens]
"""(text, tokens)."""
WESTERN = [text for text, _, encoding, _ in _ROWS if encoding]
"""Texts that are kept as cp1252."""
OTHERS = [(text, other.split()) for text, _, _, other in _ROWS if other]
"""(text, encodings)."""
