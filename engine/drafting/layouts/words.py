"""Texts as lists of words, with marks that count words, and marks that only repeat what they mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.spans import NAMES, spans_of, text_of_words
from engine.drafting.layouts.step import NEARLY, Recognised, Row, Turned

MARKED: Final = ("text", "value", "word", "span", "mention", "surface", "entity", "name")
"""Keys of a mark that hold the words it marks."""


def marked_words(rows: Sequence[Row]) -> Recognised:
    """Marks of a list of words by the numbers of the first and the last (GLiNER), or of the one after (SpERT)."""
    for words in _lists_of_texts(rows):
        for marks in [n for n in rows[0] if n != words]:
            found = [_places(row, words, marks) for row in rows]
            if not any(found) or any(one is None for one in found):
                continue
            ends = [
                (a, b, len(row[words]))
                for row, one in zip(rows, found, strict=True)
                for a, b, _ in one or ()
            ]
            # A last word is never the number of all words, and a mark is never empty.
            after = (
                1 if all(b < size for _, b, size in ends) and any(a == b for a, b, _ in ends) else 0
            )
            if all(a < b + after <= size for a, b, size in ends):
                return _of_words(words, marks, after), f"`{marks}` marks words of `{words}`"
    return None


def _lists_of_texts(rows: Sequence[Row]) -> list[str]:
    return [
        name for name in (rows[0] if rows else ())
        if all(
            isinstance(row.get(name), list) and row[name] and all(isinstance(w, str) for w in row[name])
            for row in rows
        )
    ]  # fmt: skip


def _places(row: Row, words: str, marks: str) -> list[tuple[int, int, str]] | None:
    found = row.get(marks)
    if not isinstance(found, list):
        return None
    # The end of a mark of one word is its beginning where the last word is named.
    shifted = [_after(mark) for mark in found]
    spans = spans_of(shifted, len(row[words]) + 1)
    return None if spans is None else [(a, b - 1, name) for a, b, name in spans]


def _after(mark: object) -> object:
    """Return a mark with its end one later."""
    if isinstance(mark, list):
        whole = [at for at, one in enumerate(mark) if type(one) is int]
        return [one + 1 if whole[1:2] == [at] else one for at, one in enumerate(mark)]
    if isinstance(mark, Mapping):
        return {
            k: v + 1 if k.lower().startswith("end") and type(v) is int else v
            for k, v in mark.items()
        }
    return mark


def _of_words(words: str, marks: str, after: int) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        tags = ["O"] * len(row[words])
        for start, end, name in _places(row, words, marks) or ():
            tags[start : end + after] = [f"B-{name}", *[f"I-{name}"] * (end + after - start - 1)]
        rest = {k: v for k, v in row.items() if k not in (words, marks) and not isinstance(v, list)}
        yield {**rest, **text_of_words(row[words], tags).row()}

    return turn


def sentences_of_tokens(rows: Sequence[Row]) -> Recognised:
    """Documents of paragraphs, sentences and tokens, as version 2 of spaCy was trained on."""
    if not rows or not all(_sentences(row) for row in rows[:5]):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        for sentence in _sentences(row):
            words = [str(token["orth"]) for token in sentence["tokens"]]
            found = [str(token.get("ner", "O")) for token in sentence["tokens"]]
            tags = ["O" if tag == "-" else tag for tag in found]
            yield {"tokens": words, "tags": tags}

    return turn, "sentences of tagged tokens stand below its documents, as spaCy 2 has them"


def _sentences(row: Row) -> list[Mapping[str, Any]]:
    return [
        sentence for paragraph in row.get("paragraphs") or [] for sentence in paragraph.get("sentences") or []
        if "tokens" in sentence
    ]  # fmt: skip


def repeated_words(rows: Sequence[Row]) -> Recognised:
    """Marks that hold the words of the text and a name, and not where they stand."""
    for name in list(rows[0]) if rows else ():
        marks = [
            mark for row in rows for mark in row.get(name) or [] if isinstance(row.get(name), list)
        ]
        if not marks or not all(isinstance(mark, Mapping) for mark in marks):
            continue
        surface = next((k for k in MARKED if all(isinstance(m.get(k), str) for m in marks)), None)
        kind = next(
            (k for k in NAMES if k != surface and all(isinstance(m.get(k), str) for m in marks)),
            None,
        )
        if (
            surface is None
            or kind is None
            or any(type(v) is int for mark in marks for v in mark.values())
        ):
            continue
        text = next((n for n in rows[0] if n != name and _holds(rows, n, name, surface)), None)
        if text is not None:
            return _of_repeated(text, name, surface, kind), f"`{name}` names parts of `{text}`"
    return None


def _holds(rows: Sequence[Row], text: str, name: str, surface: str) -> bool:
    if not all(isinstance(row.get(text), str) for row in rows):
        return False
    held = [mark[surface] in row[text] for row in rows for mark in row.get(name) or []]
    return sum(held) >= NEARLY * len(held)


def _of_repeated(text: str, name: str, surface: str, kind: str) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        spans, at = [], 0
        for mark in row.get(name) or []:
            # In their order where they have one; else wherever they stand first.
            start = row[text].find(mark[surface], at)
            start = row[text].find(mark[surface]) if start < 0 else start
            if start >= 0 and mark[surface]:
                at = start + len(mark[surface])
                spans.append({"start": start, "end": at, "label": mark[kind]})
        yield {**row, name: spans}

    return turn
