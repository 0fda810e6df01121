"""What a column can be: the text, a label, an answer, a part of the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.row_index import Assignment
from engine.data.splitting.column import PLACES
from engine.drafting.profile import ColumnProfile, Profile
from engine.recipe.text.words import IN_WORD

TEXT_NAMES: Final = (
    "text", "sentence", "message", "utterance", "tweet", "review", "comment", "headline", "question",
    "query", "prompt", "title", "body", "content", "note", "input", "description", "snippet", "document",
    "abstract", "overview", "plot", "dialogue", "article", "narrative", "transcript",
)  # fmt: skip
LABEL_NAMES: Final = (
    "label", "labels", "category", "class", "intent", "topic", "sentiment", "emotion", "target", "tag",
    "tags", "rating", "score", "stars", "overall", "ideal", "kind", "type", "fault", "genre", "categories", "y",
    "classification", "queue", "department", "reason", "component", "team",
)  # fmt: skip
ANSWER_NAMES: Final = (
    "answer", "response", "output", "completion", "reply", "summary", "target", "sql", "translation",
    "command", "ideal", "solution", "answers", "highlights", "responses", "assistant", "gpt", "bot",
)  # fmt: skip
ID_NAMES: Final = (
    "id",
    "_id",
    "uid",
    "uuid",
    "index",
    "row",
    "number",
    "file",
    "url",
    "date",
    "time",
)
METADATA_NAMES: Final = (
    "lang", "language", "country", "source", "author", "user", "gender", "verified", "platform",
    "device", "channel", "region", "city", "priority", "severity", "status",
    "version", "name", "location", "timezone", "annotator",
    "confidence", "agent", "created", "updated", "length", "count", "year", "month",
    "host", "hostname", "server", "ip", "assignee", "reporter", "requester", "customer", "owner", "currency",
    "closed", "deleted", "escalated", "archived", "active", "origin", "stage", "state", "resolution",
)  # fmt: skip
"""Of columns that say where a row comes from, and seldom what it is."""
PAIRS: Final = (
    ("premise", "hypothesis"), ("question1", "question2"), ("sentence1", "sentence2"),
    ("sentence_a", "sentence_b"), ("text1", "text2"), ("text_a", "text_b"), ("context", "question"),
    ("passage", "question"), ("article", "question"), ("query", "passage"), ("query", "document"),
)  # fmt: skip
LISTS_OF_ANSWERS: Final = ("answers", "answer", "responses", "references")
SURE_LABELS: Final = ("label", "labels", "intent", "sentiment", "class", "target", "label_text")
SURE: Final = LABEL_NAMES.index("target")
"""Place of the last of the names that are labels wherever they stand."""
FLAGS: Final = frozenset({"true", "false", "yes", "no", "t", "f"})
ASKED_NAMES: Final = (
    *("question", "query", "prompt", "instruction", "input"),
    *("dialogue", "article", "document"),
)
WHOLE: Final = "text"
"""The column of all that an element of XML holds."""
TITLES: Final = ("title", "subject", "headline", "summary")
"""Of columns that may repeat how the text begins, and are no part that a model should find in it."""
OF_PARENT: Final = ("name", "value", "text")
"""Last parts of paths that say what the part above them is: `queue.name`, `answers.text`."""
SEVERAL_NAMES: Final = ("categories", "tags", "labels", "topics", "genres", "keywords", "hashtags")
"""Names of columns whose values may be several words with blanks between them."""
KEY: Final = re.compile(rf"[{IN_WORD}.+#/-]+")
CODE: Final = re.compile(r"[A-Za-z]{0,8}[-_:.#]?\d[\w-]*")
"""A value that names a thing or a person: `B000123`, `user17`."""
MARKED: Final = re.compile(r"(?:O|[BIESLU]-\S+)(?:\s+(?:O|[BIESLU]-\S+))*\s*")
"""A tag for each word of a text."""
NUMBERED: Final = re.compile(r"(?<![^\W_])[12ab](?![^\W_])|(?<=[^\W\d_])[12]$", re.IGNORECASE)
"""What tells the names of two texts apart: `#1 String`, `text_b`, `question2`."""
ALIKE: Final = 4
"""Times that one of two such texts may be longer than the other."""
TIME: Final = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[/.]\d\d?[/.]\d{2,4}|https?://")
TIMES: Final = re.compile(
    r"(?i)(?:^|[_. ])(?:time|date|ts|timestamp|created|updated)(?:[_. ]|$)|timestamp|_at$"
)
"""Names of columns of numbers that say when."""
SPLIT_NAME: Final = re.compile(r"split|fold|partition|subset")
MOST_LABELS: Final = 200
LONGEST_REASON: Final = 200
MOST_REASONS: Final = 30
"""Of labels that are whole sentences: how long they may be, and how many."""
REASON_AGAIN: Final = 5
"""Times that such a label stands there on average."""
LONGEST_LABEL: Final = 60
LONG_TEXT: Final = 12
"""Characters on average from which a column can be the text."""
VERBATIM: Final = 0.6
"""Share of rows whose value stands in the text, from which a column is a field of it."""
MOSTLY: Final = 0.9
MOST_OF_IT: Final = 0.7
"""Share of a text from which the words of a list are the text itself."""
SEVERAL: Final = 2
LONG_START: Final = 12
"""Characters that all values of a column begin with, from which they are no texts of their own."""
NOT_A_CLASS: Final = 12
"""Different numbers above which a column of numbers is a scale and not a set of classes."""


def rank(name: str, names: tuple[str, ...]) -> int:
    """Return how good a name is; the last part of a path counts, and parts of words too."""
    above, _, own = name.rpartition(".")
    own = own.strip()
    last = own.lower()
    if above and last in OF_PARENT:
        # `name` alone says nothing.
        alone = names.index(last) if last in names and last != "name" else 2 * len(names)
        return min(rank(above, names), alone)
    if last in names:
        return names.index(last)
    # `classIndex`, `class index` and `class_index` are the same two words.
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", own).lower())
    within = [place for place, known in enumerate(names) if known in words]
    return len(names) + within[0] if within else 2 * len(names)


def text_column(profile: Profile, *, taken: str) -> ColumnProfile | None:
    """The column with a name for texts, else the longest; never one that always says the same."""
    others = {taken, *taken.split(",")}
    texts = [
        column
        for column in profile.columns.values()
        if column.is_text and column.name not in others and len(column.values) > 1
        and not column.is_number
    ]  # fmt: skip
    # Else lines of a text file, a good part of them blank.
    found = [column for column in texts if everywhere(column, profile)] or texts
    # Else its texts are a choice among a few.
    varied = [c for c in found if len(c.values) > 0.2 * min(c.filled, 1000)] or found
    # Else addresses, dates and codes, or a language that is written without blanks.
    varied = [c for c in varied if _is_worded(c)] or varied
    asked = [c for c in varied if _asks(c)]
    if len(asked) == 1 and len(varied) > 1:
        return asked[0]
    named = [
        column
        for column in varied
        if rank(column.name, TEXT_NAMES) < len(TEXT_NAMES) and column.mean_length >= LONG_TEXT
    ]
    if named:
        # A title says less than what stands below it.
        return min(
            named,
            key=lambda column: (
                last_part(column) in TITLES,
                rank(column.name, TEXT_NAMES),
                -column.mean_length,
            ),
        )
    called = {last_part(column): column for column in varied}
    if pair := next((two for two in PAIRS if called.keys() >= set(two)), None):
        return max((called[name] for name in pair), key=lambda column: column.mean_length)
    answers = [c for c in varied if rank(c.name, ANSWER_NAMES) < len(ANSWER_NAMES)]
    others_left = [c for c in varied if c not in answers]
    if answers and others_left:
        return max(others_left, key=lambda column: column.mean_length)
    # Of two texts without names that say more, the first is what is given, as in translations.
    if (
        len(varied) == 2
        and varied[1].mean_length < 3 * varied[0].mean_length < 9 * varied[1].mean_length
    ):
        return varied[0]
    return max(varied, key=lambda column: column.mean_length, default=None)


def without_whole(profile: Profile) -> Profile:
    """Return the profile without a column that joins all others, as `text` of an element in XML does its children.

    An answer would stand in it too. It stays where the others are only words of it: they are its parts.
    """
    whole = profile.columns.get(WHOLE)
    parts = {
        name: column
        for name, column in profile.columns.items()
        if name != WHOLE and "@" not in name and column.is_text
    }
    if whole is None or not parts or not whole.is_text:
        return profile
    joined = sum(_is_joined(row, parts) for row in profile.kept[:500])
    has_text = any(
        column.mean_length > max(2 * LONG_TEXT, whole.mean_length / 3)
        and len(column.values) > 0.5 * min(column.filled, 1000)
        and _is_worded(column)
        for column in parts.values()
    )
    if not has_text or joined < MOSTLY * min(500, len(profile.kept)):
        return profile
    return replace(profile, columns={n: c for n, c in profile.columns.items() if n != WHOLE})


def _is_joined(row: Mapping[str, Any], parts: Collection[str]) -> bool:
    whole, *found = ("".join(str(row.get(name) or "").split()) for name in (WHOLE, *parts))
    return all(part in whole for part in found) and sum(map(len, found)) >= MOSTLY * len(whole) > 0


def other_texts(profile: Profile, used: Collection[str]) -> list[str]:
    """Return the columns of texts that nothing reads; links, times and what says who wrote them left out."""
    no_text = (*ID_NAMES, *METADATA_NAMES)
    return [
        column.name
        for column in profile.columns.values()
        if column.name not in used
        and column.is_text
        and column.mean_length >= LONG_TEXT
        and len(column.values) > 0.5 * min(column.filled, 1000)
        and everywhere(column, profile)
        and _is_worded(column)
        and not _are_links(column)
        and rank(column.name, no_text) >= len(no_text)
        and not any(part.isdigit() for part in column.name.split("."))
    ]


def _is_worded(column: ColumnProfile) -> bool:
    """Whether its values are several words, and no times or tags of words."""
    some = list(column.values)[:500]
    if sum(bool(MARKED.fullmatch(value)) for value in some) > MOSTLY * len(some):
        return False
    worded = sum(
        " " in value.strip() and not TIME.match(value) and any(map(str.isalpha, value))
        for value in some
    )
    return worded > 0.3 * len(some) and rank(column.name, ID_NAMES) >= len(ID_NAMES)


def _asks(column: ColumnProfile) -> bool:
    some = list(column.values)[:500]
    return sum(value.rstrip().endswith("?") for value in some) > 0.6 * len(some)


def more_texts(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the columns that are one question together, such as a premise and a hypothesis, in their order."""
    last = {last_part(column): column.name for column in profile.columns.values() if column.is_text}
    for pair in PAIRS:
        names = [last[name] for name in pair if name in last]
        if len(names) == len(pair) and text.name in names and all(
            everywhere(profile.columns[name], profile) for name in names
        ):  # fmt: skip
            return tuple(names)
    return (text.name,)


def numbered_pair(profile: Profile, text: ColumnProfile) -> tuple[str, ...]:
    """Return the text and the one whose name differs by a number or a letter alone; the text where there is none."""
    found: dict[str, list[ColumnProfile]] = {}
    for column in profile.columns.values():
        marks = NUMBERED.findall(column.name)
        if (
            len(marks) == 1
            and column.is_text
            and everywhere(column, profile)
            and _is_worded(column)
        ):
            found.setdefault(NUMBERED.sub("#", column.name).lower(), []).append(column)
    pair = next((columns for columns in found.values() if text in columns), [])
    lengths = [column.mean_length for column in pair]
    if len(pair) != SEVERAL or max(lengths) > ALIKE * min(lengths):
        return (text.name,)
    return tuple(column.name for column in pair)


def split_column(profile: Profile) -> str:
    """Return the column that says which split a row belongs to; empty where none does."""
    for column in profile.columns.values():
        marks = {mark.strip().casefold() for mark in column.values}
        known = {PLACES[mark] for mark in marks if mark in PLACES}
        is_whole = column.filled == len(profile.kept) and marks <= PLACES.keys()
        if is_whole and {Assignment.TRAIN, Assignment.HOLDOUT} <= known and "." not in column.name:
            return column.name
    return ""


def everywhere(column: ColumnProfile, profile: Profile) -> bool:
    """Whether every row has it, and nearly every one something in it."""
    return column.present == len(profile.kept) and column.filled > MOSTLY * column.present


def why_text(column: ColumnProfile, profile: Profile) -> str:
    """Return why a column is taken for the text."""
    long = f"{column.mean_length:.0f} characters on average"
    others = [c for c in profile.columns.values() if c.is_text and c.name != column.name]
    if all(column.mean_length >= other.mean_length for other in others):
        return f"the longest texts, {long}" if others else f"the only texts, {long}"
    return f"its name, and {long}"


def is_label(column: ColumnProfile) -> bool:
    """A few short values that come again."""
    different = len(column.values)
    return (
        SEVERAL <= different <= MOST_LABELS
        and column.filled >= 2 * different
        and column.longest <= LONGEST_LABEL
        and not column.lists
        and not column.objects
    )


def label_column(profile: Profile, text: ColumnProfile) -> ColumnProfile | None:
    """Return the column that sorts the texts, by its name or its few values; None where there is none."""
    others = [
        c for c in profile.columns.values() if c.name != text.name and could_label(c, profile)
    ]
    classes = [
        c
        for c in others
        if (is_label(c) or _is_sure_label(c)) and not (c.is_number and len(c.values) > NOT_A_CLASS)
    ]
    scales = [
        c
        for c in others
        if c.is_number
        and len(c.values) > NOT_A_CLASS
        and not counts(c)
        and not TIMES.search(c.name)
    ]
    named = [c for c in (*classes, *scales) if rank(c.name, LABEL_NAMES) < 2 * len(LABEL_NAMES)]
    exact = {c.name for c in named if rank(c.name, LABEL_NAMES) < len(LABEL_NAMES)}
    if not exact and (partly := _partly_labelled(profile, text)):
        return partly
    if named:
        best = min(named, key=lambda c: (_label_rank(c.name), len(c.values)))
        return worded(profile, best)
    if classes:
        is_metadata = {
            c.name: rank(c.name, METADATA_NAMES) < 2 * len(METADATA_NAMES) for c in classes
        }
        return min(
            classes,
            key=lambda c: (
                is_metadata[c.name] or _are_codes(c),
                c.is_number or _is_flag(c),
                len(c.values),
            ),
        )
    if len(scales) == 1:
        return scales[0]
    return next((c for c in others if not scales and _are_reasons(c)), None)


def _are_reasons(column: ColumnProfile) -> bool:
    """Whether whole sentences sort the rows: a few that come again and again, and no answers."""
    return (
        SEVERAL <= len(column.values) <= MOST_REASONS
        and column.filled >= REASON_AGAIN * len(column.values)
        and column.longest <= LONGEST_REASON
        and column.is_text
        and rank(column.name, ANSWER_NAMES) >= 2 * len(ANSWER_NAMES)
    )


def _label_rank(name: str) -> float:
    """Return how good the name of a label is; `gold_label` comes before names that only may be one."""
    own = rank(name, LABEL_NAMES)
    last = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())[-1]
    return min(own, SURE + 0.5) if last in SURE_LABELS else own


def _is_flag(column: ColumnProfile) -> bool:
    return {value.strip().lower() for value in column.values} <= FLAGS


def _are_codes(column: ColumnProfile) -> bool:
    """Whether its values name many things or people, such as articles and users."""
    return (
        len(column.values) > NOT_A_CLASS
        and not column.is_number
        and all(map(CODE.fullmatch, column.values))
    )


def _is_sure_label(column: ColumnProfile) -> bool:
    """Whether a column is a label by its name alone: of few rows, some labels stand only once."""
    return (
        last_part(column) in ("label", "labels", "intent", "sentiment", "class")
        and SEVERAL <= len(column.values) < column.filled
        and column.longest <= LONGEST_LABEL
        and not column.lists
        and not column.objects
    )


def _partly_labelled(profile: Profile, text: ColumnProfile) -> ColumnProfile | None:
    """Return a column with the name of a label that is empty in some rows: people have not sorted these yet."""
    found = [
        column
        for column in profile.columns.values()
        if column.name != text.name
        and rank(column.name, LABEL_NAMES) < len(LABEL_NAMES)
        and is_label(column)
        and column.filled >= len(profile.kept) / 2
        and not any(part.isdigit() for part in column.name.split("."))
    ]
    return min(found, key=lambda c: rank(c.name, LABEL_NAMES), default=None)


def other_labels(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> list[str]:
    """Return the other columns by which the texts could be sorted; none where the name of the label is sure."""
    if rank(label.name, LABEL_NAMES) < len(LABEL_NAMES):
        return []
    return [
        column.name
        for column in profile.columns.values()
        if column.name not in (text.name, label.name)
        and could_label(column, profile)
        and is_label(column)
        and not (column.is_number and len(column.values) > NOT_A_CLASS)
        and not _says_the_same(profile, label, column)
    ]


def _says_the_same(profile: Profile, one: ColumnProfile, two: ColumnProfile) -> bool:
    """Whether two columns sort the rows in the same way."""
    pairs = {(str(found_at(r, one.name)), str(found_at(r, two.name))) for r in profile.kept}
    return len(pairs) == len(one.values) == len(two.values)


def tells_apart(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> str:
    """Return the column by which texts that stand with several labels have one each; empty for none."""
    rows = profile.kept
    best, fewest = "", _contradicted(rows, (text.name,), label.name) // 4
    for column in profile.columns.values():
        if (
            column.name not in (text.name, label.name)
            and is_label(column)
            and everywhere(column, profile)
            and rank(column.name, METADATA_NAMES) >= len(METADATA_NAMES)
            and (left := _contradicted(rows, (text.name, column.name), label.name)) < fewest
        ):
            best, fewest = column.name, left
    return best


def _contradicted(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], label: str) -> int:
    """Return the rows that stand with another label than one that says the same in these columns."""
    found: dict[tuple[str, ...], Counter[str]] = {}
    for row in rows:
        key = tuple(str(found_at(row, name)) for name in columns)
        found.setdefault(key, Counter())[str(found_at(row, label))] += 1
    return sum(labels.total() for labels in found.values() if len(labels) > 1)


def is_answered(profile: Profile, text: ColumnProfile, label: ColumnProfile) -> bool:
    """Whether a text has an answer of its own beside it, so that a column of categories only sorts the pairs."""
    if label.name.lower() in SURE_LABELS or rank(text.name, ASKED_NAMES) >= len(ASKED_NAMES):
        return False
    return any(
        rank(column.name, ANSWER_NAMES) < len(ANSWER_NAMES) and column.mean_length > LONG_TEXT
        for column in answer_columns(profile, text) if column.name != label.name
    )  # fmt: skip


def has_sure_label(profile: Profile, text: ColumnProfile) -> bool:
    """Whether a column is a label by its name and its values, whatever lists stand beside it."""
    return any(
        column.name != text.name
        and last_part(column) in SURE_LABELS
        and is_label(column)
        and could_label(column, profile)
        and separator_of(column) is None
        for column in profile.columns.values()
    )


def worded(profile: Profile, label: ColumnProfile) -> ColumnProfile:
    """Return the column that says in words what a label says as a number (`label_text`); else the label."""
    if not label.is_number:
        return label
    for column in profile.columns.values():
        is_alike = len(column.values) == len(label.values) and rank(
            column.name, LABEL_NAMES
        ) < 2 * len(LABEL_NAMES)
        if column.name == label.name or not is_alike or column.is_number or not is_label(column):
            continue
        if _says_the_same(profile, label, column):
            return column
    return label


def could_label(column: ColumnProfile, profile: Profile) -> bool:
    """Whether a label could stand there: in every row, and not of one item of a list."""
    last = column.name.lower().rsplit(".", 1)[-1]
    if _is_one_of_several(column, profile) or SPLIT_NAME.search(last):
        # Of one item of a list, or which split the row belongs to.
        return False
    is_id = re.search(r"(?:^|[_ .-])(?:id|ID|Id)$|[a-z]I[dD]$", column.name) and rank(
        last, LABEL_NAMES
    ) >= 2 * len(LABEL_NAMES)
    names = (*ID_NAMES, *TEXT_NAMES[:9])
    return everywhere(column, profile) and last not in names and not is_id


def _is_one_of_several(column: ColumnProfile, profile: Profile) -> bool:
    """Whether it stands in an item of a list that has more of them in some rows."""
    parts = column.name.split(".")
    for at, part in enumerate(parts):
        if part.isdigit():
            second = ".".join((*parts[:at], "1"))
            return part != "0" or any(name.startswith(second) for name in profile.columns)
    return False


def counts(column: ColumnProfile) -> bool:
    """Whether the numbers only count the rows."""
    return len(column.values) >= 0.95 * column.filled and all(
        v.lstrip("-").isdigit() for v in column.values
    )


def separator_of(column: ColumnProfile) -> str | None:
    """What divides several labels of a row; None where nothing does."""
    if not column.is_text or column.longest > 4 * LONGEST_LABEL:
        return None
    is_named = last_part(column) in SEVERAL_NAMES
    for separator in ",;|" + (" " if is_named else ""):
        # `4,5` is a number, and `Weber, Anna` a person: what stands before it never stands behind it.
        if not is_named and (
            (separator == "," and column.is_decimal) or _are_pairs(column.values, separator)
        ):
            continue
        joined = [value for value in column.values if separator in value]
        parts = {part.strip() for value in column.values for part in value.split(separator)}
        if separator == " " and not all(map(KEY.fullmatch, parts)):
            continue
        few = SEVERAL <= len(parts) <= min(MOST_LABELS, column.filled // 2)
        if (
            len(joined) >= SEVERAL
            and few
            and len(parts) < len(column.values)
            and max(map(len, parts)) <= LONGEST_LABEL // 2
        ):
            return separator
    return None


def _are_pairs(values: Collection[str], separator: str) -> bool:
    """Whether all values have as many parts, and no part stands at two places: names, towns with their country."""
    parts = [[part.strip() for part in value.split(separator)] for value in values]
    count = len(parts[0]) if parts else 0
    if count < SEVERAL or any(len(one) != count for one in parts):
        return False
    places = [set(place) for place in zip(*parts, strict=True)]
    return sum(map(len, places)) == len(set().union(*places))


def labels_of(column: ColumnProfile, separator: str | None) -> list[str]:
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
    if all(part.lstrip("-").replace(".", "", 1).isdigit() for part in found):
        # As texts, 10 would come before 2.
        return sorted(found, key=float)
    return sorted(found)


def verbatim(profile: Profile, text: ColumnProfile) -> list[str]:
    """Columns whose values stand in the text of their row, and are not all of its words."""
    rows = profile.kept[:2000]
    found = []
    for column in profile.columns.values():
        if (
            column.name == text.name
            or "." in column.name
            or column.objects
            or column.name.startswith("@")
            or len(column.values) < SEVERAL
            # The letter of a choice stands in each question.
            or column.longest == 1
        ):
            continue
        pairs = [(values.get(column.name), values.get(text.name)) for values in rows]
        filled = [(_words(a), str(b).casefold()) for a, b in pairs if a not in (None, "", []) and b]
        if all(sum(map(len, words)) > MOST_OF_IT * len(whole) for words, whole in filled):
            continue
        if rank(column.name, TITLES) < 2 * len(TITLES) and _begins(filled):
            continue
        hits = sum(all(_stands_in(word, whole) for word in words) for words, whole in filled)
        enough = len(filled) >= min(5, len(rows))
        if (
            enough
            and column.mean_length < 0.6 * text.mean_length
            and hits >= VERBATIM * len(filled)
        ):
            found.append(column.name)
    return found


def _begins(pairs: list[tuple[list[str], str]]) -> bool:
    """Whether the values are mostly how their texts begin."""
    begins = sum(whole.startswith(words[0].casefold()) for words, whole in pairs if words)
    return begins > MOST_OF_IT * len(pairs)


def _stands_in(word: str, whole: str) -> bool:
    """Whether a word stands in a text, and not only as letters of another word."""
    word = word.casefold()
    at = whole.find(word)
    while at >= 0 and word:
        before, after = whole[at - 1 : at] if at else "", whole[at + len(word) :][:1]
        if not (_goes_on(before, word[0]) or _goes_on(word[-1], after)):
            return True
        at = whole.find(word, at + 1)
    return False


def _goes_on(left: str, right: str) -> bool:
    # Other scripts have no blanks between their words.
    return all(one.isascii() and one.isalnum() for one in (left, right) if one) and bool(
        left and right
    )


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def answer_columns(profile: Profile, text: ColumnProfile) -> list[ColumnProfile]:
    """Return the texts beside a text that could be an answer to it."""
    return [
        column
        for column in profile.columns.values()
        if column.name != text.name and (column.is_text or holds_answers(column)) and everywhere(column, profile)
        and last_part(column) not in ID_NAMES and not SPLIT_NAME.search(last_part(column))
        and len(column.values) > 1 and not column.is_number and not column.is_decimal and not _are_links(column)
    ]  # fmt: skip


def _are_links(column: ColumnProfile) -> bool:
    some = list(column.values)[:50]
    return all(TIME.match(value) and " " not in value for value in some)


def begins_alike(column: ColumnProfile) -> bool:
    """Whether all its texts begin in the same way, as licences and sources of texts do."""
    starts = {value[:LONG_START] for value in column.values}
    return len(column.values) > NOT_A_CLASS and len(starts) == 1


def holds_answers(column: ColumnProfile) -> bool:
    """Whether each row has a list of texts that are no labels, such as all right answers to a question."""
    are_lists = column.lists > MOSTLY * max(1, column.filled)
    are_long = max(map(len, column.values), default=0) > LONGEST_LABEL
    return are_lists and (are_long or len(column.values) > 0.3 * column.lists)


def last_part(column: ColumnProfile) -> str:
    """Return the last part of a column's path."""
    return column.name.lower().rsplit(".", 1)[-1]
