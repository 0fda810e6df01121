"""Marked parts of a text, in one form: `{"start", "end", "label"}`, counted in characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layout_table import (
    NEARLY,
    PATTERNS,
    WORDS,
    Columns,
    Row,
    Rows,
    objects,
    texts,
    without,
)

Made = Iterator[dict[str, Any]]
Spans = tuple[tuple[int, int, str], ...]


def are_tags(tags: Sequence[str], share: float = 1.0) -> bool:
    """Whether all, or so many, are tags of words, and some of them mark one."""
    marks = sum(tag != "O" for tag in tags)
    return marks > 0 and sum(bool(PATTERNS["tag"].match(tag)) for tag in tags) >= share * len(tags)


def tag_divider(lines: Sequence[str]) -> str:
    """Return what stands between each word of texts and its tag (`Oslo|B-city`); empty where none has one."""
    words = [word for text in lines for word in text.split()]
    behind = (one for one in "|/" if are_tags([word.rpartition(one)[2] for word in words]))
    return next(behind, "")


def named_spans(spans: Spans | None) -> list[dict[str, Any]]:
    """Return marked parts as objects that a recipe can name."""
    return [{"start": start, "end": end, "label": name} for start, end, name in spans or ()]


def marked_text(parts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a row of the parts of a text, each with its name; one without a name is not marked."""
    text, spans = "", []
    for part, name in parts:
        if name:
            spans.append((len(text), len(text) + len(part), name))
        text += part
    return {"text": text, "spans": named_spans(tuple(spans))}


def text_of_words(words: Sequence[str], tags: Sequence[str]) -> dict[str, Any]:
    """Return a row of words with a tag each (BIO, IOBES or BILOU), joined by one blank.

    A part continues over words whose tag is of its name and does not begin one.
    """
    parts: list[tuple[str, str]] = []
    for word, tag in zip(words, tags, strict=True):
        mark, _, name = tag.partition("-")
        # `S-`, `U-` and `W-` are parts of one word, `B-` begins one.
        if name and parts and parts[-1][1] == name and mark in ("I", "E", "L", "M"):
            before = parts[-1][0]
            parts[-1] = (f"{before} {word}" if before else word, name)
        else:
            blank = " " if any(part for part, _ in parts) else ""
            parts += [(blank, ""), (word, name)]
    return marked_text(parts)


def spans_of(value: object, size: int, *, least: int = 1) -> Spans | None:
    """Return the marked parts that a list holds, of a text of so many characters; None where it holds other things.

    A part is an object with a start, an end and a name, or a list of two whole numbers and a name; its end is at least
    so much after its start.
    """
    if isinstance(value, Mapping):
        inner = value.get("entities", value.get("spans"))
        return spans_of(inner, size) if isinstance(inner, list) else None
    if not isinstance(value, list):
        return None
    found = [_span(item) for item in value]
    spans = tuple(one for one in found if one and 0 <= one[0] <= one[1] - least <= size - least)
    return spans if len(spans) == len(found) else None


def _span(item: object) -> tuple[int, int, str] | None:
    if isinstance(item, list | tuple):
        numbers = [one for one in item if type(one) is int]
        names = [one for one in item if isinstance(one, str)]
        # With the text of the part beside its name, the name is the last.
        return (numbers[0], numbers[1], names[-1]) if len(numbers) == 2 and names else None
    if not isinstance(item, Mapping):
        return None
    # Label Studio and SageMaker keep the place below a key of its own.
    flat = {str(key).lower(): value for key, value in _flattened(item)}
    for key in WORDS["pairs"]:
        pair = flat.get(key)
        if isinstance(pair, list) and len(pair) == 2 and all(type(one) is int for one in pair):
            flat |= {"start": pair[0], "end": pair[1]}
            break
    start, end = (
        next((flat[key] for key in WORDS[what] if type(flat.get(key)) is int), None)
        for what in ("starts", "ends")
    )
    named = map(flat.get, WORDS["names"])
    alone = (one[0] if isinstance(one, list) and len(one) == 1 else one for one in named)
    name = next((one for one in alone if isinstance(one, str) and one), "")
    return (start, end, name) if start is not None and end is not None and name else None


def _flattened(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of an object and of those below it; a key above comes after, so that it wins."""
    for value in item.values():
        if isinstance(value, Mapping):
            yield from _flattened(value)
    yield from item.items()


def _divided(text: str) -> list[str]:
    return text.replace(",", " ").split()


def tags_as_text(row: Row, at: Columns) -> Made:
    words, tags = row[at["words"]].split(), _divided(row[at["tags"]])
    if len(words) == len(tags):
        yield {**without(row, at["words"], at["tags"]), **text_of_words(words, tags)}


def tags_inside(row: Row, at: Columns) -> Made:
    found = [word.rpartition(at["divider"]) for word in row[at["name"]].split()]
    if found and all(PATTERNS["tag"].match(tag) for _, _, tag in found):
        marked = text_of_words([word for word, _, _ in found], [tag for _, _, tag in found])
        yield {**without(row, at["name"]), **marked}


def words_and_tags(row: Row, at: Columns) -> Made:
    words, tags = row.get(at["words"]) or [], row.get(at["tags"]) or []
    if len(words) == len(tags):
        rest = {key: value for key, value in row.items() if not isinstance(value, list)}
        yield {**rest, **text_of_words(words, tags)}


def marked_words(row: Row, at: Columns) -> Made:
    """Yield words that are marked by the numbers of their first and last one, or of the one after the last."""
    words = row[at["words"]]
    tags = ["O"] * len(words)
    for start, last, name in spans_of(row.get(at["marks"]), len(words), least=0) or ():
        end = last + at["after"]
        if not start < end <= len(words):
            raise ValueError(name)
        tags[start:end] = [f"B-{name}", *[f"I-{name}"] * (end - start - 1)]
    yield from words_and_tags({**row, at["marks"]: tags}, {**at, "tags": at["marks"]})


def marks_words(rows: Rows, at: Columns) -> bool:
    found = [spans_of(row.get(at["marks"]), len(row[at["words"]]), least=0) for row in rows]
    return any(found) and None not in found


def has_other_names(rows: Rows, at: Columns) -> bool:
    """Whether marks are other than objects of start, end and name, which a recipe can name."""
    lists = [row.get(at["marks"]) or [] for row in rows]
    return not all(map(objects, lists)) or not all(
        any(isinstance(value, str) for value in item.values())
        and sum(type(value) is int for value in item.values()) >= 2
        for some in lists
        for item in some
    )


def marked(row: Row, at: Columns) -> Made:
    spans = spans_of(row.get(at["marks"]) or [], len(row[at["text"]]))
    if spans is not None:
        yield {**row, at["marks"]: named_spans(spans)}


def names_parts(rows: Rows, at: Columns) -> Columns | None:
    marks = [(row[at["text"]], mark) for row in rows for mark in row.get(at["marks"]) or []]
    if not marks or any(type(value) is int for _, mark in marks for value in mark.values()):
        return None
    shared = [k for k in marks[0][1] if all(isinstance(mark.get(k), str) for _, mark in marks)]
    surface = next((key for key in WORDS["surfaces"] if key in shared), None)
    kind = next((key for key in WORDS["names"] if key in shared and key != surface), None)
    if surface is None or kind is None:
        return None
    held = sum(mark[surface] in text for text, mark in marks)
    return {"surface": surface, "kind": kind} if held >= NEARLY * len(marks) else None


def named_parts(row: Row, at: Columns) -> Made:
    spans, after, text = [], 0, row[at["text"]]
    for mark in row.get(at["marks"]) or []:
        words = mark[at["surface"]]
        # In their order where they have one; else wherever they are first.
        start = text.find(words, after)
        start = text.find(words) if start < 0 else start
        if start >= 0 and words:
            after = start + len(words)
            spans.append((start, after, mark[at["kind"]]))
    yield {**row, at["marks"]: named_spans(tuple(spans))}


def _are_inline(values: Sequence[Any]) -> bool:
    found = [
        PATTERNS["text in a tag"].findall(value)
        for value in values
        if value and isinstance(value, str)
    ]
    names = {tag for tags in found for tag, _ in tags}
    is_often = len(found) == len(values) and sum(map(bool, found)) >= 0.5 * len(values)
    return is_often and 1 <= len(names) <= 60 and names.isdisjoint(WORDS["html"])


def inline(row: Row, at: Columns) -> Made:
    parts, end, whole = [], 0, str(row[at["name"]])
    for mark in PATTERNS["text in a tag"].finditer(whole):
        parts += [(whole[end : mark.start()], ""), (mark[2], mark[1])]
        end = mark.end()
    made = marked_text([*parts, (whole[end:], "")])
    yield {**row, at["name"]: made["text"], "spans": made["spans"]}


TESTS: Final = {
    "tags as text": lambda values: are_tags([tag for value in values for tag in _divided(value)]),
    "lists of tags": lambda values: (
        all(map(texts, values)) and are_tags([tag for value in values for tag in value])
    ),
    "inline tags": _are_inline,
}
