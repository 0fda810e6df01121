"""Marked parts of a text, in one form: `{"start", "end", "label"}`, counted in characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layouts.layout import (
    LISTS,
    NEARLY,
    TEXTS,
    Attempt,
    Columns,
    Role,
    Row,
    RowLayout,
    Rows,
    objects,
    texts,
    without,
)
from engine.recipe.text.words import IN_WORD

STARTS: Final = (
    *("start", "start_offset", "startindex", "start_index", "start_char", "start_pos", "begin"),
    *("beginoffset", "begin_offset", "offset_start", "from", "exclusive_start", "startoffset"),
)
ENDS: Final = (
    *("end", "end_offset", "endindex", "end_index", "end_char", "end_pos", "stop", "endoffset"),
    *("offset_end", "to", "exclusive_end"),
)
PAIRS: Final = ("pos", "position", "offset", "offsets", "span", "indices", "range")
NAMES: Final = (
    *("label", "labels", "entity", "entity_type", "type", "tag", "name", "slot", "category"),
    *("class", "entity_group", "ner"),
)
SURFACES: Final = ("text", "value", "word", "span", "mention", "surface", "entity", "name")
"""Keys of a mark that hold the words it marks."""
WORDS: Final = ("tokens", "words", "token", "word", "text")
TAGS: Final = re.compile(rf"(?:O|[BILSEUM]-[{IN_WORD}.:/&-]+)\Z")
TAGGED: Final = re.compile(r"<([A-Za-z][\w.-]*)>([^<>]+)</\1>")
HTML: Final = re.compile(
    r"a|abbr|b|big|blockquote|br|center|code|div|em|font|h\d|i|img|li|mark|p|pre|q|s|small|span|strong|su[bp]"
    r"|table|t[dhr]|title|[uo]l|u|think"
)
Spans = tuple[tuple[int, int, str], ...]


def are_tags(tags: Sequence[str]) -> bool:
    """Whether all are tags of words (BIO, IOBES or BILOU), and some of them mark one."""
    return any(tag != "O" for tag in tags) and all(map(TAGS.match, tags))


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


def spans_of(value: object, size: int) -> Spans | None:
    """Return the marked parts that a list holds, of a text of so many characters; None where it holds other things.

    A part is an object with a start, an end and a name, or a list of two whole numbers and a name.
    """
    if isinstance(value, Mapping):
        inner = value.get("entities", value.get("spans"))
        return spans_of(inner, size) if isinstance(inner, list) else None
    if not isinstance(value, list):
        return None
    found = [_span(item) for item in value]
    spans = tuple(one for one in found if one is not None and 0 <= one[0] < one[1] <= size)
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
    for key in PAIRS:
        pair = flat.get(key)
        if isinstance(pair, list) and len(pair) == 2 and all(type(one) is int for one in pair):
            flat |= {"start": pair[0], "end": pair[1]}
            break
    start = next((flat[key] for key in STARTS if type(flat.get(key)) is int), None)
    end = next((flat[key] for key in ENDS if type(flat.get(key)) is int), None)
    alone = (
        one[0] if isinstance(one, list) and len(one) == 1 else one for one in map(flat.get, NAMES)
    )
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


def _all_tags(read: Callable[[Any], list[str]]) -> Callable[[Sequence[Any]], bool]:
    return lambda values: are_tags([tag for value in values for tag in read(value)])


def _as_long(rows: Rows, at: Columns) -> bool:
    fit = (len(row[at["words"]].split()) == len(_divided(row[at["tags"]])) for row in rows)
    return sum(fit) >= NEARLY * len(rows)


def _tags_as_text(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    words, tags = str(row[at["words"]]).split(), _divided(row[at["tags"]])
    if len(words) == len(tags):
        yield {**without(row, at["words"], at["tags"]), **text_of_words(words, tags)}


def _tags_inside(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    found = [word.rpartition(at["divider"]) for word in str(row[at["name"]]).split()]
    marked = text_of_words([word for word, _, _ in found], [tag for _, _, tag in found])
    yield {**without(row, at["name"]), **marked}


def _words_and_tags(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    words, tags = row.get(at["words"]) or [], row.get(at["tags"]) or []
    if len(words) == len(tags):
        rest = {key: value for key, value in row.items() if not isinstance(value, list)}
        yield {**rest, **text_of_words(words, tags)}


def _places(row: Row, at: Columns) -> Spans | None:
    """Return marks by the numbers of their first and last word."""
    marks = row.get(at["marks"])
    if not isinstance(marks, list):
        return None
    # A mark of one word ends where it begins, which is none of a text.
    spans = spans_of([_one_later(mark) for mark in marks], len(row[at["words"]]) + 1)
    return None if spans is None else tuple((a, b - 1, name) for a, b, name in spans)


def _one_later(mark: object) -> object:
    if isinstance(mark, list):
        whole = [at for at, one in enumerate(mark) if type(one) is int]
        return [one + 1 if whole[1:2] == [at] else one for at, one in enumerate(mark)]
    if isinstance(mark, Mapping):
        return {
            k: v + (k.lower().startswith("end") and type(v) is int) if type(v) is int else v
            for k, v in mark.items()
        }
    return mark


def _of_words(rows: Rows, at: Columns) -> Columns | None:
    found = [_places(row, at) for row in rows]
    if not any(found) or any(one is None for one in found):
        return None
    ends = [
        (a, b, len(row[at["words"]]))
        for row, one in zip(rows, found, strict=True)
        for a, b, _ in one or ()
    ]
    # A last word is never the number of all words, and a mark is never empty.
    after = int(all(b < size for _, b, size in ends) and any(a == b for a, b, _ in ends))
    return {"after": after} if all(a < b + after <= size for a, b, size in ends) else None


def _marked_words(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    words = row[at["words"]]
    tags = ["O"] * len(words)
    for start, last, name in _places(row, at) or ():
        end = last + at["after"]
        tags[start:end] = [f"B-{name}", *[f"I-{name}"] * (end - start - 1)]
    rest = {
        k: v for k, v in without(row, at["words"], at["marks"]).items() if not isinstance(v, list)
    }
    yield {**rest, **text_of_words(words, tags)}


def _marks_fit(rows: Rows, at: Columns) -> bool:
    lists = [row.get(at["marks"]) or [] for row in rows]
    items = [item for one in lists for item in one]
    # Objects that hold start, end and name themselves can be named by a recipe.
    is_named = all(map(objects, lists)) and all(
        any(isinstance(value, str) for value in item.values())
        and sum(type(value) is int for value in item.values()) >= 2
        for item in items
    )
    return not is_named and all(
        spans_of(marks, len(row[at["text"]])) is not None
        for row, marks in zip(rows, lists, strict=True)
    )


def _marked(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    spans = spans_of(row.get(at["marks"]) or [], len(str(row.get(at["text"]) or "")))
    yield {**row, at["marks"]: named_spans(spans)}


def _repeat(rows: Rows, at: Columns) -> Columns | None:
    lists = [(row[at["text"]], row.get(at["marks"]) or []) for row in rows]
    marks = [mark for _, some in lists for mark in some]
    if not marks or any(type(value) is int for mark in marks for value in mark.values()):
        return None
    shared = [key for key in marks[0] if all(isinstance(mark.get(key), str) for mark in marks)]
    surface = next((key for key in SURFACES if key in shared), None)
    kind = next((key for key in NAMES if key in shared and key != surface), None)
    if surface is None or kind is None:
        return None
    held = sum(mark[surface] in text for text, some in lists for mark in some)
    return {"surface": surface, "kind": kind} if held >= NEARLY * len(marks) else None


def _repeated(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
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
    found = [TAGGED.findall(value) for value in values]
    names = {tag for tags in found for tag, _ in tags}
    is_often = sum(map(bool, found)) >= 0.5 * len(values)
    return is_often and 1 <= len(names) <= 60 and not any(map(HTML.fullmatch, names))


def _inline(row: Row, at: Columns) -> Iterator[dict[str, Any]]:
    parts, end, whole = [], 0, str(row[at["name"]])
    for mark in TAGGED.finditer(whole):
        parts += [(whole[end : mark.start()], ""), (mark[2], mark[1])]
        end = mark.end()
    made = marked_text([*parts, (whole[end:], "")])
    yield {**row, at["name"]: made["text"], "spans": made["spans"]}


TEXT: Final = Role(test=TEXTS)
MARKED: Final = Role(
    test=lambda values: any(one and isinstance(one, list | Mapping) for one in values),
    is_sparse=True,
)
REPEATED: Final = Role(
    test=lambda values: any(values) and all(map(objects, filter(None, values))), is_sparse=True
)
MARKS: Final[tuple[Attempt, ...]] = (
    RowLayout(
        why="`{tags}` holds a tag for each word of `{words}`",
        needs={"tags": Role(test=lambda values: TEXTS(values) and _all_tags(_divided)(values)), "words": TEXT},
        fits=_as_long,
        make=_tags_as_text,
    ),
    RowLayout(
        why="each word of `{name}` has its tag behind it",
        needs={"name": Role(test=lambda values: bool(tag_divider([str(one or "") for one in values])))},
        fits=lambda rows, at: {"divider": tag_divider([str(row[at["name"]] or "") for row in rows])},
        make=_tags_inside,
    ),
    RowLayout(
        why="`{words}` and `{tags}` are words and their tags",
        needs={
            "tags": Role(test=lambda values: all(map(texts, values)) and _all_tags(list)(values)),
            "words": Role(first=WORDS, test=lambda values: all(map(texts, values))),
        },
        fits=lambda rows, at: all(len(row[at["words"]]) == len(row[at["tags"]]) for row in rows),
        make=_words_and_tags,
    ),
    RowLayout(
        why="`{marks}` marks words of `{words}`",
        needs={
            "words": Role(test=lambda values: all(texts(value) and value for value in values)),
            "marks": Role(test=LISTS),
        },
        fits=_of_words,
        make=_marked_words,
    ),
    RowLayout(
        why="`{marks}` marks parts of `{text}`",
        needs={"marks": MARKED, "text": TEXT},
        fits=_marks_fit,
        make=_marked,
    ),
    RowLayout(
        why="`{marks}` names parts of `{text}`",
        needs={"marks": REPEATED, "text": TEXT},
        fits=_repeat,
        make=_repeated,
    ),
)  # fmt: skip
INLINE: Final = RowLayout(
    why="`{name}` holds entities between tags",
    needs={"name": Role(test=lambda values: TEXTS(values) and all(values) and _are_inline(values))},
    make=_inline,
)
