"""What a draft asks for while it is checked: its labels, its prompt, its sizes, and what is good enough."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from typing import Final

from engine.data.prepare import Prepared
from engine.data.splitting.column import place_of
from engine.data.token_estimate import estimated_tokens, is_english, row_text
from engine.drafting.choices import Guess
from engine.drafting.guess import Grouping
from engine.drafting.layout_table import PATTERNS
from engine.drafting.profile import (
    KEPT,
    NAMES,
    NOT_A_CLASS,
    SEVERAL,
    ColumnProfile,
    Profile,
    is_called,
)
from engine.drafting.reading import Reading
from engine.drafting.roles import in_order, labels_of
from engine.evidence import DataSummary
from engine.kinds import KINDS, AnswerForm, Kind
from engine.metrics.power import ROWS, Spread, ThresholdRule, macro_f1, passing_value
from engine.metrics.power_text import JudgingRows
from engine.recipe.metrics import is_lower_better
from engine.recipe.model import Task
from engine.recipe.prompt import unnamed_labels
from engine.recipe.text.words import folded
from engine.values import Value

LONGEST: Final = 2048
MANY_ASKED: Final = 400
"""Bytes of all labels from which they are most of a prompt."""
MOST_ASKED: Final = 4500
"""Bytes of all labels up to which every prompt lists them: beyond, they leave the text no room."""
CONFIDENCE: Final = 0.95
STEP: Final = 0.05
ALMOST_ALL: Final = 0.99
"""What a good model reaches of a share that has to be near 1: its bound is lowered as far as need be."""
FOLDED: Final = range(25, 500)
"""Numbers of rows that folds divide: a quarter of so few shows only bounds far below what a good model is worth."""


CAUTION: Final = 1.2
"""Rather too many tokens than too few: `recipe data` refuses rows that are longer than the recipe allows."""
LENGTHS: Final = (128, 256, 512, 1024, 2048, 4096, 8192)
"""Tokens that a draft may ask for; the base model of a draft reads the last."""
AROUND: Final = 64
"""Tokens that the chat template writes around a question and its answer, at most."""
TURN: Final = 15
"""The same of a further turn."""


class Sizes(Value):
    validation: int
    holdout: int
    folds: int = 0
    """0: the rows of the holdout are evaluated."""


def sizes_for(rows: int, *, is_folded: bool) -> Sizes:
    """Return round numbers: a holdout of a quarter, at most 1,000, and a tenth to validate; few rows in folds."""

    def rounded(count: float) -> int:
        step = 50 if count >= 100 else 10 if count >= 20 else 1
        return int(count // step * step)

    return Sizes(
        validation=max(1, rounded(min(500, rows * 0.1))),
        holdout=max(2, rounded(min(1000, rows * 0.25))),
        folds=5 if is_folded and rows in FOLDED else 0,
    )


def shown_bound(most: float, *, rows: float, spread: Spread = ROWS) -> float:
    """Return the highest bound, from `most` down, that a good model shows with power 0.80; `most` where none is.

    A good model misses half of what the bound lets it miss, or `ALMOST_ALL` of the rows are right.
    """
    is_near_one = most > ALMOST_ALL - STEP
    least = STEP if is_near_one else max(STEP, most - 0.3)
    for step in range(round((most - least) / STEP) + 1):
        bound = round(most - step * STEP, 2)
        rule = ThresholdRule(bound=bound, confidence=CONFIDENCE)
        needed = passing_value(rule, rows=round(rows), spread=spread)
        if needed is not None and needed <= (ALMOST_ALL if is_near_one else (1 + bound) / 2):
            return bound
    return most


def _plural(noun: str) -> str:
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


@dataclass(slots=True, kw_only=True)
class DraftPlan:
    """What can still change while the draft is checked, and what follows from it."""

    guess: Guess
    profile: Profile
    readings: tuple[Reading, ...]
    sizes: Sizes
    row_sizes: tuple[int, ...] = ()
    """Tokens of each row that was read, without the instruction: estimates, rather too high."""
    groupings: tuple[Grouping, ...] = ()
    """Columns by which rows belong together."""
    group: Grouping | None = None
    """The one by which they are divided."""
    checks: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Check: (action, why)."""
    summary: DataSummary | None = None
    """What became of the rows when they were divided."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.guess.kind]

    def all_checks(self) -> dict[str, tuple[str, str]]:
        """Return the checks with those that follow from the length of the rows."""
        why = ""
        if self.too_long:
            why = "the longest rows may not fit max_length"
        elif self.profile.rows > KEPT:
            why = "rows after those looked at may not fit max_length"
        return {**self.checks, **({"truncation": ("drop", why)} if why else {})}

    @property
    def by_files(self) -> bool:
        """Whether the file says which rows are for what."""
        return any(reading.into for reading in self.readings) or bool(self.guess.split)

    @property
    def is_label(self) -> bool:
        """Whether each row has one label, and no number of a scale."""
        return self.kind.answer is AnswerForm.LABEL and not self.bins()

    @property
    def by_split(self) -> Mapping[str, int]:
        if not self.guess.split:
            return self.profile.by_split
        counts: Counter[str] = Counter()
        for mark, count in self.profile.columns[self.guess.split].values.items():
            counts[place_of(mark).split] += count
        return counts

    @property
    def column(self) -> ColumnProfile:
        return self.profile.columns[self.guess.label]

    def bins(self) -> tuple[tuple[str, str, float], ...]:
        """(label, min or max, bound) where the label is a scale; empty for classes."""
        is_number = self.kind.answer is AnswerForm.LABEL and self.column.is_number
        if not is_number or len(self.column.values) <= NOT_A_CLASS:
            return ()
        numbers = sorted(float(value) for value in self.column.values.elements())
        low, high = numbers[len(numbers) // 3], numbers[-1 - len(numbers) // 3]
        names = ("negative", "positive") if numbers[0] < 0 < numbers[-1] else ("low", "high")
        if low == high:
            high = next((number for number in numbers if number > low), high)
        short = [float(f"{number:.3g}") for number in (low, high)]
        low, high = short if short[0] < short[1] else (low, high)
        return ((names[0], "max", low), (names[1], "min", high))

    def labels(self) -> list[str]:
        """Return the labels of the task without those that are renamed; none for a task without labels."""
        if not self.kind.has_labels:
            return []
        if scale := self.bins():
            return [label for label, _, _ in scale]
        renamed = self.relabelled()
        # What they are renamed to need not be in the rows: each may have a blank before it.
        found = {renamed.get(label, label) for label in labels_of(self.column, self._separator)}
        return in_order(found - set(self.no_labels()))

    @property
    def _separator(self) -> str:
        return self.guess.separator if self.kind.answer is AnswerForm.LABELS else ""

    def no_labels(self) -> list[str]:
        """Return the values of rows without a label, such as `N/A`."""
        if not self.is_label:
            return []
        few = (
            0.1 * self.column.filled
        )  # of more, `NA`, as R writes it, may be the class of all the others
        found = [
            label
            for label, rows in self.column.values.items()
            if label.strip().lower() in NAMES["no labels"] or (label.strip() == "NA" and rows <= few)
        ]  # fmt: skip
        return found if len(self.column.values) - len(found) >= SEVERAL else []

    def misspelled(self) -> Iterator[tuple[str, int, str]]:
        """Yield each label of few rows that is nearly another one of many, its rows, and the other."""
        if not self.is_label:
            return
        renamed, known = self.relabelled(), self.labels()
        counts: Counter[str] = Counter()
        for spelling, rows in self.column.values.items():
            label = renamed.get(spelling, spelling)
            counts[label] += rows if label in known and label.isalpha() else 0
        for label, rows in (+counts).items():
            others = [other for other, many in counts.items() if many >= 10 * rows]
            near = get_close_matches(label.lower(), others, 1, cutoff=0.75)
            if near and rows <= 0.02 * self.column.filled:
                yield label, rows, near[0]

    def spellings(self) -> dict[str, Counter[str]]:
        """Return each label that has several spellings in the rows: how often each of them is there.

        They are one label where a recipe refuses both: they differ in case, blanks or letters that look alike.
        """
        if not self.kind.has_labels or self.bins():
            return {}
        found: dict[str, Counter[str]] = {}
        for text, rows in self.column.values.items():
            parts = text.split(self._separator) if self._separator else [text]
            for part in filter(None, map(str.strip, parts)) if self._separator else parts:
                found.setdefault(folded(part), Counter())[part] += rows
        spelled: dict[str, Counter[str]] = {}
        for counts in found.values():
            # Without blanks at its ends first, then the commonest.
            best = max(counts, key=lambda one: (one == one.strip(), counts[one])).strip()
            if counts.keys() != {best}:
                spelled[best] = counts
        return spelled

    def relabelled(self) -> dict[str, str]:
        spelled = self.spellings().items()
        return {one: label for label, counts in spelled for one in counts if one != label}

    def instruction(self) -> str:
        """Return the question before each text; empty where the rows ask it themselves."""
        if self.guess.instruction:
            return self.guess.instruction
        labels, names = self.labels(), ", ".join(self.fields)
        # What `is_spam` and `refund wanted?` ask; "Is it parcel" would be no English.
        flag = PATTERNS["flag"].fullmatch(self._label_name)
        marks = {label.strip().casefold() for label in labels}
        are_flags = len(marks) == SEVERAL and any(
            marks <= set(some) for some in NAMES["yes and no"]
        )
        if flag and are_flags and not is_called(self._label_name, "label"):
            return f"Does `{flag['what'].replace('_', ' ').strip()}` apply: {{labels}}?"
        if labels == ["low", "high"] and self.bins():
            return f"How high is the {self.word}: {{labels}}?"
        # The system message may say them already.
        is_listed = _bytes(labels) <= MOST_ASKED and bool(unnamed_labels(labels, self.guess.system))
        draft = self.kind.draft
        text = draft.instruction
        if draft.short_instruction and not is_listed and not 0 < _bytes([names]) <= MANY_ASKED:
            text = draft.short_instruction
        # Not `format`: `{labels}` stays for each prompt to fill in.
        return text.replace("{word}", self.word).replace("{fields}", names)

    @property
    def fields(self) -> tuple[str, ...]:
        guess = self.guess
        if self.kind.answer is not AnswerForm.OBJECT:
            return ()
        spans = guess.spans.names if guess.spans is not None else ()
        return tuple(spans) or tuple(name for name, _ in guess.properties) or guess.fields

    @property
    def _label_name(self) -> str:
        """The name of the column of labels: `messages.2.content` and `tags.0` are places only."""
        label = self.guess.label
        return "label" if re.search(r"\.\d+(\.|$)", label) else label.rsplit(".", 1)[-1]

    @property
    def word(self) -> str:
        """The noun of the labels: a known one as it is, any other name of a column as a quotation.

        So `Which {word} is it` and `Which of these {word} apply` are English, whatever the column is called.
        """
        name, several = self._label_name, self.kind.answer is AnswerForm.LABELS
        *before, last = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", " ", name).lower().split() or [""]
        noun = next((one for one in NAMES["noun"] if last in (one, _plural(one))), "")
        are_words = all(word.isascii() and word.isalpha() for word in before)
        if noun and are_words and before[:1] not in (["is"], ["has"], ["was"]):
            return " ".join([*before, _plural(noun) if several else noun])
        if not re.fullmatch(r"[^\W_][\w .#/-]{1,39}", name):
            return "labels" if several else "label"
        return f"values of `{name}`" if several else f"`{name}`"

    def why_instruction(self) -> str:
        labels = self.labels()
        if _bytes(labels) > MOST_ASKED:
            return f"listing {len(labels)} labels would leave the text no room"
        if _bytes(labels) > MANY_ASKED:
            return f"lists all {len(labels)}: about {round(estimated_tokens(', '.join(labels)), -2):.0f} tokens a row"
        return "what the model is asked"

    def max_length(self) -> int:
        """Return the tokens that the longest row needs, as a power of two."""
        needed = max(self.row_sizes, default=0) + self._asked()
        # Rows are left out rather than every step made longer, as long as they are few.
        are_few = self._longer_than(LONGEST) <= 0.1 * len(self.row_sizes)
        most = LONGEST if are_few else LENGTHS[-1]
        return next(length for length in LENGTHS if length == most or needed <= length)

    @property
    def too_long(self) -> int:
        """Rows that may need more tokens than the draft asks for."""
        return self._longer_than(self.max_length())

    def _longer_than(self, tokens: int) -> int:
        room = tokens - self._asked()
        return sum(size > room for size in self.row_sizes)

    def _asked(self) -> float:
        """Return the tokens that are the same in every row."""
        asked = self.instruction()
        # Of many words, those that are longer are balanced by others.
        labels = estimated_tokens(", ".join(self.labels())) if "{labels}" in asked else 0
        return AROUND + labels + _estimate(asked) + _estimate(self.guess.system)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the bounds that a model must keep: what a useful one might; a person must say what is useful."""
        draft, labels = self.kind.draft, self.labels()
        if not draft.metric:
            return {}
        if is_lower_better(draft.metric, self.kind.name):
            return {draft.metric: {"max": draft.threshold}}
        is_label = self.kind.answer is AnswerForm.LABEL
        harder = next((found for most, found in ((10, 0.0), (50, 0.7)) if len(labels) <= most), 0.6)
        threshold = harder if is_label and harder else draft.threshold
        found = JudgingRows.of(self.summary) if self.summary else None
        asked = self.profile.rows if self.sizes.folds else self.sizes.holdout
        evaluated = found or JudgingRows(rows=self.by_split.get("holdout", asked))
        is_macro = draft.metric == "macro_f1"
        spread = macro_f1(evaluated.portions(tuple(labels))) if is_macro else ROWS
        rows = evaluated.independent(CONFIDENCE)
        bounds = {draft.metric: {"min": shown_bound(threshold, rows=rows, spread=spread)}}
        if is_label:
            bounds["valid_output"] = {"min": shown_bound(0.95, rows=rows)}
        return bounds


def _bytes(texts: list[str]) -> int:
    return len(", ".join(texts).encode("utf-8", "replace"))


def _estimate(text: str) -> float:
    return CAUTION * estimated_tokens(text, english=is_english([text]))


def row_sizes(task: Task, prepared: Prepared) -> tuple[int, ...]:
    """Return about how many tokens each row has without what is asked of all; of two answers, with the longer one."""
    splits = chain(prepared.train, prepared.validation, prepared.holdout)
    texts = [row_text(task, row) for row in islice(splits, KEPT)]
    english = is_english(one.text for one in texts[:200])
    return tuple(
        round(CAUTION * estimated_tokens(one.text, english=english)) + TURN * max(0, one.turns - 2)
        for one in texts
    )
