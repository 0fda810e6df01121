"""What the table of layouts names: tests of the values of a column or of all rows, and what makes a row plain.

Marked parts of a text have one form, `{"start", "end", "label"}` in characters. Label Studio:
https://labelstud.io/guide/export. Prodigy: https://prodi.gy/docs/api-interfaces.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from engine.data.examples.turns import ROLES
from engine.drafting.column_profile import is_called
from engine.drafting.layout_table import (
    NEARLY,
    PATTERNS,
    TABLE,
    WORDS,
    Columns,
    Row,
    Rows,
    columns_of,
    lower,
    objects,
    texts,
    without,
)
from engine.files.reading import parse_json

Made = Iterator[dict[str, Any]]
FLAGS: Final = frozenset(WORDS["flags"])
SET: Final = frozenset(WORDS["set"])


# Labels: in lists that were written as text, and as columns or keys of 0 and 1.


def _list_in(text: object) -> list[Any] | None:
    """Return the list of a text, of JSON or as Python prints it; None for what holds none."""
    text = text.strip() if isinstance(text, str) else ""
    for read in (parse_json, ast.literal_eval) if text.startswith("[") else ():
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = read(text)
            return value if isinstance(value, list) else None
    return None


def are_lists_in_texts(values: Sequence[Any]) -> bool:
    filled = [value for value in values if value not in (None, "")]
    return bool(filled) and sum(_list_in(one) is not None for one in filled) >= NEARLY * len(filled)


def read_list(row: Row, at: Columns) -> Made:
    value = row.get(at["name"])
    yield {**row, at["name"]: _list_in(value) or []} if isinstance(value, str) else dict(row)


def flags(rows: Rows, _: Columns) -> Columns | None:
    """Find columns of 0 and 1 that are labels each."""
    words = {
        name: {lower(row.get(name)) for row in rows if row.get(name) is not None}
        for name in columns_of(rows)
    }
    columns = [
        name
        for name, some in words.items()
        if some <= FLAGS and any(some) and not PATTERNS["no flag"].match(name)
    ]
    # Two such columns may be a label and a remark on the row.
    fewest = 3 if any(map(PATTERNS["no flag of two"].match, columns)) else 2
    has_classes = any(
        2 <= len({str(row.get(name)) for row in rows}) <= len(rows) // 4
        for name in words
        if name not in columns and is_called(name, "label")
    )
    used = sum(bool(words[name] & SET) for name in columns)
    if not fewest <= len(columns) <= 100 or used < 2 or has_classes:
        return None
    return {"columns": columns, "count": len(columns), "first": columns[0]}


def flags_together(row: Row, at: Columns) -> Made:
    yield {**without(row, *at["columns"]), "labels": _set_in(row, at["columns"])}


def _set_in(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if lower(row.get(name)) in SET]


def are_objects_of_flags(values: Sequence[Any]) -> bool:
    first = values[0]
    if not isinstance(first, Mapping) or not all(value.keys() == first.keys() for value in values):
        return False
    words = {lower(flag) for value in values for flag in value.values()}
    return words <= FLAGS and len({name for value in values for name in _set_in(value, value)}) > 1


def set_flags(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: _set_in(row[at["name"]], row[at["name"]])}


# Names of columns that no template can name: with blanks or a dot at their ends, line breaks or braces.


def _plain_name(name: str) -> str:
    return re.sub(r"[{}\s]+", " ", name).strip(" .") or name


def odd_names(rows: Rows, _: Columns) -> Columns | None:
    names = columns_of(rows)
    odd = [name for name in names if name != _plain_name(name)]
    is_clear = len(set(map(_plain_name, names))) == len(names)
    return {"odd": " ".join(odd[0].split())} if odd and is_clear else None


def renamed(row: Row, _: Columns) -> Made:
    yield {_plain_name(name): value for name, value in row.items()}


# Marked parts of a text.


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


def _tags_in(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value or []


def are_lists_of_tags(values: Sequence[Any]) -> bool:
    tags = list(map(_tags_in, values))
    return all(map(texts, tags)) and are_tags([tag for some in tags for tag in some])


def words_and_tags(row: Row, at: Columns) -> Made:
    given, tags = row.get(at["words"]) or [], _tags_in(row.get(at["tags"]))
    words = given.split() if isinstance(given, str) else given
    if len(words) == len(tags):
        rest = without(row, at["words"], at["tags"])
        kept = {key: value for key, value in rest.items() if not isinstance(value, list)}
        yield {**kept, **text_of_words(words, tags)}


def spans_of(value: Any, size: int) -> list[dict[str, Any]] | None:
    """Return the marked parts that a list holds, of a text of so many characters; None where it holds other things."""
    if isinstance(value, Mapping):
        value = value.get("entities", value.get("spans"))
    spans = [_span(item) for item in value] if isinstance(value, list) else [None]
    are_inside = all(span and 0 <= span["start"] < span["end"] <= size for span in spans)
    return [span for span in spans if span] if are_inside else None


def _span(item: object) -> dict[str, Any] | None:
    """Return one part: of an object with a start, an end and a name, or of a list of two whole numbers and a name."""
    pair: Sequence[Any] = ()
    names: Sequence[Any] = ()
    if isinstance(item, list):
        pair = [one for one in item if type(one) is int]
        # With the text of the part beside its name, the name is the last.
        names = item[::-1]
    elif isinstance(item, Mapping):
        flat = {str(key).lower(): value for key, value in item.items()}
        pair = next((flat[key] for key in WORDS["pairs"] if isinstance(flat.get(key), list)), ())
        pair = pair or [
            next((flat[key] for key in WORDS[what] if type(flat.get(key)) is int), None)
            for what in ("starts", "ends")
        ]
        named = (flat.get(key) for key in WORDS["names"])
        names = [one[0] if isinstance(one, list) and one else one for one in named]
    name = next((one for one in names if isinstance(one, str) and one), "")
    if [type(place) for place in pair] != [int, int] or not name:
        return None
    return {"start": pair[0], "end": pair[1], "label": name}


def are_marks(values: Sequence[Any]) -> bool:
    """Whether some texts are marked otherwise than by objects of start, end and name, which a recipe can name."""
    filled = [one for one in values if one]
    return any(isinstance(one, list | Mapping) for one in filled) and not all(
        objects(some)
        and all(any(isinstance(one, str) for one in part.values()) for part in some)
        and all(sum(type(one) is int for one in part.values()) >= 2 for part in some)
        for some in filled
    )


def marked(row: Row, at: Columns) -> Made:
    spans = spans_of(row.get(at["marks"]) or [], len(row[at["text"]]))
    if spans is not None:
        yield {**row, at["marks"]: spans}


# Exports of tools for annotation.


def _objects(value: object) -> list[Row]:
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
        if "start" in value:
            marks.append(value)
        elif labels := value.get("choices") or value.get("taxonomy"):
            before = found.get(name)
            found[name] = [*(before if isinstance(before, list) else []), *map(str, labels)]
        elif isinstance(written := value.get("text"), list) and written:
            found[name] = str(written[0])
        elif isinstance(rated := value.get("rating", value.get("number")), int | float):
            found[name] = str(rated)
    spans = {"spans": spans_of(marks, size) or []} if marks or not results else {}
    yield {**found, **spans}


def are_spacy(values: Sequence[Any]) -> bool:
    return all(
        isinstance(one, Mapping)
        and one.keys() <= set(WORDS["spacy"])
        and one.keys() & {"entities", "cats"}
        for one in values
    )


def spacy(row: Row, at: Columns) -> Made:
    marks = {key: row[at["marks"]].get(key) for key in ("entities", "cats")}
    yield {
        **without(row, at["marks"]),
        **{key: one for key, one in marks.items() if one is not None},
    }


def are_choices(values: Sequence[Any]) -> bool:
    filled = [one for one in values if one not in (None, "")]
    around = [one for one in filled if isinstance(one, Mapping) and one.keys() == {"choices"}]
    return bool(around) and all(isinstance(one, str) for one in filled if one not in around)


def chosen(row: Row, at: Columns) -> Made:
    value = row.get(at["name"])
    found = value["choices"] if isinstance(value, Mapping) else [value] if value else []
    yield {**row, at["name"]: found}


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


# Questions, instructions and conversations.


def paragraphs(row: Row, _: Columns) -> Made:
    for paragraph in _objects(row.get("paragraphs")):
        for asked in _objects(paragraph.get("qas")):
            answers = list(dict.fromkeys(one.get("text", "") for one in asked.get("answers", [])))
            context, question = paragraph.get("context", ""), asked.get("question", "")
            yield {"context": context, "question": question, "answers": answers}


def _turns_in(text: str) -> list[dict[str, str]]:
    """Return the turns of a text in the template of a chat, the first that knows both speakers; none without one."""
    known = {**ROLES, **TABLE["marks of roles"]}
    for template in TABLE["templates"].values():
        # The prompt for the next answer ends many such texts.
        turns = [
            {"role": known.get(who.lower(), ""), "content": what.strip()}
            for who, what in re.findall(template, text, re.DOTALL)
            if what.strip()
        ]
        roles = [turn["role"] for turn in turns]
        if {"user"} <= set(roles) <= {"system", "user", "assistant"} and roles[-1] == "assistant":
            return turns
    return []


def of_template(row: Row, at: Columns) -> Made:
    if turns := _turns_in(row[at["name"]]):
        yield {**without(row, at["name"]), "messages": turns}


def transcribed(row: Row, _: Columns) -> Made:
    sides = {key: _turns_in(row[key]) for key in ("chosen", "rejected")}
    if all(sides.values()):
        yield sides


def alpaca_text(row: Row, at: Columns) -> Made:
    if found := PATTERNS["text of Alpaca"].search(row[at["name"]]):
        yield {key: value or "" for key, value in found.groupdict().items()}


def alpaca_names(row: Row, at: Columns) -> Made:
    given = row.get("context", row.get("input")) or ""
    yield {"instruction": row.get("instruction"), "input": given, "output": row.get(at["answer"])}


def of_parts(row: Row, at: Columns) -> Made:
    """Yield turns whose texts are lists of parts; one without text, such as an image, is of another layout."""
    # A system message that is a text is read with the turns.
    is_parted = isinstance(row.get("system"), list)
    systems = [{"role": "system", "content": row["system"]}] if is_parted else []
    turns = [*systems, *row[at["name"]]]
    if not any(isinstance(turn["content"], list) for turn in turns):
        raise ValueError(at["name"])
    messages = [
        {**turn, "content": "".join(part["text"] for part in turn["content"])}
        if isinstance(turn["content"], list)
        else turn
        for turn in turns
    ]
    rest = without(row, "system") if is_parted else row
    yield {**rest, at["name"]: messages}


def below_label(row: Row, at: Columns) -> Made:
    for text in row[at["list"]]:
        if isinstance(text, str):
            yield {"text": text, at["label"]: row[at["label"]]}


def each_of_list(row: Row, at: Columns) -> Made:
    yield from ({**without(row, at["list"]), **item} for item in row[at["list"]])


def are_sentences(values: Sequence[Any]) -> bool:
    items = [one for value in values for one in value]
    is_worded = sum(" " in one for one in items) > len(items) / 2
    are_several = sum(len(value) > 1 for value in values) > len(values) / 2
    return is_worded and are_several and all(texts(value) and value for value in values)


def joined(row: Row, at: Columns) -> Made:
    yield {**row, at["name"]: " ".join(row[at["name"]])}


def are_thumbs(rows: Rows, at: Columns) -> bool:
    good, bad = set(WORDS["good"]), set(WORDS["bad"])
    values = {lower(row[at["thumb"]]) for row in rows}
    # Which is a shape that recipes read.
    is_shape = at["thumb"] in ("label", "kto_tag") and all(
        isinstance(row[at["thumb"]], bool) for row in rows
    )
    return not is_shape and values <= good | bad and bool(values & good and values & bad)


def thumbed(row: Row, at: Columns) -> Made:
    keys = {"messages": "messages", "prompt": "prompt", "answer": "completion"}
    kept = {key: row[at[role]] for role, key in keys.items() if role in at}
    yield {**kept, "label": lower(row[at["thumb"]]) in WORDS["good"]}


TESTS: Final[Mapping[str, Callable[[Sequence[Any]], bool]]] = {
    "": lambda _: True,
    "texts": lambda values: all(isinstance(value, str) for value in values),
    "some texts": lambda values: any(isinstance(value, str) for value in values),
    "lists": lambda values: all(isinstance(value, list) for value in values),
    "objects": lambda values: all(isinstance(value, Mapping) for value in values),
    "several": lambda values: all(isinstance(value, list | Mapping) for value in values),
    "lists or choices": lambda values: all(
        isinstance(one, list) or one in (0, 1) for one in values
    ),
    "names of sides": lambda values: all(PATTERNS["side"].fullmatch(lower(one)) for one in values),
    "words": lambda values: all(isinstance(value, str) or texts(value) for value in values),
    "reviewed": lambda values: set(values) <= {"accept", "reject", "ignore"},
    "names of lists": lambda values: (
        all(isinstance(one, str) and 0 < len(one) <= 60 for one in values)
        and len(set(values)) == len(values)
    ),
    "lists of several": lambda values: sum(map(len, values)) >= 2 * len(values),
    "objects with a text": lambda values: (
        sum(map(len, values)) > len(values)
        and all(isinstance(item["text"], str) for some in values for item in some)
    ),
    "objects with parts": lambda values: all("parts" in one for some in values for one in some),
}
"""Short ones of the values of a column; the table names the others as functions."""
