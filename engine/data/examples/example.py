"""One example, and files of them: JSON Lines, UTF-8, in a fixed order of keys."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
    return " ".join(text.casefold().split())


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
    # The file's digest is compared across machines: no line ends of the platform.
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(map(example_line, examples))


def example_line(example: Example) -> str:
    written: dict[str, Any] = {"id": example.id, "origin": example.origin}
    written |= {"input": example.input, "target": example.target}
    repeat = example.repeat if example.repeat != 1 else 0
    more = (example.labels, dict(example.payload), example.group, repeat, example.fold)
    for key, value in zip(("labels", "payload", "group", "repeat", "fold"), more, strict=True):
        if value:
            written[key] = value
    return f"{_encode(written)}\n"


def iter_examples(path: Path) -> Iterator[Example]:
    """Yield the examples of a file that `write_examples` wrote, in order, one in memory at a time."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            row = json.loads(line)
            yield Example(**{**row, "labels": tuple(row.get("labels", ()))})


def read_examples(path: Path) -> list[Example]:
    return list(iter_examples(path))


# one encoder: `json.dumps` makes another for each line
_encode = json.JSONEncoder(ensure_ascii=False).encode
