"""How much longer a tokenizer makes a text before it divides it: rules that multiply fill the memory with one row."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

MOST_GROWTH: Final = 1000
"""Times; those of models in use come to some dozens, with a table of Unicode's compatibility forms."""
MOST_PADDED: Final = 1 << 20
"""Tokens that a text is filled up to, as many as the longest `method.max_length`."""


def growth_of(tokenizer: Any) -> float:
    """Return by what factor the rules of a tokenizer.json can make a text longer; infinite for endless filling."""
    found = tokenizer if isinstance(tokenizer, dict) else {}
    padding = found.get("padding")
    if isinstance(padding, dict) and any(number > MOST_PADDED for number in _numbers(padding)):
        return float("inf")
    parts = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
    growth = 1.0
    for name in parts:
        whole = 1.0
        for rule in _mappings(found.get(name)):
            whole *= _factor(rule)
            if whole > MOST_GROWTH:
                return float("inf")
        growth = max(growth, whole)
    return growth


def _factor(rule: dict[str, Any]) -> float:
    match rule.get("type"):
        case "Replace":
            pattern = rule.get("pattern")
            replaced = pattern.get("String") if isinstance(pattern, dict) else None
            # Of a regular expression it is not known what it takes away.
            taken = len(replaced) if isinstance(replaced, str) else 0
            put = _length(rule.get("content"))
            return max(1.0, put / taken) if taken else 1.0 + put
        case "Prepend":
            return 1.0 + _length(rule.get("prepend"))
        case "Precompiled":
            return float(_longest(rule.get("precompiled_charsmap")))
        case "TemplateProcessing":
            return float(max(1, *(_length(rule.get(one)) for one in ("single", "pair"))))
    return 1.0


def _longest(charsmap: Any) -> int:
    """Return the length of the longest text in SentencePiece's table: a trie behind its size, then texts."""
    try:
        content = base64.b64decode(charsmap, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return 1
    texts = content[4 + int.from_bytes(content[:4], "little") :]
    return max(1, *(len(text.decode(errors="replace")) for text in texts.split(b"\0")))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list) else 0


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a value, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


def _numbers(value: dict[str, Any]) -> Iterator[int]:
    for one in _mappings(value):
        yield from (part for part in one.values() if isinstance(part, int))
