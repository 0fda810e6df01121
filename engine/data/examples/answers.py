"""Answers that are objects: read whole from a column, put together from several, or marked in the text."""

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.data.examples.template import (
    MissingColumnError,
    RejectedError,
    UnusableValueError,
    Values,
    as_text,
    found_at,
    lookup,
    malformed,
)
from engine.data.reading.row import excerpt
from engine.recipe.model import Json, SpanSpec, TagSpec
from engine.recipe.patterns import resolved
from engine.recipe.prompt import NO_LABEL, read_object
from engine.recipe.text.words import folded, unlike

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SEPARATORS = (";", "|", ",", "/", "+", "&", " ")
"""What stands between the labels of a text where it is not what the recipe says."""


class NoBinError(Exception):
    """The number of a row falls into no bin; such rows are left out and counted."""


class NoNumberError(Exception):
    """Bins need a number; the message holds what stands there."""


READING_ERRORS: Final = (
    NoBinError,
    NoNumberError,
    MissingColumnError,
    UnusableValueError,
    RejectedError,
)


def near_label(value: str, labels: Sequence[str]) -> str | None:
    """Return the label that `value` most likely misspells; None where it could be several of them."""
    same = [label for label in labels if folded(label) == folded(value)]
    plain: dict[str, list[str]] = {}
    for label in labels:
        plain.setdefault(_plain(label), []).append(label)
    # without a letter, as an emoji is, nothing is near it
    near = difflib.get_close_matches(_plain(value), plain.keys() - {""}, n=1, cutoff=0.75)
    found = same or (plain[near[0]] if near else [])
    return found[0] if len(found) == 1 else None


def meant(value: str, labels: Sequence[str], *, several: bool) -> str:
    """Return what `value`, which is no label, was likely meant to be, to end a sentence; or nothing.

    `several`: it may be labels with another separator between them.
    """
    if several and value.casefold() == NO_LABEL:
        return ": a row without labels is blank there"
    separator = _separator(value, labels) if several else None
    if separator is not None:
        return f', write `data.label.separator: "{separator}"`'
    near = near_label(value, labels)
    return f", did you mean `{near}`{unlike(value, near)}?" if near else ""


def _separator(value: str, labels: Sequence[str]) -> str | None:
    for mark in SEPARATORS:
        parts = {part.strip() for part in value.split(mark)} - {""}
        if mark in value and parts and parts.issubset(labels):
            return mark
    return None


def _plain(text: str) -> str:
    letters = (one for one in text if unicodedata.category(one)[0] in "LMN")
    return unicodedata.normalize("NFC", "".join(letters)).casefold()


_WORDS: Final = {"true": True, "false": False}


def read_answer_object(values: Values, column: str) -> dict[str, Any] | None:
    """Return the object in a column, or that its text holds; None for null and blank text. Raises as `read_spans`."""
    value = lookup(values, column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, Mapping):
        return dict(value)
    found = read_object(value) if isinstance(value, str) else None
    if found is None:
        raise malformed(f"has an answer that is not a JSON object: `{excerpt(str(value))}`")
    return found


def read_fields(values: Values, fields: Sequence[tuple[str, str]], schema: Json) -> dict[str, Any]:
    """Return the object of the fields that have a value in this row.

    Files of records leave columns out where they have nothing to say, so a column may be missing;
    `MissingColumnError` when every one is. Texts of numbers and truth values become such where the
    schema asks for them and a text would not do.
    """
    found = {field: found_at(values, column, _MISSING) for field, column in fields}
    if all(value is _MISSING for value in found.values()):
        raise MissingColumnError(fields[0][1])
    return {
        field: fitted(value, schema_of_field(schema, field), root=schema)
        for field, value in found.items()
        if not _is_nothing(value)
    }


_MISSING: Final = object()


def _is_nothing(value: object) -> bool:
    if value is _MISSING or value is None or value != value:  # noqa: PLR0124 - NaN alone
        return True
    return isinstance(value, str) and not value.strip()


def schema_of_field(schema: Json, field: str) -> Json:
    """Return what the schema says about a field of its object; None for nothing."""
    whole = resolved(schema, schema)
    properties: Json = whole.get("properties")
    other: Json = whole.get("additionalProperties")
    return properties.get(field, other) if isinstance(properties, dict) else other


def types_of(schema: Json, root: Json) -> tuple[str, ...]:
    named = resolved(schema, root).get("type", [])
    return tuple(str(name) for name in ([named] if isinstance(named, str) else named or []))


def fitted(value: object, schema: Json, *, root: Json) -> object:
    """Return a value in the type that the schema asks for, where its text says it exactly."""
    types = types_of(schema, root)
    # A single value in its column stands for a list of one item.
    if "array" in types and not isinstance(value, list):
        return [fitted(value, resolved(schema, root).get("items"), root=root)]
    # Where the schema also allows text, `007` may be a code and must not become the number 7.
    if not isinstance(value, str) or "string" in types:
        return value
    text = value.strip()
    if "boolean" in types and text in _WORDS:
        return _WORDS[text]
    if {"integer", "number"} & set(types) and NUMBER.fullmatch(text):
        try:
            found: int | float = json.loads(text)
        except ValueError:
            return text
        # `1e999` parses to infinity, which JSON cannot write back.
        return found if math.isfinite(found) else text
    return value


def read_spans(values: Values, spec: SpanSpec, schema: Json) -> dict[str, Any]:
    """Return the pieces of the text that the spans mark, by field.

    A row without the list has no field. `MissingColumnError` for a row without the text;
    RejectedError for spans that mark nothing or leave the text.
    """
    text = as_text(lookup(values, spec.of)) or ""
    items = found_at(values, spec.column)
    if items is not None and not isinstance(items, list):
        raise malformed(f"has spans that are no list: `{excerpt(str(items))}`")
    return _collected((_span(item, spec, text) for item in items or []), schema)


def _span(item: object, spec: SpanSpec, text: str) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise malformed("has a span that is not an object")
    name, end = found_at(item, spec.name), found_at(item, spec.end)
    start = found_at(item, spec.start)
    start = 0 if start is None else start
    if not isinstance(name, str) or not name:
        raise malformed(f"has a span without a name in `{spec.name}`")
    if not _is_place(start) or not _is_place(end) or not start < end <= len(text):
        raise malformed(f"has a span `{name}` from {start} to {end} in {len(text)} characters")
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
        raise malformed(f"has {len(tags)} tags for {len(words)} words")
    pieces: list[tuple[str, list[str]]] = []
    last = ""
    for word, tag in zip(words, tags, strict=True):
        mark, _, name = tag.partition("-")
        if tag != "O" and (mark not in ("B", "I") or not name):
            raise malformed(f"has the tag `{excerpt(tag)}`, which is none of O, B-NAME, I-NAME")
        if mark == "I" and name == last:
            pieces[-1][1].append(word)
        elif name:
            pieces.append((name, [word]))
        last = name
    return _collected(((name, " ".join(found)) for name, found in pieces), schema)


def _listed(values: Values, column: str) -> list[str]:
    found = lookup(values, column)
    if isinstance(found, list):
        return [as_text(item) or "" for item in found]
    return (as_text(found) or "").split()


def _collected(pieces: Iterable[tuple[str, str]], schema: Json) -> dict[str, Any]:
    """Return the pieces by field: a list where the schema says so or there are several."""
    found: dict[str, list[str]] = {}
    for name, piece in pieces:
        found.setdefault(name, []).append(piece)
    return {
        name: texts
        if len(texts) > 1 or ("array" in types_of(schema_of_field(schema, name), schema))
        else texts[0]
        for name, texts in found.items()
    }
