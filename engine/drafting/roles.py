"""What a column can be: the text, a label, an answer, a part of the text; by its name and by its values."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from engine.data.examples.chat_formats import recognise
from engine.data.examples.template import found_at
from engine.data.row_index import Assignment
from engine.data.splitting.column import PLACES
from engine.drafting.layout_table import PATTERNS, Row, columns_of
from engine.drafting.profile import (
    NAMES,
    ColumnProfile,
    Profile,
    is_called,
    may_be_called,
    rank,
    words_of,
)
from engine.values import replace

COME_AGAIN: Final = 5
"""Times that values come again, on average, where they sort the rows."""
SURE: Final = NAMES["label"].index("target")
"""Place of the last of the names that are labels in any table."""
WHOLE: Final = "text"
"""The column of all that an element of XML holds."""
MOST_LABELS: Final = 200
LONGEST_LABEL: Final = 60
LONG_TEXT: Final = 12
"""Characters on average from which a column can be the text; that many at the start of all are a licence or source."""
VERBATIM: Final = 0.6
"""Share of rows whose value is in the text, from which a column is a field of it."""
MOSTLY: Final = 0.9
MOST_OF_IT: Final = 0.7
"""Share of a text from which the words of a list are the text itself."""
SEVERAL: Final = 2
NOT_A_CLASS: Final = 12
"""Different numbers above which a column of numbers is a scale and not a set of classes."""
SOME: Final = 500
"""Values or rows by which a column is judged."""


def are_classes(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether names are different words, no times and no parts of one table, and no column sorts the rows.

    Rows that hold their answer in a usual shape (a prompt and a completion, turns) need no class either.
    """
    words = {re.sub(r"[\W\d_]+", "", name).lower() for name in names}
    if len(words) > 1 and words <= set(NAMES["judged"]):
        return True
    is_named = len(words) == len(set(names)) and all(words)
    if not is_named or any(re.fullmatch(NAMES["part"], word) for word in words):
        return False
    for name in columns_of(rows):
        texts = [t.strip() for row in rows if isinstance(t := row.get(name), str) and t.strip()]
        is_full = len(texts) >= MOSTLY * len(rows) and not may_be_called(name, "metadata", "id")
        are_few = is_full and 2 <= len(set(texts)) <= len(texts) / COME_AGAIN
        are_short = are_few and max(map(len, texts)) <= LONGEST_LABEL
        are_words = are_short and not all(re.fullmatch(r"[-+]?[\d.,]+", text) for text in texts)
        if is_called(name, "label") or are_words:
            return False
    return not any(map(recognise, rows))


def everywhere(column: ColumnProfile, profile: Profile) -> bool:
    """Whether every row has it, and nearly every one something in it."""
    return column.present == len(profile.kept) and column.filled > MOSTLY * column.present


def is_varied(column: ColumnProfile, share: float = 0.5) -> bool:
    """Whether its texts are not a choice among a few."""
    return len(column.values) > share * min(column.filled, 1000)


def is_worded(column: ColumnProfile) -> bool:
    """Whether its values are of several words, and neither times nor the tags of words."""
    some = list(column.values)[:SOME]
    worded = sum(
        " " in value.strip() and not PATTERNS["time"].match(value) and any(map(str.isalpha, value))
        for value in some
    )
    tags = sum(bool(PATTERNS["tags"].fullmatch(value)) for value in some)
    return worded > 0.3 * len(some) and tags <= MOSTLY * len(some) and not is_called(column.name, "id")  # fmt: skip


def are_links(column: ColumnProfile) -> bool:
    some = list(column.values)[:50]
    return all(PATTERNS["time"].match(value) and " " not in value for value in some)


def is_scale(column: ColumnProfile) -> bool:
    """Whether it holds numbers of a scale, and neither counts the rows nor says when."""
    counts = len(column.values) >= 0.95 * column.filled and _are_whole(column)
    is_many = column.is_number and len(column.values) > NOT_A_CLASS
    return is_many and not counts and not PATTERNS["times"].search(column.name)


def _are_whole(column: ColumnProfile) -> bool:
    return all(value.lstrip("-").isdigit() for value in column.values)


def is_label(column: ColumnProfile, *, again: bool = True) -> bool:
    """Whether a column holds a few short values that come again; of a sure label some may be in one row only."""
    different = len(column.values)
    comes_again = column.filled >= 2 * different if again else column.filled > different
    is_short = column.longest <= LONGEST_LABEL and not column.lists and not column.objects
    return SEVERAL <= different <= MOST_LABELS and comes_again and is_short


def text_column(profile: Profile, *, taken: str) -> ColumnProfile | None:
    """Return the column with a name for texts, else the longest; never one that always says the same."""
    found = [
        column
        for column in profile.columns.values()
        if column.is_text and column.name not in (taken, *taken.split(","))
        and len(column.values) > 1 and not column.is_number
    ]  # fmt: skip

    def asks(column: ColumnProfile) -> bool:
        some = list(column.values)[:SOME]
        return sum(value.rstrip().endswith("?") for value in some) > 0.6 * len(some)

    # Else lines of a text file, a good part of them blank; else addresses, dates, codes, or a language without blanks.
    for test in (lambda c: everywhere(c, profile), lambda c: is_varied(c, 0.2), is_worded):
        found = list(filter(test, found)) or found
    if len(asked := list(filter(asks, found))) == 1:
        return asked[0]
    if named := [c for c in found if is_called(c.name, "text") and c.mean_length >= LONG_TEXT]:
        # A title says less than what is below it.
        return min(
            named, key=lambda c: (c.last in NAMES["title"], rank(c.name, "text"), -c.mean_length)
        )
    called = {column.last: column for column in found}
    pair = next((two for two in NAMES["texts"] if called.keys() >= set(two)), ())
    others = [column for column in found if not is_called(column.name, "answer")]
    lengths = [column.mean_length for column in found]
    if (
        not pair
        and len(others) in (0, SEVERAL)
        and len(found) == SEVERAL
        and max(lengths) < 3 * min(lengths)
    ):
        # Of two texts without names that say more, the first is what is given, as in translations.
        return found[0]
    found = [called[name] for name in pair] or others or found
    return max(found, key=lambda column: column.mean_length, default=None)


def without_whole(profile: Profile) -> Profile:
    """Return the profile without a column that joins all others, as `text` of an element in XML does its children.

    An answer would be in it too. It stays where the others are only words of it: they are its parts.
    """
    parts = {
        name: column
        for name, column in profile.columns.items()
        if name != WHOLE and "@" not in name and column.is_text
    }
    whole = profile.columns.get(WHOLE)
    least = max(2 * LONG_TEXT, whole.mean_length / 3) if whole and whole.is_text else math.inf
    if not any(c.mean_length > least and is_varied(c) and is_worded(c) for c in parts.values()):
        return profile
    for row in profile.kept[:SOME]:
        text, *found = ("".join(str(row.get(name) or "").split()) for name in (WHOLE, *parts))
        if not all(part in text for part in found) or sum(map(len, found)) < MOSTLY * len(text):
            return profile
    return replace(profile, columns={n: c for n, c in profile.columns.items() if n != WHOLE})


def other_texts(profile: Profile, used: Collection[str]) -> list[str]:
    """Return the columns of texts that nothing reads, but for links, times and what says who wrote them."""
    return [
        column.name
        for column in profile.columns.values()
        if column.name not in used and column.is_text and column.mean_length >= LONG_TEXT
        and is_varied(column) and everywhere(column, profile) and is_worded(column)
        and not are_links(column) and not is_called(column.name, "id", "metadata") and not column.is_of_item
    ]  # fmt: skip


def more_texts(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the columns that are one question together, such as a premise and a hypothesis, in their order."""
    columns = profile.columns.values()
    last = {c.last: c.name for c in columns if c.is_text and everywhere(c, profile)}
    pairs = (tuple(last[name] for name in pair if name in last) for pair in NAMES["texts"])
    return next((two for two in pairs if len(two) == SEVERAL and text.name in two), (text.name,))


def numbered_pair(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the text and the one whose name differs by a number or a letter alone; the text where there is none."""

    def stem(column: ColumnProfile) -> str:
        stem, count = PATTERNS["number of two"].subn("#", column.name)
        is_like = (
            count == 1 and column.is_text and everywhere(column, profile) and is_worded(column)
        )
        return stem.lower() if is_like else ""

    pair = [c for c in profile.columns.values() if stem(c) and stem(c) == stem(text)]
    lengths = [column.mean_length for column in pair]
    is_pair = len(pair) == SEVERAL and max(lengths) <= 4 * min(lengths)
    return tuple(column.name for column in pair) if is_pair else (text.name,)


def split_column(profile: Profile) -> str:
    for column in profile.columns.values():
        marks = {mark.strip().casefold() for mark in column.values}
        known = {PLACES[mark] for mark in marks if mark in PLACES}
        is_complete = column.filled == len(profile.kept) and marks <= PLACES.keys()
        has_both = known >= {Assignment.TRAIN, Assignment.HOLDOUT}
        if is_complete and has_both and "." not in column.name:
            return column.name
    return ""


def why_text(column: ColumnProfile, profile: Profile) -> str:
    long = f"{column.mean_length:.0f} characters on average"
    others = [c for c in profile.columns.values() if c.is_text and c.name != column.name]
    if any(column.mean_length < other.mean_length for other in others):
        return f"its name, and {long}"
    return f"the longest texts, {long}" if others else f"the only texts, {long}"


def label_column(profile: Profile, text: ColumnProfile) -> ColumnProfile | None:
    """Return the column that sorts the texts, by its name or its few values; None where there is none."""
    free = [column for column in profile.columns.values() if column.name != text.name]
    others = [column for column in free if could_label(column, profile)]
    classes = [
        column
        for column in others
        if is_label(column, again=column.last not in NAMES["sure label"])
        and not ((column.is_number or column.is_decimal) and len(column.values) > NOT_A_CLASS)
    ]
    scales = [column for column in others if is_scale(column)]
    named = [column for column in (*classes, *scales) if may_be_called(column.name, "label")]
    if not any(is_called(column.name, "label") for column in named):
        # People have not labelled every row yet.
        partly = [
            column
            for column in free
            if is_called(column.name, "label") and (is_label(column) or is_scale(column))
            and column.filled >= len(profile.kept) / 2 and not column.is_of_item
        ]  # fmt: skip
        if partly:
            return min(partly, key=lambda column: rank(column.name, "label"))

    def label_rank(column: ColumnProfile) -> float:
        own = rank(column.name, "label")
        # `gold_label` comes before names that only may be one.
        is_sure = words_of(column.name)[-1] in NAMES["sure label"]
        return min(own, SURE + 0.5) if is_sure else own

    def unlikely(column: ColumnProfile) -> tuple[bool, bool, int]:
        is_many = len(column.values) > NOT_A_CLASS and not column.is_number
        # Values may name many things or people, such as articles and users.
        are_codes = is_many and all(map(PATTERNS["code of a thing"].fullmatch, column.values))
        words = {value.strip().lower() for value in column.values}
        is_flag = column.is_number or words <= {"true", "false", "yes", "no", "t", "f"}
        return may_be_called(column.name, "metadata") or are_codes, is_flag, len(column.values)

    if named:
        best = min(named, key=lambda column: (label_rank(column), len(column.values)))
        return worded(profile, best)
    if classes:
        return min(classes, key=unlikely)
    # Counts and places are whole or come in pairs; several ratings of a text have parts.
    rated = [column for column in scales if not _are_whole(column)]
    if len(scales) == 1 or rated:
        return (rated or scales)[0]
    # Sentences may sort the rows: a few that come again and again, and no answers.
    reasons = (
        c for c in others
        if not scales and SEVERAL <= len(c.values) <= 30 and c.filled >= 5 * len(c.values)
        and c.longest <= 200 and c.is_text and not may_be_called(c.name, "answer")
    )  # fmt: skip
    return next(reasons, None)


def could_label(column: ColumnProfile, profile: Profile) -> bool:
    """Whether a label could be in it: in every row, and neither of one of several items nor of a split."""
    parts = column.name.split(".")
    for at, part in enumerate(parts):
        second = ".".join((*parts[:at], "1"))
        if part.isdigit() and (part != "0" or any(n.startswith(second) for n in profile.columns)):
            return False
    is_id = PATTERNS["ends in id"].search(column.name) and not may_be_called(column.last, "label")
    is_other = column.last in (*NAMES["id"], *NAMES["text"][:9]) or PATTERNS["split"].search(
        column.last
    )
    return everywhere(column, profile) and not is_other and not is_id


def other_labels(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> list[str]:
    """Return the other columns by which the texts could be sorted; none where the name of the label is sure."""
    if is_called(label.name, "label"):
        return []
    return [
        column.name
        for column in profile.columns.values()
        if column.name not in (text.name, label.name) and could_label(column, profile)
        and (is_scale(column) if is_scale(label) else is_label(column) and not is_scale(column))
        and not _says_the_same(profile, label, column)
    ]  # fmt: skip


def _says_the_same(profile: Profile, one: ColumnProfile, two: ColumnProfile) -> bool:
    pairs = {(str(found_at(r, one.name)), str(found_at(r, two.name))) for r in profile.kept}
    return len(pairs) == len(one.values) == len(two.values)


def worded(profile: Profile, label: ColumnProfile) -> ColumnProfile:
    """Return the column that says in words what a label says as a number (`label_text`); else the label."""
    others = (
        column
        for column in profile.columns.values()
        if label.is_number and not column.is_number and may_be_called(column.name, "label")
        and is_label(column) and _says_the_same(profile, label, column)
    )  # fmt: skip
    return next(others, label)


def is_answered(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> bool:
    """Whether a text has an answer of its own, so that a column of categories only sorts the pairs."""
    if label.name.lower() in NAMES["sure label"] or not is_called(text.name, "question"):
        return False
    return any(
        is_called(column.name, "answer")
        and column.mean_length > LONG_TEXT
        and column.name != label.name
        for column in answer_columns(profile, text)
    )


def has_sure_label(profile: Profile, text: ColumnProfile) -> bool:
    """Whether a column is a label by its name and its values, whatever lists are next to it."""
    return any(
        column.name != text.name
        and column.last in NAMES["sure label"]
        and is_label(column)
        and could_label(column, profile)
        and separator_of(column) is None
        for column in profile.columns.values()
    )


def separator_of(column: ColumnProfile) -> str | None:
    """Return what divides several labels of a row; None where nothing does."""
    if not column.is_text or column.longest > 4 * LONGEST_LABEL:
        return None
    is_named = column.last in NAMES["several labels"]
    for separator in ",;|" + (" " if is_named else ""):
        parts = [[part.strip() for part in value.split(separator)] for value in column.values]
        different = {part for one in parts for part in one}
        # `4,5` is a number; of `Weber, Anna` each part has a place of its own.
        widths = set(map(len, parts))
        places = [set(place) for place in zip(*parts, strict=False)]
        are_pairs = len(widths) == 1 < len(places) and sum(map(len, places)) == len(different)
        is_one = are_pairs or (separator == "," and column.is_decimal)
        if (
            SEVERAL <= len(different) <= min(MOST_LABELS, column.filled // 2)
            and len(different) < len(column.values)
            and sum(len(one) > 1 for one in parts) >= SEVERAL
            and max(map(len, different)) <= LONGEST_LABEL // 2
            and (is_named or not is_one)
            and (separator != " " or all(map(PATTERNS["key"].fullmatch, different)))
        ):
            return separator
    return None


def labels_of(column: ColumnProfile, separator: str) -> list[str]:
    """Return the different labels of a column, in the order people would list them."""
    parts = (value.split(separator) if separator else [value] for value in column.values)
    found = (part.strip() if separator else part for some in parts for part in some)
    return in_order(part for part in found if part.strip())


def in_order(labels: Iterable[str]) -> list[str]:
    """Return different labels in the order people would list them."""
    found = set(labels)
    # As texts, 10 would come before 2.
    are_numbers = all(part.lstrip("-").replace(".", "", 1).isdigit() for part in found)
    return sorted(found, key=float) if are_numbers else sorted(found)


def verbatim(profile: Profile, text: ColumnProfile) -> list[str]:
    """Return the columns whose values are in the text of their row, and are not all of its words."""
    rows = profile.kept[:2000]
    found = []
    for column in profile.columns.values():
        # The letter of a choice is in each question.
        is_part = len(column.values) >= SEVERAL and column.longest != 1 and not column.objects
        if column.name == text.name or "." in column.name or column.name[:1] == "@" or not is_part:
            continue
        pairs = [(row.get(column.name), row.get(text.name)) for row in rows]
        filled = [
            (list(map(str, a)) if isinstance(a, list) else [str(a)], str(b).casefold())
            for a, b in pairs
            if a not in (None, "", []) and b
        ]
        begins = sum(b.startswith(words[0].casefold()) for words, b in filled)
        is_title = may_be_called(column.name, "title") and begins > MOST_OF_IT * len(filled)
        is_all = all(sum(map(len, words)) > MOST_OF_IT * len(b) for words, b in filled)
        hits = sum(all(_is_word_of(word, b) for word in words) for words, b in filled)
        is_enough = len(filled) >= min(5, len(rows)) and hits >= VERBATIM * len(filled)
        is_short = column.mean_length < 0.6 * text.mean_length
        if is_enough and is_short and not is_title and not is_all:
            found.append(column.name)
    return found


def _is_word_of(word: str, text: str) -> bool:
    """Whether a word is in a text, and not only as letters of another word."""
    word = word.casefold()
    # Other scripts have no blanks between their words.
    before = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", word) else ""
    after = r"(?![a-z0-9])" if re.search(r"[a-z0-9]\Z", word) else ""
    return bool(word and word in text and re.search(before + re.escape(word) + after, text))


def answer_columns(profile: Profile, text: ColumnProfile) -> list[ColumnProfile]:
    """Return the texts that could be an answer to a text; with the name of one, half of the rows may have none."""

    def is_answer(column: ColumnProfile) -> bool:
        is_named = is_called(column.name, "answer") and not column.is_of_item and is_worded(column)
        are_lists = column.lists > MOSTLY * max(1, column.filled)
        are_long = max(map(len, column.values), default=0) > LONGEST_LABEL
        # Lists of texts that are no labels are all right answers to a question.
        is_known = are_long or is_called(column.name, "answers")
        are_answers = are_lists and (is_known or len(column.values) > 0.3 * column.lists)
        is_filled = everywhere(column, profile) or (
            is_named and 2 * column.filled >= len(profile.kept)
        )
        return (column.is_text or are_answers) and is_filled

    return [
        column
        for column in profile.columns.values()
        if column.name != text.name and len(column.values) > 1 and is_answer(column)
        and column.last not in NAMES["id"] and not PATTERNS["split"].search(column.last)
        and not column.is_number and not column.is_decimal and not are_links(column)
    ]  # fmt: skip


def begins_alike(column: ColumnProfile) -> bool:
    """Whether all its texts begin in the same way, as licences and sources of texts do."""
    starts = {value[:LONG_TEXT] for value in column.values}
    return len(column.values) > NOT_A_CLASS and len(starts) == 1
