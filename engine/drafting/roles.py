"""Which column is the text, the label, an answer, a part of the text: by the names of columns and what is in them."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from engine.data.examples.chat_formats import recognise
from engine.data.row_index import Assignment
from engine.data.splitting.column import PLACES
from engine.drafting.column_profile import (
    LONG_TEXT,
    LONGEST_LABEL,
    MOST_LABELS,
    MOSTLY,
    NAMES,
    NOT_A_CLASS,
    SEVERAL,
    SOME,
    ColumnProfile,
    Profile,
    column_of,
    is_called,
    may_be_called,
    rank,
    words_of,
)
from engine.drafting.layout_table import PATTERNS, Row, columns_of
from engine.values import Value, replace

COME_AGAIN: Final = 5
"""Times that values come again, on average, where they sort the rows."""
SURE: Final = NAMES["label"].index("target")
"""Place of the last of the names that are labels in any table."""
WHOLE: Final = "text"
"""The column of all that an element of XML holds."""
VERBATIM: Final = 0.6
"""Share of rows whose value is in the text, from which a column is a field of it."""
MOST_OF_IT: Final = 0.7
"""Share of a text from which the words of a list are the text itself."""


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
    for column in (column_of(rows, name) for name in columns_of(rows)):
        sorts = column.has("text", "everywhere", "classes", "-number", "-decimal")
        sorts = sorts and COME_AGAIN * len(column.values) <= column.filled
        is_other = may_be_called(column.name, "metadata", "id")
        if is_called(column.name, "label") or (sorts and not is_other):
            return False
    return not any(map(recognise, rows))


def text_column(profile: Profile, *, taken: str) -> ColumnProfile | None:
    """Return the column with a name for texts, else the longest; never one that always says the same."""
    names = (taken, *taken.split(","))
    found = [c for c in profile.having("text", "several", "-number") if c.name not in names]
    # Else lines of a text file, a good part of them blank; else addresses, dates, codes, or a language without blanks.
    for fact in ("everywhere", "varied", "worded"):
        found = [column for column in found if column.has(fact)] or found
    if len(asked := [column for column in found if column.has("asks")]) == 1:
        return asked[0]
    if named := [c for c in found if is_called(c.name, "text") and c.has("long")]:
        # A title says less than what is below it.
        return min(
            named, key=lambda c: (c.last in NAMES["title"], rank(c.name, "text"), -c.mean_length)
        )
    called = {column.last: column for column in found}
    pair = next((two for two in NAMES["texts"] if called.keys() >= set(two)), ())
    others = [column for column in found if not is_called(column.name, "answer")]
    lengths = [column.mean_length for column in found]
    are_alike = len(found) == SEVERAL and len(others) != 1 and max(lengths) < 3 * min(lengths)
    if are_alike and not pair:
        # Of two texts without names that say more, the first is what is given, as in translations.
        return found[0]
    found = [called[name] for name in pair] or others or found
    return max(found, key=lambda column: column.mean_length, default=None)


def without_whole(profile: Profile) -> Profile:
    """Return the profile without a column that joins all others, as `text` of an element in XML does its children.

    An answer would be in it too. It stays where the others are only words of it: they are its parts.
    """
    whole = profile.columns.get(WHOLE)
    parts = [c for c in profile.having("text") if c.name != WHOLE and "@" not in c.name]
    if whole is None or not whole.has("text"):
        return profile
    least = max(2 * LONG_TEXT, whole.mean_length / 3)
    if not any(c.mean_length > least and c.has("different", "worded") for c in parts):
        return profile
    for row in profile.kept[:SOME]:
        names = (WHOLE, *(column.name for column in parts))
        text, *found = ("".join(str(row.get(name) or "").split()) for name in names)
        if not all(part in text for part in found) or sum(map(len, found)) < MOSTLY * len(text):
            return profile
    return replace(profile, columns={n: c for n, c in profile.columns.items() if n != WHOLE})


def other_texts(profile: Profile, used: Collection[str]) -> list[str]:
    """Return the columns of texts that nothing reads, but for what says who wrote them."""
    found = profile.having("text", "long", "different", "everywhere", "worded", "-item")
    return [c.name for c in found if c.name not in used and not is_called(c.name, "id", "metadata")]


def texts_together(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the columns that are one question together, such as a premise and a hypothesis, in their order.

    Else the text is all of it.
    """
    last = {column.last: column.name for column in profile.having("text", "everywhere")}
    pairs = (tuple(last[name] for name in pair if name in last) for pair in NAMES["texts"])
    both = (pair for pair in pairs if len(pair) == SEVERAL and text.name in pair)
    return next(both, (text.name,))


def split_column(profile: Profile) -> str:
    for column in profile.columns.values():
        marks = {mark.strip().casefold() for mark in column.values}
        known = {PLACES[mark] for mark in marks if mark in PLACES}
        is_complete = column.filled == column.rows and marks <= PLACES.keys()
        has_both = known >= {Assignment.TRAIN, Assignment.HOLDOUT}
        if is_complete and has_both and "." not in column.name:
            return column.name
    return ""


def label_column(profile: Profile, text: ColumnProfile) -> ColumnProfile | None:
    """Return the column that sorts the texts, by its name or its few values; None where there is none."""
    others = [c for c in profile.columns.values() if c is not text and could_label(c, profile)]
    classes = [column for column in others if column.has("classes")]
    scales = [column for column in others if column.has("scale")]
    named = [column for column in (*classes, *scales) if may_be_called(column.name, "label")]
    if not any(is_called(column.name, "label") for column in named):
        # People have not labelled every row yet.
        partly = [
            c for c in profile.having("partly", "-item")
            if c is not text and is_called(c.name, "label") and (c.has("classes") or c.has("scale"))
        ]  # fmt: skip
        if partly:
            return min(partly, key=lambda column: rank(column.name, "label"))

    def label_rank(column: ColumnProfile) -> tuple[float, int]:
        own = rank(column.name, "label")
        # `gold_label` comes before names that only may be one.
        is_sure = words_of(column.name)[-1] in NAMES["sure label"]
        return min(own, SURE + 0.5) if is_sure else own, len(column.values)

    def unlikely(column: ColumnProfile) -> tuple[bool, bool, int]:
        is_many = len(column.values) > NOT_A_CLASS and not column.is_number
        # Values may name many things or people, such as articles and users.
        are_codes = is_many and all(map(PATTERNS["code of a thing"].fullmatch, column.values))
        words = {value.strip().lower() for value in column.values}
        is_flag = column.is_number or any(words <= set(some) for some in NAMES["yes and no"])
        return may_be_called(column.name, "metadata") or are_codes, is_flag, len(column.values)

    if named:
        best = min(named, key=label_rank)
        words = (
            column for column in profile.having("classes", "-number")
            if best.is_number and may_be_called(column.name, "label") and _says_the_same(profile, best, column)
        )  # fmt: skip
        # What says in words what the label says as a number, such as `label_text`.
        return next(words, best)
    if classes:
        return min(classes, key=unlikely)
    # Counts and places are whole or come in pairs; several ratings of a text have parts.
    rated = [column for column in scales if column.has("-whole")]
    return (rated or scales)[0] if len(scales) == 1 or rated else None


def could_label(column: ColumnProfile, profile: Profile) -> bool:
    """Whether a label could be in it: in every row, and neither of one of several items nor of a split."""
    parts = column.name.split(".")
    for at, part in enumerate(parts):
        second = ".".join((*parts[:at], "1"))
        if part.isdigit() and (part != "0" or any(n.startswith(second) for n in profile.columns)):
            return False
    is_id = PATTERNS["ends in id"].search(column.name) and not may_be_called(column.last, "label")
    is_text = column.last in (*NAMES["id"], *NAMES["text"][:9])
    is_split = PATTERNS["split"].search(column.last)
    return column.has("everywhere") and not is_text and not is_split and not is_id


def other_labels(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> list[str]:
    """Return the other columns by which the texts could be sorted; none where the name of the label is sure."""
    found = profile.having("scale" if label.has("scale") else "classes")
    return [
        column.name
        for column in found
        if column not in (text, label) and could_label(column, profile)
        and not is_called(label.name, "label") and not _says_the_same(profile, label, column)
    ]  # fmt: skip


def _says_the_same(profile: Profile, one: ColumnProfile, two: ColumnProfile) -> bool:
    return len(profile.pairs(one, two)) == len(one.values) == len(two.values)


def separator_of(column: ColumnProfile) -> str:
    """Return what divides several labels of a row; empty where nothing does."""
    if column.has("-text") or column.longest > 4 * LONGEST_LABEL:
        return ""
    is_named = column.last in NAMES["several labels"]
    for separator in ",;|" + (" " if is_named else ""):
        parts = [[part.strip() for part in value.split(separator)] for value in column.values]
        different = {part for one in parts for part in one}
        # `4,5` is a number; of `Weber, Anna` each part has a place of its own.
        places = [set(place) for place in zip(*parts, strict=False)]
        is_even = len(set(map(len, parts))) == 1 < len(places)
        are_pairs = is_even and sum(map(len, places)) == len(different)
        is_one = are_pairs or (separator == "," and column.has("decimal"))
        if (
            SEVERAL <= len(different) <= min(MOST_LABELS, column.filled // 2)
            and len(different) < len(column.values)
            and sum(len(one) > 1 for one in parts) >= SEVERAL
            and max(map(len, different)) <= LONGEST_LABEL // 2
            and (is_named or not is_one)
            and (separator != " " or all(map(PATTERNS["key"].fullmatch, different)))
        ):
            return separator
    return ""


def label_counts(column: ColumnProfile, separator: str) -> Counter[str]:
    """Return how often each label stands in a column, as it is spelled there."""
    counts: Counter[str] = Counter()
    for value, rows in column.values.items():
        parts = map(str.strip, value.split(separator)) if separator else [value]
        for part in filter(str.strip, parts):
            counts[part] += rows
    return counts


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
    for column in profile.having("several"):
        # The letter of a choice is in each question.
        is_part = column.longest != 1 and column.mean_length < 0.6 * text.mean_length
        is_nested = column.objects or "." in column.name or column.name[:1] == "@"
        if column is text or not is_part or is_nested:
            continue
        pairs = [(row.get(column.name), str(row.get(text.name) or "").casefold()) for row in rows]
        filled = [
            (list(map(str, value)) if isinstance(value, list) else [str(value)], whole)
            for value, whole in pairs
            if value not in (None, "", []) and whole
        ]
        begins = sum(whole.startswith(words[0].casefold()) for words, whole in filled)
        is_title = may_be_called(column.name, "title") and begins > MOST_OF_IT * len(filled)
        is_all = all(sum(map(len, words)) > MOST_OF_IT * len(whole) for words, whole in filled)
        hits = sum(all(_is_word_of(word, whole) for word in words) for words, whole in filled)
        is_enough = len(filled) >= min(5, len(rows)) and hits >= VERBATIM * len(filled)
        if is_enough and not is_title and not is_all:
            found.append(column.name)
    return found


def _is_word_of(word: str, text: str) -> bool:
    """Whether a word is in a text, and not only as letters of another word."""
    word = word.casefold()
    # Other scripts have no blanks between their words.
    before = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", word) else ""
    after = r"(?![a-z0-9])" if re.search(r"[a-z0-9]\Z", word) else ""
    return bool(word and word in text and re.search(before + re.escape(word) + after, text))


class Grouping(Value):
    """A column by which rows belong together."""

    name: str
    is_sure: bool
    """Whether its name says whose the rows are, and it does not only end in `id`."""
    empty: int
    """Rows without a value."""
    repeated: int
    """Rows that are not the first of their value."""


def groupings(profile: Profile, used: Collection[str]) -> list[Grouping]:
    """Return the columns by which rows belong together, the one to divide them by first.

    Those that lie within an earlier one are left out: the sessions of a user stay together with the user.
    """
    whose = set(NAMES["whose"])
    ranked = []
    for column in profile.having("-item"):
        # `userid` is two words as well.
        written = re.sub(rf"(?i)\b({'|'.join(whose)})id\b", r"\1_id", column.name.strip())
        *before, last = words = words_of(written)
        # `name` and `number` alone say nothing of whose it is.
        is_named = last in whose or (last in NAMES["naming"] and not whose.isdisjoint(before))
        is_id = bool(before) and last in ("id", "uid", "uuid")
        if (is_named or is_id) and column.name not in used and _comes_again(column):
            is_free, empty = whose.isdisjoint(words), column.rows - column.filled
            ranked.append((is_free, empty > 0, len(column.values), column, empty))
    kept: list[Grouping] = []
    for is_free, _, values, column, empty in sorted(ranked, key=lambda one: one[:3]):
        pairs = [profile.pairs(column, profile.columns[other.name]) for other in kept]
        if not any(len(some) == len({inner for inner, _ in some}) for some in pairs):
            repeated = column.filled - values
            one = Grouping(name=column.name, is_sure=not is_free, empty=empty, repeated=repeated)
            kept.append(one)
    return kept


def _comes_again(column: ColumnProfile) -> bool:
    """Whether short values name many groups of few rows, a good part of them of several."""
    if column.lists or column.objects or column.longest > 64 or column.name in NAMES["id"]:
        return False
    if PATTERNS["times"].search(column.name) or all(map(PATTERNS["time"].match, column.values)):
        return False
    shared = sum(rows for rows in column.values.values() if rows > 1)
    return (
        len(column.values) >= 20  # of fewer groups, complete ones cannot be drawn
        and column.filled > column.rows / 2
        and max(column.values.values()) <= 0.1 * column.filled  # else splits miss their sizes
        and shared >= 0.1 * column.filled
    )
