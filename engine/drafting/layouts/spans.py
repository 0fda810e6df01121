"""Marked parts of a text, in one form: `{"start", "end", "label"}`, counted in characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.recipe.text.words import IN_WORD

STARTS: Final = (
    *("start", "start_offset", "startindex", "start_index", "start_char", "start_pos", "begin"),
    *("beginoffset", "begin_offset", "offset_start", "from", "exclusive_start", "startoffset"),
)
ENDS: Final = (
    *("end", "end_offset", "endindex", "end_index", "end_char", "end_pos", "stop", "endoffset"),
    *("offset_end", "to", "exclusive_end"),
)
PLACES: Final = ("pos", "position", "offset", "offsets", "span", "indices", "range")
NAMES: Final = (
    *("label", "labels", "entity", "entity_type", "type", "tag", "name", "slot", "category"),
    *("class", "entity_group", "ner"),
)


TAGS: Final = re.compile(rf"(?:O|[BILSEUM]-[{IN_WORD}.:/&-]+)\Z")


def are_tags(tags: Sequence[str]) -> bool:
    """Whether all are tags of words (BIO, IOBES or BILOU), and some of them mark one."""
    marked = sum(tag != "O" for tag in tags)
    return bool(marked) and all(TAGS.match(tag) for tag in tags)


def tag_divider(texts: Sequence[str]) -> str:
    """Return what stands between each word of the texts and its tag (`Oslo|B-city`); empty where none has one."""
    words = [word for text in texts for word in text.split()]
    behind = (one for one in "|/" if are_tags([word.rpartition(one)[2] for word in words]))
    return next(behind, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A text and its marked parts: (start, end, name)."""

    text: str
    spans: tuple[tuple[int, int, str], ...]

    def row(self) -> dict[str, Any]:
        """Return it as a row whose spans a recipe can name."""
        spans = [{"start": start, "end": end, "label": name} for start, end, name in self.spans]
        return {"text": self.text, "spans": spans}


def text_of_words(words: Sequence[str], tags: Sequence[str]) -> Marked:
    """Return words with a tag each (BIO, IOBES or BILOU) as a text with marked parts.

    Words are joined by one blank; a part goes on over words whose tag is of its name and does not begin one.
    """
    text, spans = "", []
    start, name, end = 0, "", 0
    for word, tag in zip(words, tags, strict=True):
        mark, _, of = tag.partition("-")
        # `S-`, `U-` and `W-` are parts of one word, `B-` begins one.
        goes_on = bool(name) and of == name and mark in ("I", "E", "L", "M")
        if name and not goes_on:
            spans.append((start, end, name))
            name = ""
        text += " " if text else ""
        if of and not goes_on:
            start, name = len(text), of
        text += word
        end = len(text)
    if name:
        spans.append((start, end, name))
    return Marked(text=text, spans=tuple(spans))


def spans_of(value: object, size: int) -> tuple[tuple[int, int, str], ...] | None:
    """Return the marked parts that a list holds, of a text of so many characters; None where it holds other things.

    A part is an object with a start, an end and a name, or a list of two whole numbers and a name. An empty list
    holds none.
    """
    if isinstance(value, Mapping):
        inner = value.get("entities", value.get("spans"))
        return spans_of(inner, size) if isinstance(inner, list) else None
    if not isinstance(value, list):
        return None
    found = [_span(item) for item in value]
    spans = [one for one in found if one is not None]
    if len(spans) < len(found) or any(not 0 <= a < b <= size for a, b, _ in spans):
        return None
    return tuple(spans)


def _span(item: object) -> tuple[int, int, str] | None:
    if isinstance(item, Mapping):
        return _span_object(item)
    if not isinstance(item, list | tuple) or len(item) < 3:
        return None
    numbers = [one for one in item if type(one) is int]
    names = [one for one in item if isinstance(one, str)]
    # With the text of the part beside its name, the name is the last.
    return (numbers[0], numbers[1], names[-1]) if len(numbers) == 2 and names else None


def _span_object(item: Mapping[str, Any]) -> tuple[int, int, str] | None:
    # Label Studio and SageMaker keep the place below a key of its own.
    flat = {str(key).lower(): value for key, value in flattened(item)}
    # Both in one list: `"pos": [3, 9]`.
    pair = next((flat[key] for key in PLACES if _is_pair(flat.get(key))), None)
    if pair is not None:
        flat |= {"start": pair[0], "end": pair[1]}
    start = next((flat[key] for key in STARTS if type(flat.get(key)) is int), None)
    end = next((flat[key] for key in ENDS if type(flat.get(key)) is int), None)
    name = next((text for key in NAMES if (text := _one_text(flat.get(key)))), "")
    return (start, end, name) if start is not None and end is not None and name else None


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)


def _one_text(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else ""


def flattened(item: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield the keys of an object and of those below it; a key above comes after, so that it wins."""
    for value in item.values():
        if isinstance(value, Mapping):
            yield from flattened(value)
    yield from item.items()
