"""The labels of a task as its rows spell them, and the question that asks for them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from engine.drafting.column_profile import NAMES, NOT_A_CLASS, SEVERAL, ColumnProfile, is_called
from engine.drafting.guess import Guess
from engine.drafting.layout_table import PATTERNS
from engine.drafting.roles import in_order, label_counts
from engine.kinds import KINDS, AnswerForm
from engine.recipe.prompt import unnamed_labels
from engine.recipe.text.words import folded
from engine.values import Value, field

MANY_ASKED: Final = 400
"""Bytes of all fields from which they are most of a prompt."""
MOST_ASKED: Final = 4500
"""Bytes of all labels up to which every prompt lists them: beyond, they leave the text no room."""


class Labels(Value):
    """The labels of a task; none for a kind without labels."""

    names: list[str] = field(default_factory=list)
    scale: dict[str, dict[str, float]] = field(default_factory=dict)
    """Label: {min or max: bound}, where the column is a scale of numbers."""
    spelled: dict[str, Counter[str]] = field(default_factory=dict)
    """Label: how often each of its spellings is there, of those that have several."""
    absent: list[str] = field(default_factory=list)
    """The values of rows without a label, such as `N/A`."""
    misspelled: list[tuple[str, int, str]] = field(default_factory=list)
    """(label of few rows, its rows, the label of many that it nearly is)."""

    @property
    def relabel(self) -> dict[str, str]:
        """Spelling: label."""
        return {one: label for label, some in self.spelled.items() for one in some if one != label}


def task_labels(guess: Guess, columns: Mapping[str, ColumnProfile]) -> Labels:
    kind = KINDS[guess.kind]
    if not kind.has_labels:
        return Labels()
    column, is_single = columns[guess.label], kind.answer is AnswerForm.LABEL
    if is_single and (scale := _scale(column)):
        return Labels(names=[*scale], scale=scale)
    counts = label_counts(column, "" if is_single else guess.separator)
    # Of more, `NA`, as R writes it, may be the class of all the others.
    few = 0.1 * column.filled
    unlabelled = (
        one for one, rows in counts.items()
        if one.strip().lower() in NAMES["no labels"] or (one.strip() == "NA" and rows <= few)
    )  # fmt: skip
    absent = [*unlabelled] if is_single else []
    if len(counts) - len(absent) < SEVERAL:
        absent = []
    labels = Labels(spelled=_spellings(counts), absent=absent)
    merged: Counter[str] = Counter()
    for one in counts.keys() - {*absent}:
        merged[labels.relabel.get(one, one)] += counts[one]
    misspelled = []
    words = {one: rows for one, rows in merged.items() if is_single and one.isalpha()}
    for label, rows in words.items():
        usual = [one for one, many in words.items() if many >= 10 * rows]
        near = get_close_matches(label.lower(), usual, 1, cutoff=0.75)
        if near and rows <= 0.02 * column.filled:
            misspelled.append((label, rows, near[0]))
    return Labels(
        names=in_order(merged), spelled=labels.spelled, absent=absent, misspelled=misspelled
    )


def _scale(column: ColumnProfile) -> dict[str, dict[str, float]]:
    """Return the outer thirds of a column of numbers on a scale; empty for classes."""
    if not column.is_number or len(column.values) <= NOT_A_CLASS:
        return {}
    numbers = sorted(float(value) for value in column.values.elements())
    low, high = numbers[len(numbers) // 3], numbers[-1 - len(numbers) // 3]
    names = ("negative", "positive") if numbers[0] < 0 < numbers[-1] else ("low", "high")
    if low == high:
        high = next((number for number in numbers if number > low), high)
    short = [float(f"{number:.3g}") for number in (low, high)]
    low, high = short if short[0] < short[1] else (low, high)
    return {names[0]: {"max": low}, names[1]: {"min": high}}


def _spellings(counts: Mapping[str, int]) -> dict[str, Counter[str]]:
    """Return each label that has several spellings: those that differ in case, blanks or letters that look alike."""
    alike: dict[str, Counter[str]] = {}
    for one, rows in counts.items():
        alike.setdefault(folded(one), Counter())[one] += rows
    spelled = {}
    for some in alike.values():
        # Without blanks at its ends first, then the commonest.
        best = max(some, key=lambda one: (one == one.strip(), some[one])).strip()
        if some.keys() != {best}:
            spelled[best] = some
    return spelled


def question(guess: Guess, labels: Labels) -> str:
    """Return what a model is asked before each text; empty where the rows ask it themselves."""
    if guess.instruction:
        return guess.instruction
    # What `is_spam` and `refund wanted?` ask; "Is it parcel" would be no English.
    name, word, draft = _label_name(guess), label_noun(guess), KINDS[guess.kind].draft
    flag = PATTERNS["flag"].fullmatch(name)
    marks = {label.strip().casefold() for label in labels.names}
    are_flags = len(marks) == SEVERAL and any(marks <= set(some) for some in NAMES["yes and no"])
    if flag and are_flags and not is_called(name, "label"):
        return f"Does `{flag['what'].replace('_', ' ').strip()}` apply: {{labels}}?"
    if labels.scale.keys() == {"low", "high"}:
        return f"How high is the {word}: {{labels}}?"
    # The system message may list them already.
    is_listed = _bytes(labels.names) <= MOST_ASKED and unnamed_labels(labels.names, guess.system)
    is_short = not is_listed and not 0 < _bytes(guess.fields) <= MANY_ASKED
    text = (is_short and draft.short_instruction) or draft.instruction
    # Not `format`: `{labels}` stays for each prompt to fill in.
    return text.replace("{word}", word).replace("{fields}", ", ".join(guess.fields))


def _bytes(texts: Iterable[str]) -> int:
    return len(", ".join(texts).encode("utf-8", "replace"))


def _label_name(guess: Guess) -> str:
    """Return the name of the column of labels: `messages.2.content` and `tags.0` are places only."""
    is_place = re.search(r"\.\d+(\.|$)", guess.label)
    return "label" if is_place else guess.label.rpartition(".")[2]


def label_noun(guess: Guess) -> str:
    """Return the noun of the labels: a known one as it is, any other name of a column as a quotation.

    So `Which {word} is it` and `Which of these {word} apply` are English, whatever the column is called.
    """
    name, several = _label_name(guess), KINDS[guess.kind].answer is AnswerForm.LABELS
    *before, last = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", " ", name).lower().split() or [""]
    plurals = {
        one: re.sub(r"(?<=s)$", "e", re.sub(r"y$", "ie", one)) + "s" for one in NAMES["noun"]
    }
    noun = next((one for one, many in plurals.items() if last in (one, many)), "")
    are_words = all(word.isascii() and word.isalpha() for word in before)
    if noun and are_words and before[:1] not in (["is"], ["has"], ["was"]):
        return " ".join([*before, plurals[noun] if several else noun])
    if not re.fullmatch(r"[^\W_][\w .#/-]{1,39}", name):
        return "labels" if several else "label"
    return f"values of `{name}`" if several else f"`{name}`"
