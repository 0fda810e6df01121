"""Words that a byte-pair tokenizer can be trained on."""

from __future__ import annotations

WORDS = (
    "cat",
    "mat",
    "house",
    "number",
    "reading",
    "yellow",
    "winter",
    "garden",
    "school",
    "river",
)
