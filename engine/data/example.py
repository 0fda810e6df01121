"""One labelled text, and files of them: JSON Lines, UTF-8, in a fixed order of keys."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row as the task sees it."""

    id: str
    """16 hex digits of the content (and of its number among equals); stable across runs."""
    origin: str
    """Where the row stands, such as `reviews.csv:17`."""
    input: str
    """The filled template: what the model reads."""
    label: str


def normalised(text: str) -> str:
    """Return what two texts that count as the same share: NFKC, casefold, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def content_key(text: str) -> bytes:
    """Return the sha256 of the normalised text: equal for texts that count as the same."""
    return hashlib.sha256(normalised(text).encode()).digest()


def content_id(text: str, label: str, occurrence: int = 0) -> str:
    """Return the id of the example; `occurrence` tells apart rows of equal text and label."""
    content = f"{text}\0{label}\0{occurrence}".encode()
    return hashlib.sha256(content).hexdigest()[:16]


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON object a line, keys in the order id, origin, input, label."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for example in examples:
            row = {
                "id": example.id,
                "origin": example.origin,
                "input": example.input,
                "label": example.label,
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a file that `write_examples` wrote, in order."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [Example(**json.loads(line)) for line in stream]
