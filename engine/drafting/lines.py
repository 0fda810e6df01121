"""Files of lines that hold more than a text: labels in each line, or a word and its tag."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from engine.drafting.layout_steps import are_tags, text_of_words
from engine.drafting.layout_table import NEARLY, PATTERNS, TABLE
from engine.drafting.table_text import Found, Rows, divider_of

FEWEST: Final = 4


def rows_of_lines(text: str, *, is_table: bool = False) -> Found:
    """Return the rows of a text file whose lines hold more than a text, and why; None where they do not.

    Of a file that is called a table only fastText's lines, and words and their tags, are rows.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < FEWEST:
        return None
    if found := _fasttext(filled):
        return found
    has_sentences = 0.02 * len(filled) < len(lines) - len(filled) < 0.5 * len(lines)
    if is_table:
        return _tagged_words(lines) if has_sentences else None
    return _tagged_words(lines) or _labelled(filled)


def _fasttext(filled: Sequence[str]) -> Found:
    """Read https://fasttext.cc/docs/en/supervised-tutorial.html."""
    mark = PATTERNS["label of fastText"]
    labels = [[label.strip(",") for label in mark.findall(line)] for line in filled]
    if sum(map(bool, labels)) < NEARLY * len(filled):
        return None
    is_one = all(len(some) == 1 for some in labels)
    rows: Rows = [
        {"text": mark.sub("", line).strip(" ,\t"), **({"label": some[0]} if is_one else {"labels": some})}
        for line, some in zip(filled, labels, strict=True)
    ]  # fmt: skip
    return rows, "each line holds its labels as fastText writes them"


def _tagged_words(lines: Sequence[str]) -> Found:
    """Read a word and its tag a line, sentences divided by blank lines (CoNLL-2003 and its relatives)."""
    # A blank line may hold tabs, as many as a line of words has.
    blocks = [
        [line.split("\t") if "\t" in line else line.split() for line in group]
        for is_blank, group in itertools.groupby(lines, lambda line: not line.strip())
        if not is_blank
    ]
    is_tag = PATTERNS["tag"].match
    # Comments hold no tag; a word may be `#` too.
    sample = [
        row
        for row in itertools.islice(itertools.chain(*blocks), 2000)
        if not row[0].startswith("#") or is_tag(row[-1])
    ]
    width, _ = Counter(map(len, sample)).most_common(1)[0] if sample else (0, 0)
    words = [row for row in sample if len(row) == width and not row[0].startswith("-DOCSTART-")]
    if width < 2 or len(sample) < FEWEST or len(words) < 0.9 * len(sample):
        return None
    places = (width - 1, *range(width - 1))
    at = next((at for at in places if are_tags([row[at] for row in words], NEARLY)), None)
    if at is None:
        return None
    # The words are in the first column that is no number.
    worded = (n for n in range(width) if not all(row[n].isdigit() for row in words[:200]))
    word_at = next((n for n in worded if n != at), 0)
    rows = []
    for block in blocks:
        pairs = [(row[word_at], row[at]) for row in block if len(row) == width and is_tag(row[at])]
        if pairs and not block[0][0].startswith("-DOCSTART-"):
            rows.append(text_of_words(*zip(*pairs, strict=True)))
    return rows, "each line holds a word and its tag"


def _labelled(filled: Sequence[str]) -> Found:
    """Read a label and a text a line, in either order, where few labels come again and again."""
    some = filled[:200]
    tabs = {line.count("\t") for line in some}
    is_table = (len(tabs) == 1 and tabs != {0}) or divider_of("\n".join(some))
    # Words with their tags may begin alike too.
    if is_table or are_tags(" ".join(some).split()):
        return None
    for separator, is_first in itertools.product(TABLE["separators"], (True, False)):
        pairs = [pair for line in filled if (pair := _pair(line, separator, is_first=is_first))]
        counts = Counter(label for label, _ in pairs)
        # The first words of sentences come again too, but most of them seldom.
        often = sum(count for count in counts.values() if count >= 3)
        are_few = 2 <= len(counts) <= min(150, len(pairs) // 4)
        if len(pairs) >= NEARLY * len(filled) and are_few and often >= 0.97 * len(pairs):
            where = "begins" if is_first else "ends"
            rows = [{"text": text, "label": label} for label, text in pairs]
            return rows, f"each line {where} with a label and `{separator}`"
    return None


def _pair(line: str, separator: str, *, is_first: bool) -> tuple[str, str] | None:
    parts = line.partition(separator) if is_first else line.rpartition(separator)[::-1]
    text = parts[2].strip().strip('"')
    label = parts[0].strip().removeprefix("[" if separator == "]" else "")
    is_label = text and len(label) <= 40 and PATTERNS["label before a text"].match(label)
    # A word before a blank is a label only where it looks like one: the others are the sentence.
    if not is_label or (separator == " " and not re.search(r"[:_\d]|^[A-Z-]+$", label)):
        return None
    return label, text
