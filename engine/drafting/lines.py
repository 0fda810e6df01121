"""Files of lines that hold more than a text: a label in each line, a word and its tag, intents with their examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.drafting.layout_table import PATTERNS
from engine.drafting.marks import are_tags, marked_text, tag_divider, text_of_words
from engine.drafting.reading import divider_of
from engine.errors import DataError

Rows = list[dict[str, Any]]
Found = tuple[Rows, str] | None
NEARLY: Final = 0.95
LABEL: Final = "__label__"
"""The mark of fastText: https://fasttext.cc/docs/en/supervised-tutorial.html"""
SEPARATORS: Final = (" ||| ", "\t", " +++$+++ ", ";", "|", "@", ": ", " ")
"""What stands between a label and its text, the least usual in texts first."""


def rows_of_lines(text: str, *, is_table: bool = False) -> Found:
    """Return the rows of a text file whose lines hold more than a text, and why; None where they do not.

    Of a file that is called a table only fastText's lines, and words and their tags, are rows.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < 4:
        return None
    attempts = _ATTEMPTS
    if is_table:
        has_sentences = 0.02 * len(filled) < len(lines) - len(filled) < 0.5 * len(lines)
        attempts = (_fasttext, _tagged_words) if has_sentences else (_fasttext,)
    return next(filter(None, (attempt(lines, filled) for attempt in attempts)), None)


def refuse_numbers(text: str, name: str) -> None:
    """Refuse lines that hold no text to learn from: numbered features, or trees of sentences. DataError D323."""
    lines = [line for line in text[: 1 << 20].splitlines() if line.strip()][:300]
    if len(lines) < 4:
        return
    if sum(bool(PATTERNS["features of libsvm"].fullmatch(line)) for line in lines) >= NEARLY * len(
        lines
    ):
        raise DataError.one(
            "D323",
            f"the lines of `{name}` are numbered features (libsvm), not text",
            hint="name the file of the texts that the features were made of",
        )
    words = [line for line in lines if not line.startswith("#")]
    if name.lower().endswith((".conllu", ".conllup", ".conll")) and all(
        line.count("\t") == 9 for line in words
    ):
        raise DataError.one(
            "D323",
            f"`{name}` is a treebank (CoNLL-U): no kind of task answers with a tree over words",
            hint="save a column of BIO tags as `word TAB tag` lines, or the sentences alone as lines of text",
        )


def _fasttext(_: Sequence[str], filled: Sequence[str]) -> Found:
    if sum(LABEL in line for line in filled) < NEARLY * len(filled):
        return None
    labels = [
        [label.strip(",") for label in PATTERNS["label of fastText"].findall(line)]
        for line in filled
    ]
    is_one = all(len(some) == 1 for some in labels)
    texts = (PATTERNS["label of fastText"].sub("", line).strip(" ,\t") for line in filled)
    rows: Rows = [
        {"text": text, **({"label": some[0]} if is_one else {"labels": some})}
        for text, some in zip(texts, labels, strict=True)
    ]
    return rows, "each line holds its labels as fastText writes them"


def _cells(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else line.split()


def _tagged_words(lines: Sequence[str], filled: Sequence[str]) -> Found:
    """Read a word and its tag a line, sentences divided by blank lines (CoNLL-2003 and its relatives)."""
    split = list(map(_cells, filled[:2000]))
    # Comments hold no tag; a word may be `#` too.
    split = [row for row in split if not row[0].startswith("#") or PATTERNS["tag"].match(row[-1])]
    if len(split) < 4:
        return None
    width, _ = Counter(map(len, split)).most_common(1)[0]
    words = [row for row in split if len(row) == width and not row[0].startswith("-DOCSTART-")]
    if width < 2 or len(words) < 0.9 * len(split):
        return None
    places = (-1, *range(width - 1))
    at = next((at for at in places if are_tags([row[at] for row in words], NEARLY)), None)
    if at is None:
        return None
    # The words are in the first column that is no number, as CoNLL-U has one before them.
    worded = (n for n in range(width) if not all(row[n].isdigit() for row in words[:200]))
    word_at = next((n for n in worded if n != at % width), 0)
    blocks: list[list[list[str]]] = [[]]
    for line in lines:
        row = _cells(line)
        # A blank line may hold tabs, as many as a line of words has.
        if not line.strip():
            blocks.append([])
        elif (
            len(row) == width
            and PATTERNS["tag"].match(row[at])
            and not row[0].startswith("-DOCSTART-")
        ):
            blocks[-1].append(row)
    rows = [
        text_of_words([row[word_at] for row in block], [row[at] for row in block])
        for block in blocks
        if block
    ]
    return rows, "each line holds a word and its tag"


def rows_of_intents(lines: Sequence[str], _: Sequence[str] = ()) -> Found:
    """Read Rasa's training data in Markdown: `## intent:greet` and examples as a list below it; None without."""
    rows: Rows = []
    intent = ""
    for line in lines:
        if line.startswith("##"):
            heading = re.match(r"##\s*intent:\s*(\S+)", line)
            intent = heading[1] if heading else ""
        elif intent and (example := re.match(r"\s*[-*+]\s+(.+)", line)):
            rows.append(example_of_intent(example[1], intent))
    return (rows, "examples stand below their intents, as Rasa writes them") if rows else None


def example_of_intent(text: str, intent: str) -> dict[str, Any]:
    """Return an example of Rasa as a row: its text without the marks, its intent and the marked parts."""
    parts, end = [], 0
    for match in PATTERNS["entity of Rasa"].finditer(text):
        named = re.search(r'"entity"\s*:\s*"([^"]+)"', match[3] or "")
        name = match[2] or (named[1] if named else match[3] or "")
        parts += [(text[end : match.start()], ""), (match[1], name.split(":")[0])]
        end = match.end()
    found = marked_text([*parts, (text[end:], "")])
    return {"text": found["text"].strip(), "intent": intent, "entities": found["spans"]}


def _questions(_: Sequence[str], filled: Sequence[str]) -> Found:
    """Read questions and answers, each on a line that begins with `Q:` or `A:`, or the whole words."""
    found = [re.match(r"(?i)(q|question|a|answer)\s*[:.]\s*(.+)", line) for line in filled]
    rows = [
        {"question": q[2], "answer": a[2]}
        for q, a in zip(found[::2], found[1::2], strict=False)
        if q and a and q[1][0].lower() == "q" and a[1][0].lower() == "a"
    ]
    is_all = len(rows) == len(filled) // 2
    return (rows, "lines are questions and answers in turn") if rows and is_all else None


def _bracketed(_: Sequence[str], filled: Sequence[str]) -> Found:
    found = [match for line in filled if (match := PATTERNS["label in brackets"].fullmatch(line))]
    rows = [{"text": one[2].strip(), "label": one[1].strip()} for one in found]
    if len(rows) < NEARLY * len(filled) or not _are_labels([row["label"] for row in rows]):
        return None
    return rows, "each line begins with its label in brackets"


def _labelled(_: Sequence[str], filled: Sequence[str]) -> Found:
    """Read a label and a text a line, in either order, where few labels come again and again."""
    some = filled[:200]
    tabs = {line.count("\t") for line in some}
    if (len(tabs) == 1 and tabs != {0}) or divider_of("\n".join(some)):
        return None  # which a recipe reads itself
    if tag_divider(some):
        return None  # words with their tags, which may begin alike
    for separator in SEPARATORS:
        for is_first in (True, False):
            pairs = [_pair(line, separator, is_first=is_first) for line in filled]
            found = [pair for pair in pairs if pair is not None]
            if len(found) < NEARLY * len(filled) or not _are_labels([label for label, _ in found]):
                continue
            where = "begins" if is_first else "ends"
            rows = [{"text": text, "label": label} for label, text in found]
            return rows, f"each line {where} with a label and `{separator}`"
    return None


def _pair(line: str, separator: str, *, is_first: bool) -> tuple[str, str] | None:
    if is_first:
        label, _, text = line.partition(separator)
    else:
        text, _, label = line.rpartition(separator)
    label, text = label.strip(), text.strip().strip('"')
    # A word before a blank is a label only where it looks like one: the others are the sentence.
    if separator == " " and not re.search(r"[:_\d]|^[A-Z-]+$", label):
        return None
    is_usable = (
        bool(label and text) and len(label) <= 40 and PATTERNS["label before a text"].match(label)
    )
    return (label, text) if is_usable else None


def _are_labels(labels: Sequence[str]) -> bool:
    """Whether texts are a few values, nearly all of which come again and again."""
    counts = Counter(labels)
    if not 2 <= len(counts) <= min(150, len(labels) // 4):
        return False
    # The first words of sentences come again too, but most of them seldom.
    often = sum(count for count in counts.values() if count >= 3)
    return often >= 0.97 * len(labels)


_ATTEMPTS: Final[tuple[Callable[[Sequence[str], Sequence[str]], Found], ...]] = (
    _fasttext,
    rows_of_intents,
    _tagged_words,
    _questions,
    _bracketed,
    _labelled,
)
