"""Files of lines that hold more than a text: a label in each line, a word and its tag, intents with their examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from engine.drafting.marks import TAG, are_tags, marked_text, tag_divider, text_of_words
from engine.drafting.reading import divider_of
from engine.errors import DataError
from engine.recipe.text.words import IN_WORD

Rows = list[dict[str, Any]]
NEARLY: Final = 0.95
LABEL: Final = "__label__"
"""The mark of fastText: https://fasttext.cc/docs/en/supervised-tutorial.html"""
MARKED: Final = re.compile(r"(?<!\S)__label__(\S+)")
FEATURES: Final = re.compile(r"[-+]?[\d.]+(?:,[\d.]+)*(?:\s+(?:qid:)?\d+:[-+.\deE]+)+\s*(?:#.*)?")
TREEBANKS: Final = (".conllu", ".conllup", ".conll")
TREE: Final = re.compile(r"\s*\((\d) \(.*\)\s*")
LEAF: Final = re.compile(r"\(\d ([^()]+)\)")
LOOKED_AT: Final = 300
PATTERNS: Final[
    tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], dict[str, Any]]], ...]
] = (
    (
        "each line is a tree with its label, as the Stanford Sentiment Treebank has them",
        TREE,
        lambda found: {"text": " ".join(LEAF.findall(found[0])), "label": found[1]},
    ),
    (
        "each line begins with its label in brackets",
        re.compile(r"\s*\[([^\[\]]{1,60})\]\s*(\S.*)"),
        lambda found: {"text": found[2].strip(), "label": found[1].strip()},
    ),
    (
        "`__eou__` ends each turn of a conversation",
        re.compile(r".*?__eou__.*?__eou__.*"),
        lambda found: {"turns": [one.strip() for one in found[0].split("__eou__") if one.strip()]},
    ),
)
"""(why, what each line is, the row of it): lines that are all alike."""
SEPARATORS: Final = (" ||| ", "\t", " +++$+++ ", ";", "|", "@", ": ", " ")
"""What stands between a label and its text, the least usual in texts first."""
NUMBER_LINE: Final = re.compile(r"#{2,}\s*\d+\s*")
LONGEST_LABEL: Final = 40
WORD: Final = re.compile(rf"[{IN_WORD}.+/&:'-]+( [{IN_WORD}.+/&'-]+){{0,3}}\Z")
ENTITY: Final = re.compile(r"\[([^\]]+)\](?:\(([^)]+)\)|\{([^}]*)\})")
"""An entity in an example of Rasa: `[text](name)` or `[text]{"entity": "name"}`."""


def rows_of_lines(text: str) -> tuple[Rows, str] | None:
    """Return the rows of a text file whose lines hold more than a text, and why; None where they do not."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < 4:
        return None
    for attempt in _ATTEMPTS:
        if found := attempt(lines, filled):
            return found
    return None


def rows_of_marked_lines(text: str) -> tuple[Rows, str] | None:
    """Return the rows of a file called a table whose lines are fastText's, or words and their tags."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < 4:
        return None
    has_sentences = 0.02 * len(filled) < sum(not line.strip() for line in lines) < 0.5 * len(lines)
    return _fasttext(lines, filled) or (_tagged_words(lines, filled) if has_sentences else None)


def refuse_numbers(text: str, name: str) -> None:
    """Refuse lines that hold no text to learn from: numbered features, or trees of sentences. DataError D323."""
    lines = [line for line in text[: 1 << 20].splitlines() if line.strip()][:LOOKED_AT]
    if len(lines) < 4:
        return
    if sum(bool(FEATURES.fullmatch(line)) for line in lines) >= NEARLY * len(lines):
        raise DataError.one(
            "D323",
            f"the lines of `{name}` are numbered features (libsvm), not text",
            hint="name the file of the texts that the features were made of",
        )
    words = [line for line in lines if not line.startswith("#")]
    if name.lower().endswith(TREEBANKS) and all(line.count("\t") == 9 for line in words):
        raise DataError.one(
            "D323",
            f"`{name}` is a treebank (CoNLL-U): no kind of task answers with a tree over words",
            hint="save a column of BIO tags as `word TAB tag` lines, or the sentences alone as lines of text",
        )


def _fasttext(_: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    if sum(LABEL in line for line in filled) < NEARLY * len(filled):
        return None
    rows: Rows = []
    for line in filled:
        labels = [label.strip(",") for label in MARKED.findall(line)]
        rows.append({"text": MARKED.sub("", line).strip(" ,\t"), "labels": labels})
    if all(len(row["labels"]) == 1 for row in rows):
        rows = [{"text": row["text"], "label": row["labels"][0]} for row in rows]
    return rows, "each line holds its labels as fastText writes them"


def _tagged_words(lines: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    """Read a word and its tag a line, sentences divided by blank lines (CoNLL-2003 and its relatives)."""
    split = [line.split("\t") if "\t" in line else line.split() for line in filled[:2000]]
    # Comments hold no tag; a word may be `#` too.
    split = [row for row in split if not row[0].startswith("#") or TAG.match(row[-1])]
    if len(split) < 4:
        return None
    widths = Counter(map(len, split))
    width, _ = widths.most_common(1)[0]
    words = [row for row in split if len(row) == width and not row[0].startswith("-DOCSTART-")]
    if width < 2 or len(words) < 0.9 * len(split):
        return None
    at = next(
        (at for at in (-1, *range(width - 1)) if are_tags([row[at] for row in words], NEARLY)), None
    )
    if at is None:
        return None
    word_at = _word_column(words, at % width)
    rows = [
        text_of_words([row[word_at] for row in block], [row[at] for row in block])
        for block in _blocks(lines, width, at)
    ]
    return rows, "each line holds a word and its tag"


def _word_column(rows: Sequence[Sequence[str]], tags: int) -> int:
    """Return the place of the words: the first column that is no number, as CoNLL-U has one before them."""
    for at in range(len(rows[0])):
        if at != tags and not all(row[at].isdigit() for row in rows[:200]):
            return at
    return 0


def _blocks(lines: Sequence[str], width: int, at: int) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    for line in [*lines, ""]:
        row = line.split("\t") if "\t" in line else line.split()
        # A blank line may hold tabs, as many as a line of words has.
        if not line.strip():
            if block:
                yield block
            block = []
        elif len(row) == width and TAG.match(row[at]) and not row[0].startswith("-DOCSTART-"):
            block.append(row)


def _abstracts(_: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    """Read PubMed RCT: `###` and a number above the sentences of an abstract, each behind its label and a tab."""
    sentences = [line.partition("\t") for line in filled if not NUMBER_LINE.fullmatch(line)]
    if len(sentences) in (0, len(filled)) or not all(tab for _, tab, _ in sentences):
        return None
    if not _are_labels([label for label, _, _ in sentences]):
        return None
    rows = [{"text": text.strip(), "label": label} for label, _, text in sentences]
    return rows, "each line begins with a label, below the number of its text"


def rows_of_intents(lines: Sequence[str], _: Sequence[str] = ()) -> tuple[Rows, str] | None:
    """Read Rasa's training data in Markdown: `## intent:greet` and examples as a list below it; None without."""
    rows: Rows = []
    intent = ""
    for line in lines:
        if heading := re.match(r"##\s*intent:\s*(\S+)", line):
            intent = heading[1]
        elif line.startswith("##"):
            intent = ""
        elif intent and (example := re.match(r"\s*[-*+]\s+(.+)", line)):
            rows.append(example_of_intent(example[1], intent))
    return (rows, "examples stand below their intents, as Rasa writes them") if rows else None


def example_of_intent(text: str, intent: str) -> dict[str, Any]:
    """Return an example of Rasa as a row: its text without the marks, its intent and the marked parts."""
    parts, end = [], 0
    for match in ENTITY.finditer(text):
        name = match[2] or _entity_in(match[3] or "")
        parts += [(text[end : match.start()], ""), (match[1], name.split(":")[0])]
        end = match.end()
    found = marked_text([*parts, (text[end:], "")])
    return {"text": found["text"].strip(), "intent": intent, "entities": found["spans"]}


def _entity_in(text: str) -> str:
    found = re.search(r'"entity"\s*:\s*"([^"]+)"', text)
    return found[1] if found else text


def _questions(_: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    """Read questions and answers, each on a line that begins with `Q:` or `A:`, or the whole words."""
    found = [re.match(r"(?i)(q|question|a|answer)\s*[:.]\s*(.+)", line) for line in filled]
    pairs = list(zip(found[::2], found[1::2], strict=False))
    if not pairs:
        return None
    if not all(q and a and q[1][0].lower() == "q" and a[1][0].lower() == "a" for q, a in pairs):
        return None
    rows = [{"question": q[2], "answer": a[2]} for q, a in pairs if q and a]
    return rows, "lines are questions and answers in turn"


def _alike(_: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    """Read lines that one pattern matches."""
    for why, pattern, make in PATTERNS:
        found = [match for line in filled if (match := pattern.fullmatch(line))]
        if len(found) < NEARLY * len(filled):
            continue
        rows = list(map(make, found))
        if "label" not in rows[0] or pattern is TREE or _are_labels([row["label"] for row in rows]):
            return rows, why
    return None


def _labelled(_: Sequence[str], filled: Sequence[str]) -> tuple[Rows, str] | None:
    """Read a label and a text a line, in either order, where few labels come again and again."""
    if _is_table(filled[:200]) or divider_of("\n".join(filled[:200])):
        return None  # which a recipe reads itself
    if tag_divider(filled[:200]):
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


def _is_table(lines: Sequence[str]) -> bool:
    counts = {line.count("\t") for line in lines}
    return len(counts) == 1 and counts != {0}


def _pair(line: str, separator: str, *, is_first: bool) -> tuple[str, str] | None:
    if is_first:
        label, _, text = line.partition(separator)
    else:
        text, _, label = line.rpartition(separator)
    label, text = label.strip(), text.strip().strip('"')
    # A word before a blank is a label only where it looks like one: the others are the sentence.
    if separator == " " and not re.search(r"[:_\d]|^[A-Z-]+$", label):
        return None
    is_usable = bool(label and text) and len(label) <= LONGEST_LABEL and WORD.match(label)
    return (label, text) if is_usable else None


def _are_labels(labels: Sequence[str]) -> bool:
    """Whether texts are a few values, nearly all of which come again and again."""
    counts = Counter(labels)
    if not 2 <= len(counts) <= min(150, len(labels) // 4):
        return False
    # The first words of sentences come again too, but most of them seldom.
    often = sum(count for count in counts.values() if count >= 3)
    return often >= 0.97 * len(labels)


_ATTEMPTS: Final[tuple[Callable[[Sequence[str], Sequence[str]], tuple[Rows, str] | None], ...]] = (
    _fasttext,
    rows_of_intents,
    _tagged_words,
    _questions,
    _alike,
    _abstracts,
    _labelled,
)
