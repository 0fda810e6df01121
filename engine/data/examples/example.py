"""One example, and files of them: JSON Lines, UTF-8, in a fixed order of keys."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.json import Encoder

from engine.values import Value, field


class Example(Value):
    """A row as the task sees it."""

    id: str
    """16 hex digits of the content (and of its number among equals); stable across runs."""
    origin: str
    """Where the row stands, such as `reviews.csv:17`."""
    input: str
    """What the model reads, as one text: repeated and leaking rows are found by it.

    The filled template; for chat the turns up to the last answer; for text the document; for preference the prompt.
    """
    target: str
    """What it shall answer, as one text: a label, labels or an object as compact JSON, the first
    reference, the chosen answer, a chat's last assistant turn; empty for text.
    """
    labels: tuple[str, ...] = ()
    """The task's labels that it counts for: one for classification, any number for multilabel."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """What `input` and `target` do not say, by kind; see `engine.data.kinds`."""
    group: str = ""
    """Its value in the group's column (`splits.by: group`): for intervals that respect groups."""
    repeat: int = 1
    """How often it is seen in an epoch of training (`weight` of its source)."""
    fold: int = 0
    """With `splits.folds`: the fold, from 0, in which it is held out; fold 0 is the holdout."""


def normalised(text: str) -> str:
    """Return what two texts that count as the same share: NFKC, casefold, single spaces."""
    if not text.isascii():  # else both are as they were, but for capitals
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    if (
        text.isprintable() and "  " not in text
    ):  # no white space but single blanks, as in most texts
        return text.strip(" ")
    return " ".join(text.split())


def content_key(text: str) -> bytes:
    """Return the sha256 of the normalised text: equal for texts that count as the same."""
    return hashlib.sha256(normalised(text).encode(errors="surrogatepass")).digest()


def content_id(text: str, target: str, occurrence: int = 0) -> str:
    """Return the id of the example; `occurrence` tells apart rows of equal text and target."""
    # A zero byte between the parts: without it, `ab` + `c` and `a` + `bc` would share an id.
    content = f"{text}\0{target}\0{occurrence}".encode(errors="surrogatepass")
    return hashlib.sha256(content).hexdigest()[:16]


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON object a line, keys in the order of `Example`; defaults are left out."""
    with path.open("wb") as stream:
        stream.writelines(map(example_line, examples))


def example_line(example: Example) -> bytes:
    texts = (example.id, example.origin, example.input, example.target)
    line = b'{"id": %b, "origin": %b, "input": %b, "target": %b' % tuple(map(_quoted, texts))
    if example.labels:
        line += b', "labels": [%b]' % b", ".join(map(_quoted, example.labels))
    if example.payload:
        line += b', "payload": %b' % json.dumps(example.payload, ensure_ascii=False).encode()
    if example.group:
        line += b', "group": %b' % _quoted(example.group)
    if example.repeat != 1:
        line += b', "repeat": %d' % example.repeat
    if example.fold:
        line += b', "fold": %d' % example.fold
    return line + b"}\n"


def iter_examples(path: Path) -> Iterator[Example]:
    """Yield the examples of a file that `write_examples` wrote, in order, one in memory at a time."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            row = json.loads(line)
            yield Example(**{**row, "labels": tuple(row.get("labels", ()))})


def read_examples(path: Path) -> list[Example]:
    return list(iter_examples(path))


_quoted = Encoder().encode
"""A text as JSON: as `json.dumps` writes it without `ensure_ascii`, in a quarter of the time."""
