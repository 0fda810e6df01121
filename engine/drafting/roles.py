"""What a column can be: the text, a label, an answer, a part of the text."""

from __future__ import annotations

import re
from typing import Final

from engine.drafting.profile import ColumnProfile, Profile

TEXT_NAMES: Final = (
    "text", "sentence", "message", "utterance", "tweet", "review", "comment", "headline", "question",
    "query", "prompt", "title", "body", "content", "note", "input", "description", "snippet", "document",
)  # fmt: skip
LABEL_NAMES: Final = (
    "label", "labels", "category", "class", "intent", "topic", "sentiment", "emotion", "target", "tag",
    "tags", "rating", "score", "stars", "ideal", "kind", "type", "fault", "genre", "categories", "y",
)  # fmt: skip
ANSWER_NAMES: Final = (
    "answer", "response", "output", "completion", "reply", "summary", "target", "sql", "translation",
    "command", "ideal", "solution",
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
SPLIT_NAME: Final = re.compile(r"split|fold|partition|subset")
MOST_LABELS: Final = 200
LONGEST_LABEL: Final = 60
LONG_TEXT: Final = 12
"""Characters on average from which a column can be the text."""
VERBATIM: Final = 0.6
"""Share of rows whose value stands in the text, from which a column is a field of it."""
MOSTLY: Final = 0.9
SEVERAL: Final = 2
NOT_A_CLASS: Final = 12
"""Different numbers above which a column of numbers is a scale and not a set of classes."""


def rank(name: str, names: tuple[str, ...]) -> int:
    """Return how good a name is; the last part of a path counts, and parts of words too."""
    last = name.lower().rsplit(".", 1)[-1].strip()
    if last in names:
        return names.index(last)
    within = [
        place for place, known in enumerate(names) if known in last.replace("-", "_").split("_")
    ]
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
    named = [
        column
        for column in varied
        if rank(column.name, TEXT_NAMES) < len(TEXT_NAMES) and column.mean_length >= LONG_TEXT
    ]
    if named:
        return min(named, key=lambda column: (rank(column.name, TEXT_NAMES), -column.mean_length))
    return max(varied, key=lambda column: column.mean_length, default=None)


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
        c for c in others if is_label(c) and not (c.is_number and len(c.values) > NOT_A_CLASS)
    ]
    scales = [c for c in others if c.is_number and len(c.values) > NOT_A_CLASS and not counts(c)]
    named = [c for c in (*classes, *scales) if rank(c.name, LABEL_NAMES) < 2 * len(LABEL_NAMES)]
    if named:
        return min(named, key=lambda c: (rank(c.name, LABEL_NAMES), len(c.values)))
    if classes:
        return min(classes, key=lambda c: (c.is_number, len(c.values)))
    return scales[0] if len(scales) == 1 else None


def could_label(column: ColumnProfile, profile: Profile) -> bool:
    """Whether a label could stand there: in every row, and not of one item of a list."""
    last = column.name.lower().rsplit(".", 1)[-1]
    if any(part.isdigit() for part in column.name.split(".")) or SPLIT_NAME.search(last):
        # Of one item of a list, or which split the row belongs to.
        return False
    return everywhere(column, profile) and last not in ID_NAMES and last not in TEXT_NAMES[:9]


def counts(column: ColumnProfile) -> bool:
    """Whether the numbers only count the rows."""
    return len(column.values) >= 0.95 * column.filled and all(
        v.lstrip("-").isdigit() for v in column.values
    )


def separator_of(column: ColumnProfile) -> str | None:
    """What divides several labels of a row; None where nothing does."""
    if not column.is_text or column.longest > 4 * LONGEST_LABEL:
        return None
    for separator in (",", ";", "|"):
        joined = [value for value in column.values if separator in value]
        parts = {part.strip() for value in column.values for part in value.split(separator)}
        few = SEVERAL <= len(parts) <= min(MOST_LABELS, column.filled // 2)
        if (
            len(joined) >= SEVERAL
            and few
            and len(parts) < len(column.values)
            and max(map(len, parts)) <= LONGEST_LABEL // 2
        ):
            return separator
    return None


def labels_of(column: ColumnProfile, separator: str | None) -> list[str]:
    """Return the different labels of a column, in the order people would list them."""
    parts = {
        part.strip() if separator else part
        for value in column.values
        for part in (value.split(separator) if separator else [value])
    }
    found = {part for part in parts if part.strip()}
    if all(part.lstrip("-").replace(".", "", 1).isdigit() for part in found):
        # As texts, 10 would come before 2.
        return sorted(found, key=float)
    return sorted(found)


def verbatim(profile: Profile, text: ColumnProfile) -> list[str]:
    """Columns whose values stand in the text of their row."""
    rows = profile.kept[:2000]
    found = []
    for column in profile.columns.values():
        if (
            column.name == text.name
            or "." in column.name
            or column.objects
            or column.name.startswith("@")
        ):
            continue
        pairs = [(values.get(column.name), values.get(text.name)) for values in rows]
        filled = [(_words(a), str(b).casefold()) for a, b in pairs if a not in (None, "", []) and b]
        hits = sum(all(word.casefold() in whole for word in words) for words, whole in filled)
        enough = len(filled) >= min(5, len(rows))
        if (
            enough
            and column.mean_length < 0.6 * text.mean_length
            and hits >= VERBATIM * len(filled)
        ):
            found.append(column.name)
    return found


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def answer_columns(profile: Profile, text: ColumnProfile) -> list[ColumnProfile]:
    """Return the texts beside a text that could be an answer to it."""
    return [
        column
        for column in profile.columns.values()
        if column.name != text.name and column.is_text and everywhere(column, profile)
        and last_part(column) not in ID_NAMES and not SPLIT_NAME.search(last_part(column))
        and len(column.values) > 1 and not column.is_number
    ]  # fmt: skip


def last_part(column: ColumnProfile) -> str:
    """Return the last part of a column's path."""
    return column.name.lower().rsplit(".", 1)[-1]
