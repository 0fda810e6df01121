"""The text of a table or of lines with labels: what divides it, where names stand, and names that are missing."""

import csv
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from engine.data.reading.tables import WrittenQuotes, named
from engine.data.reading.text import MAX_LINE
from engine.data.splitting.column import PLACES
from engine.drafting.column_profile import LONG_TEXT
from engine.drafting.layout_steps import are_tags, text_of_words
from engine.drafting.layout_table import NEARLY, PATTERNS, TABLE
from engine.drafting.roles import COME_AGAIN

LOOKED_AT: Final = 300
"""Rows by which the form of a table is recognised."""
ENOUGH_BELOW: Final = 20
"""Values below a cell from which it is recognised as one of them."""
FEWEST: Final = 8
"""Rows of a table from which lines above its names are recognised."""
FULL: Final = 0.6
"""Share of the cells of most rows that a row of names, and nearly every row below it, fills."""
Table = Sequence[Sequence[str]]
Rows = list[dict[str, Any]]
Found = tuple[Rows, str] | None
"""Rows that no reader of a recipe gives, and what they were."""


def cells_of(
    lines: Iterable[str], delimiter: str, *, most: int | None = None, strict: bool = False
) -> list[list[str]]:
    """Return the filled rows of a table; none where it is broken."""
    # A limit of the whole process; the beginning of a file that is read here is shorter.
    csv.field_size_limit(MAX_LINE)
    try:
        rows = csv.reader(lines, delimiter=delimiter, strict=strict)
        return [row for row in islice(rows, most) if row]
    except csv.Error:
        return []


def divider_of(head: str, among: str = ";|") -> str:
    """Return what divides each line into as many cells, below a line of names; empty where a comma does or nothing."""
    lines = head.split("\n")[:LOOKED_AT]
    for delimiter in among:
        table = cells_of(lines, delimiter) if delimiter in lines[0] else []
        # The last line may be cut where the head ends.
        table = table[: max(2, len(table) - 1)]
        is_even = len(table) > 1 and len(set(map(len, table))) == 1 and len(table[0]) > 1
        if is_even and len(set(table[0])) == len(table[0]) and names_columns(table[0], table[1:]):
            return delimiter
    return ""


def is_quoted(lines: Sequence[str]) -> bool:
    """Whether cells between tabs stand in quotes, as the first lines of a file show."""
    if not any('"' in line for line in lines):
        return False
    # The last row may be cut where the beginning of the file ends.
    whole = [f"{line}\n" for line in (lines[:-1] if len(lines) > LOOKED_AT else lines)]
    if len(set(map(len, cells_of(whole, "\t", strict=True)))) != 1:
        return False
    filled = [line for line in lines if line.strip()]
    if len({line.count("\t") for line in filled}) > 1 or all(one[0] == '"' for one in filled):
        return True
    quotes = WrittenQuotes("\t")
    deque(quotes.seen(iter(whole)), maxlen=0)
    return quotes.are_written


def names_columns(first: Sequence[str], rest: Table) -> bool:
    """Whether a row names columns: its cells are short, different, no numbers, and no values that come again."""
    is_over = False
    for at, cell in enumerate(first):
        below = [row[at].strip() for row in rest if len(row) > at and row[at].strip()]
        if cell.strip() in below:
            return False
        # A word over numbers, or over labels none of which it is.
        is_other = COME_AGAIN * len(set(below)) <= len(below)
        if all(map(is_number, below)):
            is_other = not is_number(cell)
        is_over |= bool(cell.strip()) and len(below) >= ENOUGH_BELOW and is_other
    # A table of pandas has no name over its index.
    names = [cell.strip() for cell in first if cell.strip()]
    are_names = all(map(PATTERNS["name"].match, names))
    return is_over or (bool(names) and len(set(names)) == len(names) and are_names)


def names_for(columns: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """Return names for columns that have none, by what they hold; none for no columns, which the reader reports."""
    cells = [list(map(str, column)) for column in columns]
    # Objects hold what was marked or noted of a text.
    marks = [all(isinstance(cell, Mapping) for cell in column) for column in columns]
    sizes = [(not marks[at], *_text_size(held)) for at, held in enumerate(cells)]
    text = sizes.index(max(sizes)) if sizes else -1
    words = [{cell.strip().lower() for cell in held} for held in cells]
    splits = [
        some <= PLACES.keys() and "train" in {PLACES[word].split for word in some} for some in words
    ]
    free = [at for at in range(len(columns)) if at != text and not marks[at] and not splits[at]]
    ranks = {at: _label_rank(cells[at]) for at in free}
    label = min(free, key=ranks.__getitem__, default=-1)
    names: list[str] = []
    for at, held in enumerate(cells):
        fitting = {
            "marks": marks[at],
            "text": at == text,
            "split": splits[at],
            "id": at == 0 and len(set(held)) == len(held),
            "label": at == label and ranks[at] < 3,
            "score": all(map(is_number, held)),
        }
        name = next((name for name, fits in fitting.items() if fits), "")
        names.append(name if name and name not in names else f"column_{at + 1}")
    return tuple(names)


def _text_size(cells: Sequence[str]) -> tuple[bool, int]:
    """Return how much a column says; where a text comes from, and under which licence, may be longer than it."""
    starts = {cell[:LONG_TEXT] for cell in cells}
    is_alike = len(cells) > ENOUGH_BELOW and len(starts) == 1 and len(min(starts)) == LONG_TEXT
    return not is_alike, sum(map(len, cells))


def _label_rank(cells: Sequence[str]) -> int:
    """Return how unlike a label values are: few words that come again, few numbers, others that do, anything else."""
    words = set(cells)
    # A title is longer, and begins like others.
    are_short = all(len(word.split()) <= 4 for word in words)
    is_worded = are_short and any(sign.isalpha() for word in words for sign in word)
    if is_worded and 1 < len(words) <= len(cells) // COME_AGAIN:
        return 0
    if 1 < len(words) <= 20 and all(word.strip().isdigit() for word in words):
        return 1
    # A part of a file may hold rows of one label, as CLINC's of no class do.
    comes_again = len(words) <= max(2, len(cells) // 2)
    return 2 if comes_again and not all(map(is_number, words)) else 3


def is_number(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return False
    return True


def rows_of_table(text: str, usual: str) -> Found:
    """Return the rows of a table whose first lines are more than the names of its columns; None of any other table."""
    delimiter, why, start = usual, "", text.find("\n") + 1
    head = cells_of(text.splitlines(keepends=True), usual, most=LOOKED_AT)
    names = [name for name in head[0] if name.strip()] if head else []
    again = next((name for name in names if names.count(name) > 1), "")
    is_even = len(names) > 1 and {len(row) for row in head} == {len(names)}
    if stated := re.match(r"\ufeff?sep=(.)\r?\n", text):
        # Excel's own line, which says how it shall be read.
        text, delimiter = text[stated.end() :], stated[1]
        why = "its first line says what divides its columns"
    elif (orange := PATTERNS["header of Orange"].match(text, start)) and orange[0].strip("\t,\r\n"):
        text = text[:start] + text[orange.end() :]
        why = "two lines below the names say what its columns hold, as Orange writes them"
    elif again and names_columns(head[0], head[1:]):
        # Exports of issue trackers name several columns alike.
        why = f"`{again}` names several of its columns: their cells are a list"
    elif head and not is_even and not divider_of(text, ";|\t"):
        # Decimal commas divide nothing, and semicolons in cells nothing either.
        for delimiter in dict.fromkeys((usual, *",;\t|")):
            if _has_titles(cells_of(text.splitlines(keepends=True), delimiter, most=LOOKED_AT)):
                why = "lines stand above the names of its columns"
                break
    table = cells_of(text.splitlines(keepends=True), delimiter) if why else []
    return (list(rows_below_header(table)), why) if table else None


def _has_titles(table: Table) -> bool:
    """Whether lines stand above the names, and nearly every row below these is full."""
    at, width = names_at(table)
    below = [filled(row) > FULL * width for row in table[at + 1 :]]
    return at > 0 and width > 1 and len(table) >= FEWEST and sum(below) >= 0.9 * len(below)


def names_at(table: Table) -> tuple[int, int]:
    """Return the place of the row of names, and how many cells most rows fill: titles above the names fill fewer."""
    sizes = [filled(row) for row in table[:500]]
    width = sorted(sizes)[len(sizes) // 2] if sizes else 0
    fewest = max(min(width, 2), FULL * width)
    return next((at for at, size in enumerate(sizes) if size >= fewest), 0), width


def rows_below_header(table: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows below the names; the cells of columns of one name are a list."""
    top, width = names_at(table)
    header = [cell.strip() for cell in table[top]] if table else []
    places: dict[str, list[int]] = {}
    for at, name in enumerate(named([*header, *[""] * (width - len(header))])):
        places.setdefault(name, []).append(at)
    for row in table[top + 1 :]:
        cells = dict(enumerate(row))
        yield {
            name: cells.get(first, "")
            if not more
            else list(dict.fromkeys(filter(None, map(cells.get, (first, *more)))))
            for name, (first, *more) in places.items()
        }


def filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


FEWEST_LINES: Final = 4


def rows_of_lines(text: str, *, is_table: bool = False) -> Found:
    """Return the rows of a text file whose lines hold more than a text, and why; None where they do not.

    Of a file that is called a table only fastText's lines, and words and their tags, are rows.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    filled = [line for line in lines if line.strip()]
    if len(filled) < FEWEST_LINES:
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
    if width < 2 or len(sample) < FEWEST_LINES or len(words) < 0.9 * len(sample):
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
