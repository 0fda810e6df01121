"""Columns that hold what belongs beside them: an annotation around its labels, a split in other words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.data.splitting.column import PLACES
from engine.drafting.layouts.step import Recognised, Row, columns_of

MARKS: Final = frozenset(
    {"entities", "cats", "links", "spans", "tags", "heads", "deps", "sent_starts"}
)
"""Keys of spaCy's annotations of a text."""
SPLIT_NAME: Final = re.compile(
    r"(?i)(?:.*_)?(?:split|set|subset|partition|fold|usage|phase|dataset)\Z"
)
IN_SPLIT: Final = re.compile(
    r"(?i)(?:is|in)_?(test|train(?:ing)?|val(?:id(?:ation)?)?|dev|holdout)\Z"
)
WORDS: Final = {
    **dict.fromkeys(("trn", "tr", "fit", "trainset", "train_set"), "train"),
    **dict.fromkeys(("validate", "eval", "evaluation", "devel", "tune"), "validation"),
    **dict.fromkeys(("testing", "tst", "te", "testset", "test_set", "private", "public"), "test"),
}
"""Words for a split that no recipe reads, with one that it does."""
SET: Final = frozenset({"1", "1.0", "true", "yes", "y"})
UNSET: Final = frozenset({"0", "0.0", "false", "no", "n", ""})


def _is_marked(value: Mapping[str, Any]) -> bool:
    # `tags` alone is a name of much else
    return value.keys() <= MARKS and not value.keys().isdisjoint({"entities", "cats"})


def spacy_marks(rows: Sequence[Row]) -> Recognised:
    """The annotations of spaCy in an object beside the text: `{"entities": […], "cats": {…}}`."""
    for name in columns_of(rows):
        values = [row.get(name) for row in rows]
        if all(isinstance(one, Mapping) and _is_marked(one) for one in values):

            def turn(row: Row, name: str = name) -> Iterator[dict[str, Any]]:
                rest = {key: value for key, value in row.items() if key != name}
                marks = {
                    key: value for key, value in row[name].items() if key in ("entities", "cats")
                }
                # Objects that are empty in every row say nothing.
                yield {
                    **rest,
                    **{key: value for key, value in marks.items() if value or key == "entities"},
                }

            return turn, f"`{name}` holds what spaCy learns of a text"
    return None


def chosen(rows: Sequence[Row]) -> Recognised:
    """Choices of Label Studio: an object around a list, or a text where one was chosen."""
    for name in columns_of(rows):
        values = [value for row in rows if (value := row.get(name)) not in (None, "")]
        around = [one for one in values if isinstance(one, Mapping) and one.keys() == {"choices"}]
        if around and all(isinstance(one, str) for one in values if one not in around):

            def turn(row: Row, name: str = name) -> Iterator[dict[str, Any]]:
                value = row.get(name)
                some = value["choices"] if isinstance(value, Mapping) else [value] if value else []
                yield {**row, name: some}

            return turn, f"`{name}` holds what was chosen in Label Studio"
    return None


def may_say_split(name: str) -> bool:
    """Whether a column is called as one of splits is."""
    return bool(IN_SPLIT.match(name) or SPLIT_NAME.match(name))


def splits(rows: Sequence[Row]) -> Recognised:
    """A column that says the split in words of its own (`eval`, `tst`), or by yes and no (`is_test`)."""
    for name in columns_of(rows):
        if not may_say_split(name):
            continue
        words = {str(row.get(name)).strip().lower() for row in rows}
        if found := IN_SPLIT.match(name):
            if words & SET and words & UNSET and words <= SET | UNSET:
                is_train = found[1].lower().startswith("train")
                return _by_flag(name, *(("train", "test") if is_train else ("test", "train")))
            continue
        if not words <= PLACES.keys() | WORDS.keys():
            continue
        plain = {word: WORDS.get(word, word) for word in words}
        places = {PLACES[one].split for one in plain.values()}
        if "train" not in places or len(places) < 2:
            continue
        if "holdout" not in places:
            # The only split to judge by judges.
            plain = {
                word: "train" if PLACES[one].split == "train" else "test"
                for word, one in plain.items()
            }
        if any(word != one for word, one in plain.items()):
            return _by_words(name, plain)
    return None


def _by_flag(name: str, here: str, other: str) -> Recognised:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        rest = {key: value for key, value in row.items() if key != name}
        yield {**rest, "split": here if str(row.get(name)).strip().lower() in SET else other}

    return turn, f"`{name}` says which rows judge"


def _by_words(name: str, plain: Mapping[str, str]) -> Recognised:
    def turn(row: Row) -> Iterator[dict[str, Any]]:
        yield {**row, name: plain[str(row.get(name)).strip().lower()]}

    return turn, f"`{name}` says the split in other words"
