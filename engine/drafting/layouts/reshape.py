"""Rows whose answer no key of a recipe can name, as rows of which it can.

Each function looks at the first rows and returns what turns a row into others, or None where it recognises nothing.
They are tried again after each other, since a list in a text may hold the words of a tagged sentence.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from engine.drafting.layouts.annotations import TOOLS
from engine.drafting.layouts.flags import flags, flags_inside
from engine.drafting.layouts.gathered import gathered_turns, gathered_words
from engine.drafting.layouts.label_names import Names, named_labels
from engine.drafting.layouts.markup import fenced, inline, templated
from engine.drafting.layouts.preferences import SCORE_OF, preferences
from engine.drafting.layouts.questions import answerable, with_choices
from engine.drafting.layouts.spans import are_tags, spans_of, tag_divider, text_of_words
from engine.drafting.layouts.step import (
    LOOKED_AT,
    NEARLY,
    SPLIT,
    Recognised,
    Row,
    Turned,
    columns_of,
)
from engine.drafting.layouts.words import marked_words, repeated_words, sentences_of_tokens
from engine.drafting.layouts.wrapped import chosen, spacy_marks, splits
from engine.drafting.roles import LABEL_NAMES, rank
from engine.errors import RecipeError
from engine.files.reading import parse_json

MOST_STEPS: Final = 5
MOST_COLUMNS: Final = 1000
"""Of rows: each is looked at beside each other one."""
WORDS: Final = ("tokens", "words", "token", "word", "text")
BELOW: Final = (
    *(
        "patterns",
        "examples",
        "utterances",
        "samples",
        "sentences",
        "texts",
        "phrases",
        "questions",
    ),
    *("queries", "training_phrases", "usersays"),
)
LONGEST_LABEL: Final = 60


def reshaped(
    rows: Sequence[Row], names: Names | None = None, *, keep_names: bool = False
) -> tuple[list[Row], list[str]]:
    """Return the rows in a form that a recipe can name, and what was done to them; nothing where nothing had to be.

    `names` are those of the numbers of labels, where a file beside the rows says them. `keep_names` leaves columns
    that no template can name as they are called. RecipeError R030 for more columns than are looked at.
    """
    if (count := len(columns_of(rows))) > MOST_COLUMNS:
        raise RecipeError.one(
            "R030",
            f"its rows have {count:,} columns, and a draft looks at {MOST_COLUMNS:,} at most",
            hint="keep the columns that matter, or start from a shipped recipe: recipe init",
        )
    found, whys = list(rows), []
    for gather in (gathered_words, gathered_turns):
        if together := gather(found):
            found, why = together
            whys.append(why)
            break
    # By all rows: the first ones may be of one split.
    if step := _tried(splits, found):
        found = [new for row in found for new in _turned(step[0], row) or ()]
        whys.append(step[1])
    attempts = [attempt for attempt in ATTEMPTS if attempt is not _odd_names or not keep_names]
    for _ in range(MOST_STEPS):
        sample = found[:LOOKED_AT]
        step = _tried(lambda rows: named_labels(rows, names), sample) if names else None
        step = step or next((one for attempt in attempts if (one := _tried(attempt, sample))), None)
        if step is None:
            break
        turn, why = step
        turned = [_turned(turn, row) for row in found]
        odd, none = sum(new is None for new in turned), sum(new == [] for new in turned)
        found = [new for some in turned for new in some or ()]
        if none:
            why += f"; {none:,} of {len(turned):,} rows hold no answer that can be used and are left out"
        whys.append(f"{why}; {odd:,} that are laid out otherwise are left out" if odd else why)
    return found, whys


ODD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What is raised where a row is not laid out as those are by which its layout was recognised."""


def _tried(attempt: Callable[[Sequence[Row]], Recognised], sample: Sequence[Row]) -> Recognised:
    with suppress(*ODD):
        return attempt(sample)
    return None


def _turned(turn: Turned, row: Row) -> list[dict[str, Any]] | None:
    """Return what becomes of a row; None where it is laid out otherwise."""
    with suppress(*ODD):
        # The split that its file is of stays, whatever becomes of the other columns.
        kept = {SPLIT: row[SPLIT]} if SPLIT in row else {}
        return [{**kept, **new} for new in turn(row)]
    return None


def _odd_names(rows: Sequence[Row]) -> Recognised:
    """Names of columns that no template can name: with blanks at their ends, line breaks or braces."""
    renamed = {name: plain_name(name) for name in columns_of(rows)}
    odd = [name for name, plain in renamed.items() if name != plain]
    if not odd or len(set(renamed.values())) < len(renamed):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        yield {renamed.get(name, plain_name(name)): value for name, value in row.items()}

    return (
        turn,
        f"`{' '.join(odd[0].split())}` is renamed: blanks, line breaks, braces or a dot at its end",
    )


def plain_name(name: str) -> str:
    """Return the name of a column as a template can name it."""
    plain = " ".join(re.sub(r"[{}]", "", name).split())
    # A dot divides a path, and no part of it is empty.
    plain = plain if all(plain.split(".")) else " ".join(plain.replace(".", " ").split())
    return plain or name


def _texts_with_lists(rows: Sequence[Row]) -> Recognised:
    """Lists that stand as text in a table: `["a", "b"]` of JSON, or `['a', 'b']` as Python prints it."""
    columns = [
        name
        for name in columns_of(rows)
        if (texts := [row[name] for row in rows if row.get(name) not in (None, "")])
        and all(isinstance(text, str) and text.strip().startswith(("[", "<")) for text in texts)
        and sum(_list_in(text) is not None for text in texts) >= NEARLY * len(texts)
    ]
    if not columns:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        lists = {name: _list_in(row[name]) for name in columns if isinstance(row.get(name), str)}
        yield {**row, **{name: value or [] for name, value in lists.items()}}

    return turn, f"`{columns[0]}` holds lists that were written as text"


def _list_in(text: str) -> list[Any] | None:
    for read in (parse_json, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list) else None
    # Tags of Stack Overflow: `<python><sql>`.
    if re.fullmatch(r"\s*(<[^<>]+>\s*)+", text):
        return re.findall(r"<([^<>]+)>", text)
    # As numpy prints it, without commas.
    words = re.findall(r"'([^']*)'", text)
    return words if words and re.fullmatch(r"\[\s*('[^']*'\s*)+\]", text.strip()) else None


def _numbered(rows: Sequence[Row]) -> Recognised:
    """Columns of one name with numbers that hold the labels of a row, the last ones seldom filled."""
    names = columns_of(rows)
    stems: dict[str, list[str]] = {}
    for name in names:
        stem = re.sub(r"[ _-]?\d+$", "", name)
        # Of two compared answers the scores are no labels.
        if rank(stem, LABEL_NAMES) < len(LABEL_NAMES) and not SCORE_OF.match(name):
            stems.setdefault(stem, []).append(name)
    for stem, columns in stems.items():
        values = [[str(row.get(name) or "").strip() for name in columns] for row in rows]
        last = [some[-1] for some in values]
        # Several people's labels of one row are there in every row.
        is_seldom = sum(not one for one in last) > 0.05 * len(rows)
        is_short = max((len(one) for some in values for one in some), default=0) <= LONGEST_LABEL
        if len(columns) > 1 and is_seldom and is_short and any(last):
            return _of_numbered(
                stem, columns
            ), f"`{columns[0]}` to `{columns[-1]}` hold the labels of a row"
    return None


def _of_numbered(stem: str, columns: Sequence[str]) -> Turned:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        found = [str(row.get(name) or "").strip() for name in columns]
        rest = {key: value for key, value in row.items() if key not in columns}
        yield {**rest, stem: list(dict.fromkeys(one for one in found if one))}

    return turn


def _words_and_tags(rows: Sequence[Row]) -> Recognised:
    """A list of words and a list of their tags."""
    lists = {
        name
        for name in columns_of(rows)
        if all(isinstance(row.get(name), list) for row in rows) and any(row[name] for row in rows)
    }
    texts = {n for n in lists if all(isinstance(w, str) for row in rows for w in row[n])}
    tags = next((n for n in texts if are_tags([w for row in rows for w in row[n]])), None)
    if tags is None:
        return None
    words = next(
        (n for n in sorted(texts - {tags}, key=_word_rank)
         if all(len(row[n]) == len(row[tags]) for row in rows)),
        None,
    )  # fmt: skip
    if words is None:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        rest = {key: value for key, value in row.items() if key not in lists}
        if len(row.get(words) or []) == len(row.get(tags) or []):
            yield {**rest, **text_of_words(row[words], row[tags]).row()}

    return turn, f"`{words}` and `{tags}` are words and their tags"


def _word_rank(name: str) -> int:
    return WORDS.index(name.lower()) if name.lower() in WORDS else len(WORDS)


def _examples_below(rows: Sequence[Row]) -> Recognised:
    """Texts in a list below their label, such as the patterns of an intent."""
    names = columns_of(rows)
    lists = next(
        (n for n in names if n.lower() in BELOW and all(isinstance(r.get(n), list) for r in rows)),
        None,
    )
    label = next((n for n in names if _names_rows(rows, n)), None)
    if lists is None or label is None or sum(len(row[lists]) for row in rows) < 2 * len(rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        for text in row[lists]:
            if isinstance(text, str):
                yield {"text": text, label: row[label]}

    return turn, f"`{lists}` stand below their `{label}`"


def _objects_below(rows: Sequence[Row]) -> Recognised:
    """Objects with a text in a list, such as the ways in which people ask for one answer."""
    name = next(
        (
            n
            for n in columns_of(rows)
            if n.lower() in BELOW and all(_hold_texts(r.get(n)) for r in rows)
        ),
        None,
    )
    if name is None or sum(len(row[name]) for row in rows) <= len(rows):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        rest = {key: value for key, value in row.items() if key != name}
        for item in row[name]:
            yield {**rest, **item}

    return turn, f"each of `{name}` is a row"


def _hold_texts(items: object) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, Mapping) and isinstance(item.get("text"), str) for item in items
    )


def _names_rows(rows: Sequence[Row], name: str) -> bool:
    values = [row.get(name) for row in rows]
    is_text = all(isinstance(value, str) and 0 < len(value) <= LONGEST_LABEL for value in values)
    return is_text and len(set(values)) == len(values)


def _tags_as_text(rows: Sequence[Row]) -> Recognised:
    """A sentence, and the tags of its words in one text with blanks or commas between them."""
    names = [n for n in columns_of(rows) if all(isinstance(row.get(n), str) for row in rows)]
    tags = next(
        (n for n in names if are_tags([tag for row in rows for tag in _divided(row[n])])), None
    )
    if tags is None:
        return None
    words = next((n for n in names if n != tags and _fit(rows, n, tags)), None)
    if words is None:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        found, marks = str(row[words]).split(), _divided(row[tags])
        if len(found) == len(marks):
            rest = {key: value for key, value in row.items() if key not in (words, tags)}
            yield {**rest, **text_of_words(found, marks).row()}

    return turn, f"`{tags}` holds a tag for each word of `{words}`"


def _tags_inside(rows: Sequence[Row]) -> Recognised:
    """Sentences with the tag of each word behind it: `Oslo|B-city is|O`, or with a slash."""
    for name in columns_of(rows):
        if not (divider := tag_divider([str(row.get(name) or "") for row in rows])):
            continue

        def turn(row: Row, name: str = name, divider: str = divider) -> Iterator[dict[str, Any]]:
            found = [word.rpartition(divider) for word in str(row[name]).split()]
            marked = text_of_words([one for one, _, _ in found], [tag for _, _, tag in found])
            yield {**{k: v for k, v in row.items() if k != name}, **marked.row()}

        return turn, f"each word of `{name}` has its tag behind it"
    return None


def _divided(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _fit(rows: Sequence[Row], words: str, tags: str) -> bool:
    return sum(len(r[words].split()) == len(_divided(r[tags])) for r in rows) >= NEARLY * len(rows)


SYSTEMS: Final = ("systemInstruction", "system_instruction", "system")


def _texts_of_parts(rows: Sequence[Row]) -> Recognised:
    """Turns whose texts stand in a list of parts: Gemini's `contents`, and messages as OpenAI and Bedrock have them."""
    name = next(
        (n for n in ("contents", "messages") if all(_has_parts(row.get(n)) for row in rows)), None
    )
    if name is None or not rows:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        system = next(
            (row[key] for key in SYSTEMS if isinstance(row.get(key), Mapping | list)), None
        )
        turns = [{"role": one.get("role", "user"), "content": _joined(one)} for one in row[name]]
        if system is not None:
            parts = system if isinstance(system, Mapping) else {"parts": system}
            turns.insert(0, {"role": "system", "content": _joined(parts)})
        # A system message that is a text is read beside the turns.
        rest = {
            k: v for k, v in row.items() if k != name and (k not in SYSTEMS or isinstance(v, str))
        }
        yield {**rest, "messages": turns}

    return turn, f"the texts of `{name}` stand in parts"


def _has_parts(turns: object) -> bool:
    """Whether each turn is a text or a list of them, and one is a list."""
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        return False
    contents = [turn.get("parts", turn.get("content")) for turn in turns]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return (
        bool(parts)
        and all(isinstance(content, str | list) for content in contents)
        and all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in parts)
    )


def _joined(turn: Row) -> str:
    parts = turn.get("parts", turn.get("content"))
    return (
        "".join(part["text"] for part in parts if isinstance(part, Mapping) and "text" in part)
        if isinstance(parts, list)
        else str(parts or "")
    )


DIALOGUES: Final = (
    "data",
    "dialog",
    "dialogue",
    "conversation",
    "conversations",
    "messages",
    "turns",
)


def _turns_as_texts(rows: Sequence[Row]) -> Recognised:
    """Turns that are only their texts, of two speakers after each other."""
    name = next((n for n in DIALOGUES if all(_alternate(row.get(n)) for row in rows)), None)
    if not rows or name is None or any(isinstance(v, str) and " " in v for v in rows[0].values()):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        # A last question without an answer teaches nothing.
        paired = row[name][: len(row[name]) // 2 * 2]
        turns = [
            {"role": ("user", "assistant")[at % 2], "content": one} for at, one in enumerate(paired)
        ]
        yield {**{key: value for key, value in row.items() if key != name}, "messages": turns}

    return turn, f"`{name}` holds what two speakers say after each other"


def _alternate(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(one, str) and one.strip() for one in value)
    )


def _turns_before(rows: Sequence[Row]) -> Recognised:
    """Alpaca's columns with the rounds before them in `history`, as LLaMA-Factory reads them."""
    keys = ("instruction", "output", "history")
    histories = [row.get("history") for row in rows]
    if not all(key in row for row in rows for key in keys) or not any(histories):
        return None
    if not all(isinstance(one, list) and all(map(_alternate, one)) for one in histories if one):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        asked = "\n".join(filter(None, (row["instruction"], row.get("input"))))
        rounds = [*(row["history"] or []), [asked, row["output"]]]
        system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        turns = [
            {"role": who, "content": what}
            for one in rounds
            for who, what in zip(("user", "assistant"), one, strict=False)
        ]
        yield {"messages": [*system, *turns]}

    return turn, "`history` holds the rounds before the last one"


def _instructions(rows: Sequence[Row]) -> Recognised:
    """An instruction, perhaps a context, and a response, under other names than Alpaca's."""
    names = columns_of(rows)
    answer = next((n for n in ("response", "answer", "completion") if n in names), None)
    if (
        "instruction" not in names
        or answer is None
        or "output" in names
        or not any(isinstance(r.get(answer), str) for r in rows)
    ):
        return None
    context = next((n for n in ("context", "input") if n in names), "")

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        asked = {"instruction": row.get("instruction"), "input": row.get(context) or ""}
        yield {**asked, "output": row.get(answer)}

    return turn, f"`{answer}` answers `instruction`: named as Alpaca names them"


def _marked(rows: Sequence[Row]) -> Recognised:
    """Marked parts of a text that are lists of numbers and a name, or stand below other keys."""
    for column in columns_of(rows):
        lists = [row.get(column) for row in rows]
        is_plain = all(
            isinstance(one, list) and all(isinstance(item, Mapping) for item in one)
            for one in lists
            if one
        )
        text = _text_of_marks(rows, column)
        if text is None or (is_plain and _has_named_span(lists)):
            continue

        def turn(row: Row, column: str = column, text: str = text) -> Iterator[dict[str, Any]]:
            spans = spans_of(row.get(column) or [], len(str(row.get(text) or ""))) or ()
            new = [{"start": start, "end": end, "label": name} for start, end, name in spans]
            yield {**row, column: new}

        return turn, f"`{column}` marks parts of `{text}`"
    return None


def _has_named_span(lists: Sequence[Any]) -> bool:
    """Whether the objects of the lists hold start, end and name themselves, which a recipe can name."""
    items = [item for one in lists if one for item in one]
    return bool(items) and all(
        any(isinstance(value, str) for value in item.values())
        and sum(type(value) is int for value in item.values()) >= 2
        for item in items
    )


def _text_of_marks(rows: Sequence[Row], column: str) -> str | None:
    """Return the column of texts that the marks of another fit into; None where they are none."""
    if not any(row.get(column) for row in rows):
        return None
    for name in columns_of(rows):
        if name == column or not all(isinstance(row.get(name), str) for row in rows):
            continue
        if all(spans_of(row.get(column) or [], len(row[name])) is not None for row in rows):
            return name
    return None


def _paragraphs(rows: Sequence[Row]) -> Recognised:
    """Questions below the paragraphs that they are asked of, as SQuAD has them."""
    inner = [row for row in rows if isinstance(row.get("paragraphs"), list)]
    if len(inner) < len(rows) or not rows:
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        for paragraph in row["paragraphs"]:
            for asked in paragraph.get("qas", []):
                answers = [one.get("text", "") for one in asked.get("answers", [])]
                yield {
                    "context": paragraph.get("context", ""),
                    "question": asked.get("question", ""),
                    "answers": list(dict.fromkeys(answers)),
                }

    return turn, "questions stand below their paragraphs"


def _named_objects(rows: Sequence[Row]) -> Recognised:
    """Labels that are objects with a name, in a list: genres of TMDB, labels of an issue of GitHub."""
    for name in columns_of(rows):
        lists = [row.get(name) for row in rows]
        items = [one for some in lists if isinstance(some, list) for one in some]
        if not items or not all(isinstance(some, list) for some in lists):
            continue
        if not all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in items):
            continue
        names = {one["name"] for one in items}
        if any(map(_says_more, items)) or 2 * len(names) > len(items):
            continue

        def turn(row: Row, name: str = name) -> Iterator[dict[str, Any]]:
            yield {**row, name: [one["name"] for one in row[name]]}

        return turn, f"`{name}` holds objects, whose names are the labels"
    return None


def _says_more(item: Row) -> bool:
    """Whether an object is more than a name, such as a marked part of a text or a turn."""
    deeper = any(isinstance(one, Mapping | list) for one in item.values())
    return deeper or not item.keys().isdisjoint(
        ("start", "end", "offset", "text", "value", "content")
    )


def _stories(rows: Sequence[Row]) -> Recognised:
    """Questions and answers about a story, one after the other, as CoQA has them."""
    keys = ("questions", "answers")
    if not rows or not all(isinstance(row.get("story"), str) for row in rows):
        return None
    if not all(
        isinstance(one["input_text"], str) for row in rows for key in keys for one in row[key]
    ):
        return None

    def turn(row: Row) -> Iterator[dict[str, Any]]:
        asked, answered = ([one["input_text"] for one in row[key]] for key in keys)
        asked[0] = f"{row['story']}\n\n{asked[0]}"
        yield {
            "messages": [
                message
                for question, answer in zip(asked, answered, strict=True)
                for message in (
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                )
            ]
        }

    return turn, "questions about each `story` follow each other, as in CoQA"


ATTEMPTS: Final[tuple[Callable[[Sequence[Row]], Recognised], ...]] = (
    *TOOLS,
    _odd_names,
    spacy_marks,
    chosen,
    sentences_of_tokens,
    _paragraphs,
    _stories,
    answerable,
    with_choices,
    _numbered,
    _texts_with_lists,
    _texts_of_parts,
    _examples_below,
    _objects_below,
    _tags_as_text,
    _tags_inside,
    _words_and_tags,
    marked_words,
    _marked,
    repeated_words,
    preferences,
    templated,
    fenced,
    _turns_as_texts,
    _turns_before,
    _instructions,
    _named_objects,
    flags,
    flags_inside,
    inline,
)
