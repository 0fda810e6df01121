"""What a column can be: the text, a label, an answer, a part of the text; by its name and by its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

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
"""Characters on average from which a column can be the text."""
LONG_START: Final = 12
"""Characters that all values of a column begin with, from which they are no texts of their own."""
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
    are_sorted = any(is_called(name, "label") or _sorts(rows, name) for name in columns_of(rows))
    return not are_sorted and not any(map(recognise, rows))


def _sorts(rows: Sequence[Row], name: str) -> bool:
    """Whether a column holds a few words that come again and again."""
    texts = [
        text.strip() for row in rows if isinstance(text := row.get(name), str) and text.strip()
    ]
    if len(texts) < MOSTLY * len(rows) or may_be_called(name, "metadata", "id"):
        return False
    are_few = 2 <= len(set(texts)) <= len(texts) / COME_AGAIN
    are_numbers = all(re.fullmatch(r"[-+]?[\d.,]+", text) for text in texts)
    return are_few and max(map(len, texts)) <= LONGEST_LABEL and not are_numbers


def everywhere(column: ColumnProfile, profile: Profile) -> bool:
    """Whether every row has it, and nearly every one something in it."""
    return column.present == len(profile.kept) and column.filled > MOSTLY * column.present


def is_varied(column: ColumnProfile, share: float = 0.5) -> bool:
    """Whether its texts are not a choice among a few."""
    return len(column.values) > share * min(column.filled, 1000)


def is_worded(column: ColumnProfile) -> bool:
    some = list(column.values)[:SOME]
    worded = sum(
        " " in value.strip() and not PATTERNS["time"].match(value) and any(map(str.isalpha, value))
        for value in some
    )
    are_tags = sum(bool(PATTERNS["tags"].fullmatch(value)) for value in some) > MOSTLY * len(some)
    return worded > 0.3 * len(some) and not are_tags and not is_called(column.name, "id")


def are_links(column: ColumnProfile) -> bool:
    return all(
        PATTERNS["time"].match(value) and " " not in value for value in list(column.values)[:50]
    )


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
    # Else lines of a text file, a good part of them blank; else addresses, dates, codes, or a language without blanks.
    for test in (lambda c: everywhere(c, profile), lambda c: is_varied(c, 0.2), is_worded):
        found = [column for column in found if test(column)] or found
    asked = [
        column
        for column in found
        if sum(value.rstrip().endswith("?") for value in list(column.values)[:SOME])
        > 0.6 * min(SOME, len(column.values))
    ]
    if len(asked) == 1:
        return asked[0]
    if named := [c for c in found if is_called(c.name, "text") and c.mean_length >= LONG_TEXT]:
        # A title says less than what is below it.
        return min(
            named, key=lambda c: (c.last in NAMES["title"], rank(c.name, "text"), -c.mean_length)
        )
    called = {column.last: column for column in found}
    pair = next((two for two in NAMES["texts"] if called.keys() >= set(two)), None)
    others = [column for column in found if not is_called(column.name, "answer")]
    if pair:
        found = [called[name] for name in pair]
    elif others and len(others) < len(found):
        found = others
    elif len(found) == SEVERAL:
        # Of two texts without names that say more, the first is what is given, as in translations.
        first, second = (column.mean_length for column in found)
        if second < 3 * first < 9 * second:
            return found[0]
    return max(found, key=lambda column: column.mean_length, default=None)


def without_whole(profile: Profile) -> Profile:
    """Return the profile without a column that joins all others, as `text` of an element in XML does its children.

    An answer would be in it too. It stays where the others are only words of it: they are its parts.
    """
    whole = profile.columns.get(WHOLE)
    parts = {
        name: column
        for name, column in profile.columns.items()
        if name != WHOLE and "@" not in name and column.is_text
    }
    if whole is None or not parts or not whole.is_text:
        return profile

    def is_joined(row: Mapping[str, Any]) -> bool:
        text, *found = ("".join(str(row.get(name) or "").split()) for name in (WHOLE, *parts))
        size = sum(map(len, found))
        return all(part in text for part in found) and size >= MOSTLY * len(text) > 0

    has_text = any(
        column.mean_length > max(2 * LONG_TEXT, whole.mean_length / 3)
        and is_varied(column)
        and is_worded(column)
        for column in parts.values()
    )
    rows = profile.kept[:SOME]
    if not has_text or sum(map(is_joined, rows)) < MOSTLY * len(rows):
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
    last = {
        column.last: column.name
        for column in profile.columns.values()
        if column.is_text and everywhere(column, profile)
    }
    for pair in NAMES["texts"]:
        names = tuple(last[name] for name in pair if name in last)
        if len(names) == len(pair) and text.name in names:
            return names
    return (text.name,)


def numbered_pair(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the text and the one whose name differs by a number or a letter alone; the text where there is none."""

    def stem(column: ColumnProfile) -> str:
        is_one = len(PATTERNS["number of two"].findall(column.name)) == 1
        is_like = is_one and column.is_text and everywhere(column, profile) and is_worded(column)
        return PATTERNS["number of two"].sub("#", column.name).lower() if is_like else ""

    pair = [c for c in profile.columns.values() if stem(c) and stem(c) == stem(text)]
    lengths = [column.mean_length for column in pair]
    if len(pair) != SEVERAL or max(lengths) > 4 * min(lengths):
        return (text.name,)
    return tuple(column.name for column in pair)


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
    if named:
        # `gold_label` comes before names that only may be one.
        def label_rank(name: str) -> float:
            own = rank(name, "label")
            return min(own, SURE + 0.5) if words_of(name)[-1] in NAMES["sure label"] else own

        best = min(named, key=lambda column: (label_rank(column.name), len(column.values)))
        return worded(profile, best)
    if classes:
        flags = {"true", "false", "yes", "no", "t", "f"}
        return min(
            classes,
            key=lambda c: (
                may_be_called(c.name, "metadata") or _are_codes(c),
                c.is_number or {value.strip().lower() for value in c.values} <= flags,
                len(c.values),
            ),
        )
    # Counts and places are whole or come in pairs; several ratings of a text have parts.
    rated = [column for column in scales if not _are_whole(column)]
    if len(scales) == 1 or rated:
        return (rated or scales)[0]
    return next((c for c in others if not scales and _are_reasons(c)), None)


def _are_codes(column: ColumnProfile) -> bool:
    """Whether its values name many things or people, such as articles and users."""
    is_many = len(column.values) > NOT_A_CLASS and not column.is_number
    return is_many and all(map(PATTERNS["code of a thing"].fullmatch, column.values))


def _are_reasons(column: ColumnProfile) -> bool:
    """Whether sentences sort the rows: a few that come again and again, and no answers."""
    is_few = SEVERAL <= len(column.values) <= 30 and column.filled >= 5 * len(column.values)
    is_short = column.longest <= 200 and column.is_text
    return is_few and is_short and not may_be_called(column.name, "answer")


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
        if label.is_number and column.name != label.name and len(column.values) == len(label.values)
        and may_be_called(column.name, "label") and not column.is_number and is_label(column)
        and _says_the_same(profile, label, column)
    )  # fmt: skip
    return next(others, label)


def tells_apart(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> str:
    """Return the column by which texts that have several labels have one each; empty for none."""

    def contradicted(*columns: str) -> int:
        """Return the rows that have another label than one that says the same in these columns."""
        found: dict[tuple[str, ...], Counter[str]] = {}
        for row in profile.kept:
            key = tuple(str(found_at(row, name)) for name in columns)
            found.setdefault(key, Counter())[str(found_at(row, label.name))] += 1
        return sum(labels.total() for labels in found.values() if len(labels) > 1)

    best, fewest = "", contradicted(text.name) // 4
    for column in profile.columns.values():
        if (
            column.name not in (text.name, label.name)
            and is_label(column)
            and everywhere(column, profile)
            and not is_called(column.name, "metadata")
            and (left := contradicted(text.name, column.name)) < fewest
        ):
            best, fewest = column.name, left
    return best


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
        few = SEVERAL <= len(different) <= min(MOST_LABELS, column.filled // 2)
        # `4,5` is a number, and `Weber, Anna` a person.
        is_one = (separator == "," and column.is_decimal) or _are_pairs(parts)
        if (
            few
            and len(different) < len(column.values)
            and sum(len(one) > 1 for one in parts) >= SEVERAL
            and max(map(len, different)) <= LONGEST_LABEL // 2
            and (is_named or not is_one)
            and (separator != " " or all(map(PATTERNS["key"].fullmatch, different)))
        ):
            return separator
    return None


def _are_pairs(values: Sequence[Sequence[str]]) -> bool:
    """Whether all values have as many parts, and no part is at two places: names, towns with their country."""
    counts = {len(parts) for parts in values}
    if len(counts) != 1 or counts == {1}:
        return False
    places = [set(place) for place in zip(*values, strict=True)]
    return sum(map(len, places)) == len(set().union(*places))


def labels_of(column: ColumnProfile, separator: str) -> list[str]:
    """Return the different labels of a column, in the order people would list them."""
    parts = {
        part.strip() if separator else part
        for value in column.values
        for part in (value.split(separator) if separator else [value])
    }
    return in_order(part for part in parts if part.strip())


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

    def is_half_answered(column: ColumnProfile) -> bool:
        is_named = is_called(column.name, "answer") and not column.is_of_item
        return is_named and column.filled >= len(profile.kept) / 2 and is_worded(column)

    return [
        column
        for column in profile.columns.values()
        if column.name != text.name and (column.is_text or _holds_answers(column))
        and (everywhere(column, profile) or is_half_answered(column))
        and column.last not in NAMES["id"] and not PATTERNS["split"].search(column.last)
        and len(column.values) > 1 and not column.is_number and not column.is_decimal and not are_links(column)
    ]  # fmt: skip


def _holds_answers(column: ColumnProfile) -> bool:
    """Whether each row has a list of texts that are no labels, such as all right answers to a question."""
    are_lists = column.lists > MOSTLY * max(1, column.filled)
    are_long = max(map(len, column.values), default=0) > LONGEST_LABEL
    return are_lists and (are_long or len(column.values) > 0.3 * column.lists)


def begins_alike(column: ColumnProfile) -> bool:
    """Whether all its texts begin in the same way, as licences and sources of texts do."""
    starts = {value[:LONG_START] for value in column.values}
    return len(column.values) > NOT_A_CLASS and len(starts) == 1
