"""Answers marked in the text: as character spans, or as BIO tags of its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.data.examples.answers import schema_of_field, types_of
from engine.data.examples.template import as_text, found_at, lookup
from engine.data.kinds.base import RejectedError
from engine.data.reading.row import excerpt
from engine.recipe.model import Json, SpanSpec, TagSpec

Values = Mapping[str, Any]


def read_spans(values: Values, spec: SpanSpec, schema: Json) -> dict[str, Any]:
    """Return the pieces of the text that the spans mark, by field.

    A row without the list has no field. `MissingColumnError` for a row without the text;
    RejectedError for spans that mark nothing or leave the text.
    """
    text = as_text(lookup(values, spec.of)) or ""
    items = found_at(values, spec.column)
    if items is not None and not isinstance(items, list):
        raise _unreadable(f"has spans that are no list: `{excerpt(str(items))}`")
    return _collected((_span(item, spec, text) for item in items or []), schema)


def _span(item: object, spec: SpanSpec, text: str) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise _unreadable("has a span that is not an object")
    name, end = found_at(item, spec.name), found_at(item, spec.end)
    start = found_at(item, spec.start)
    start = 0 if start is None else start
    if not isinstance(name, str) or not name:
        raise _unreadable(f"has a span without a name in `{spec.name}`")
    if not _is_place(start) or not _is_place(end) or not start < end <= len(text):
        raise _unreadable(f"has a span `{name}` from {start} to {end} in {len(text)} characters")
    return name, text[start:end]


def _is_place(value: object) -> bool:
    # `bool` is an `int` in Python: `true` would otherwise be position 1.
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_tags(values: Values, spec: TagSpec, schema: Json) -> dict[str, Any]:
    """Return the words that the tags mark, by field: `B-` begins one, `I-` goes on, `O` is none.

    An `I-` that follows nothing of its field begins one, as conlleval counts
    (https://aclanthology.org/W00-0726/). RejectedError when there is not one tag for each word.
    """
    words, tags = _listed(values, spec.of), _listed(values, spec.column)
    if len(words) != len(tags):
        raise _unreadable(f"has {len(tags)} tags for {len(words)} words")
    pieces: list[tuple[str, list[str]]] = []
    last = ""
    for word, tag in zip(words, tags, strict=True):
        mark, _, name = tag.partition("-")
        if tag != "O" and (mark not in ("B", "I") or not name):
            raise _unreadable(f"has the tag `{excerpt(tag)}`, which is none of O, B-NAME, I-NAME")
        if mark == "I" and name == last:
            pieces[-1][1].append(word)
        elif name:
            pieces.append((name, [word]))
        last = name
    return _collected(((name, " ".join(found)) for name, found in pieces), schema)


def _listed(values: Values, column: str) -> list[str]:
    """Return words or tags: a list's items, or what white space divides."""
    found = lookup(values, column)
    if isinstance(found, list):
        return [as_text(item) or "" for item in found]
    return (as_text(found) or "").split()


def _collected(pieces: Iterable[tuple[str, str]], schema: Json) -> dict[str, Any]:
    """Return the pieces by field: a list where the schema says so or there are several.

    So several pieces of a field that holds one value violate the schema; none is lost.
    """
    found: dict[str, list[str]] = {}
    for name, piece in pieces:
        found.setdefault(name, []).append(piece)
    return {
        name: texts if len(texts) > 1 or _is_array(schema, name) else texts[0]
        for name, texts in found.items()
    }


def _is_array(schema: Json, name: str) -> bool:
    return "array" in types_of(schema_of_field(schema, name), schema)


def _unreadable(what: str) -> RejectedError:
    return RejectedError("schema_violations", what)
