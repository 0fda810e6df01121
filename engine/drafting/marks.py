"""Marked parts of a text in one form, `{"start", "end", "label"}` in characters, and exports of tools for annotation.

Label Studio: https://labelstud.io/guide/export. Prodigy: https://prodi.gy/docs/api-interfaces.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.drafting.layout_table import (
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
Spans = list[dict[str, Any]]
"""Marked parts as objects that a recipe can name."""


def are_tags(tags: Sequence[str], share: float = 1.0) -> bool:
    """Whether all, or so many, are tags of words, and some of them mark one."""
    marks = sum(tag != "O" for tag in tags)
    return marks > 0 and sum(bool(PATTERNS["tag"].match(tag)) for tag in tags) >= share * len(tags)


def marked_text(parts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a row of the parts of a text, each with its name; one without a name is not marked."""
    text, spans = "", []
    for part, name in parts:
        if name:
            spans.append({"start": len(text), "end": len(text) + len(part), "label": name})
        text += part
    return {"text": text, "spans": spans}


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
        value = value.get("entities", value.get("spans"))
    if not isinstance(value, list):
        return None
    spans = [span for item in value if (span := _span(item))]
    are_inside = all(0 <= span["start"] < span["end"] <= size for span in spans)
    return spans if are_inside and len(spans) == len(value) else None


def _span(item: object) -> dict[str, Any] | None:
    pair: Any = None
    if isinstance(item, list | tuple):
        pair = [one for one in item if type(one) is int]
        # With the text of the part beside its name, the name is the last.
        name = next((one for one in reversed(item) if isinstance(one, str)), "")
    elif isinstance(item, Mapping):
        flat = {str(key).lower(): value for key, value in item.items()}
        pair = next((flat[key] for key in WORDS["pairs"] if isinstance(flat.get(key), list)), None)
        pair = pair or [
            next((flat[key] for key in WORDS[what] if type(flat.get(key)) is int), None)
            for what in ("starts", "ends")
        ]
        named = (flat.get(key) for key in WORDS["names"])
        first = (one[0] if isinstance(one, list) and one else one for one in named)
        name = next((one for one in first if isinstance(one, str) and one), "")
    if not pair or [type(each) for each in pair] != [int, int] or not name:
        return None
    return {"start": pair[0], "end": pair[1], "label": name}


def _tags_in(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value or []


def words_and_tags(row: Row, at: Columns) -> Made:
    given, tags = row.get(at["words"]) or [], _tags_in(row.get(at["tags"]))
    words = given.split() if isinstance(given, str) else given
    if len(words) == len(tags):
        rest = without(row, at["words"], at["tags"])
        kept = {key: value for key, value in rest.items() if not isinstance(value, list)}
        yield {**kept, **text_of_words(words, tags)}


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
        yield {**row, at["marks"]: spans}


def _objects(value: object) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def label_studio(row: Row, _: Columns) -> Made:
    people = [*_objects(row.get("annotations")), *_objects(row.get("completions"))]
    kept = [one for one in people if not one.get("was_cancelled")]
    if not kept:
        return
    results = _objects(kept[0].get("result"))
    found: dict[str, Any] = {k: v for k, v in row["data"].items() if isinstance(v, str)}
    size = max(map(len, found.values()), default=0)
    marks = []
    for result in results:
        name, value = str(result.get("from_name") or "label"), result.get("value", {})
        written, rated = value.get("text"), value.get("rating", value.get("number"))
        if "start" in value:
            marks.append(value)
        elif labels := [
            str(one) for key in ("choices", "taxonomy") for one in value.get(key) or []
        ]:
            before = found.get(name)
            found[name] = [*(before if isinstance(before, list) else []), *labels]
        elif isinstance(written, list) and written:
            found[name] = str(written[0])
        elif isinstance(rated, int | float):
            found[name] = str(rated)
    spans = {"spans": spans_of(marks, size) or []} if marks or not results else {}
    yield {**found, **spans}


def accepted(row: Row, _: Columns) -> Made:
    if row.get("answer") != "accept":
        return
    # Keys with `_` are the tool's own: hashes, times, who answered.
    own = [key for key in row if key.startswith("_")]
    kept = without(row, *own, "answer", "options", "tokens", "meta")
    if isinstance(kept.get("accept"), list):
        kept["labels"] = kept.pop("accept")
    if isinstance(row.get("spans"), list):
        names = ("start", "end", "label")
        kept["spans"] = [{n: span.get(n) for n in names} for span in _objects(row["spans"])]
    yield kept


def spacy(row: Row, at: Columns) -> Made:
    marks = {key: row[at["marks"]].get(key) for key in ("entities", "cats")}
    # Objects that are empty in every row say nothing.
    kept = {k: one for k, one in marks.items() if one or (k == "entities" and one is not None)}
    yield {**without(row, at["marks"]), **kept}


def paragraphs(row: Row, _: Columns) -> Made:
    for paragraph in _objects(row.get("paragraphs")):
        for asked in _objects(paragraph.get("qas")):
            answers = list(dict.fromkeys(one.get("text", "") for one in asked.get("answers", [])))
            context, question = paragraph.get("context", ""), asked.get("question", "")
            yield {"context": context, "question": question, "answers": answers}


def chosen(row: Row, at: Columns) -> Made:
    value = row.get(at["name"])
    found = value["choices"] if isinstance(value, Mapping) else [value] if value else []
    yield {**row, at["name"]: found}


def _are_choices(values: Sequence[Any]) -> bool:
    filled = [one for one in values if one not in (None, "")]
    around = [one for one in filled if isinstance(one, Mapping) and one.keys() == {"choices"}]
    return bool(around) and all(isinstance(one, str) for one in filled if one not in around)


def _are_lists_of_tags(values: Sequence[Any]) -> bool:
    tags = list(map(_tags_in, values))
    return all(map(texts, tags)) and are_tags([tag for some in tags for tag in some])


TESTS: Final = {
    "tags": _are_lists_of_tags,
    "words": lambda values: all(isinstance(value, str) or texts(value) for value in values),
    "reviewed": lambda values: set(values) <= {"accept", "reject", "ignore"},
    # `tags` alone is a name of much else.
    "spaCy's": lambda values: all(
        isinstance(one, Mapping)
        and one.keys() <= set(WORDS["spacy"])
        and one.keys() & {"entities", "cats"}
        for one in values
    ),
    "choices of Label Studio": _are_choices,
}
