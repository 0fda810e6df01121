"""What a draft asks for while it is checked: its labels, its prompt, its lengths, and what is good enough."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from engine.data.examples.template import found_at
from engine.data.splitting.column import place_of
from engine.drafting.choices import Guess
from engine.drafting.groups import Grouping
from engine.drafting.profile import ColumnProfile, Profile
from engine.drafting.reading import Reading
from engine.drafting.roles import LABEL_NAMES, SEVERAL, in_order, labels_of, rank
from engine.drafting.sizes import CONFIDENCE, Sizes, shown_bound
from engine.drafting.token_estimate import CAUTION, are_english, tokens_of
from engine.evidence import DataSummary
from engine.kinds import KINDS, AnswerForm, Kind
from engine.metrics.power import ROWS, macro_f1
from engine.metrics.power_text import JudgingRows
from engine.recipe.metrics import is_lower_better
from engine.recipe.prompt import unnamed_labels
from engine.recipe.text.lookalike import folded

MANY_CLASSES: Final = 12
CHOSEN: Final = "chosen"
COMPARED: Final = (CHOSEN, "rejected", "chosen_messages", "rejected_messages")
"""Columns of two answers in rows of the shape `dpo`."""
READ: Final = (
    "system", "tools", "prompt", "instruction", "input", "output", "history", "question", "completion", "response",
    "messages", "conversations",
)  # fmt: skip
"""Columns that shapes of rows are made of."""
TURN: Final = "<|im_start|>user <|im_end|>"
"""What the chat template writes around a turn."""
TEMPLATE_TOKENS: Final = 64
"""Of the chat template and its system message."""
SHORTEST: Final = 128
LONGEST: Final = 2048
LONGEST_OF_ALL: Final = 8192
"""Tokens that the base model of a draft reads."""
FEW_LONG: Final = 0.1
"""Share of the rows up to which those that are longer than `LONGEST` are left out."""
MANY_LABELS: Final = 10
VERY_MANY_LABELS: Final = 50
MOST_ASKED: Final = 4500
"""Bytes of all labels up to which every prompt lists them: beyond, they leave the text no room."""
NO_LABELS: Final = frozenset({"n/a", "#n/a", "-", "--", "?", "null", "nan", "<na>"})
"""What stands in the place of a label where there is none."""
YES_AND_NO: Final = (
    frozenset({"yes", "no", "ja", "nein", "oui", "non", "si", "sí", "sim", "não"}),
    frozenset({"true", "false", "t", "f", "y", "n", "j", "0", "1", "0.0", "1.0"}),
)
FLAG_NAME: Final = re.compile(
    r"(?i)(?:(?P<verb>is|has|was)[_ ])?(?P<what>[^\W\d][\w -]{1,30}?)\s*\??"
)
"""The name of a column of yes and no: `urgent`, `is_spam`, `refund wanted?`."""
FLAGS: Final = (["is"], ["has"], ["was"])
NA_AT_MOST: Final = 0.1
"""Share of the rows up to which `NA`, as R writes it, is no label; of more, it may be the class of all the others."""
FEW_OF_ALL: Final = 0.02
"""Share of the rows up to which a label may be another one misspelled."""
MANY_ASKED: Final = 400
"""Bytes of all labels from which they are most of a prompt."""


def _plural(noun: str) -> str:
    """Return the plural of one of `NOUNS`."""
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


NOUNS: Final = (
    "label", "category", "class", "intent", "topic", "sentiment", "emotion", "target", "tag", "rating", "score", "kind",
    "type", "genre", "queue", "department", "reason", "component", "team", "priority", "urgency", "language",
    "severity", "mood", "tone", "status", "product", "group", "domain", "subject", "theme", "answer",
)  # fmt: skip
"""What columns of labels are often called."""
PLURALS: Final = {_plural(noun): noun for noun in NOUNS}


@dataclass(slots=True, kw_only=True)
class DraftPlan:
    """What can still change while the draft is checked, and what follows from it."""

    guess: Guess
    profile: Profile
    readings: tuple[Reading, ...]
    sizes: Sizes
    row_sizes: tuple[int, ...] = ()
    """Tokens that each row that was looked at may come to, without what is asked."""
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
        """The kind of the task."""
        return KINDS[self.guess.kind]

    @property
    def by_files(self) -> bool:
        """Whether the file says which rows are for what."""
        return any(reading.into for reading in self.readings) or bool(self.guess.split)

    def groups_first(self) -> Grouping | None:
        """Return the column by which the rows are to be divided; None where nothing is sure, or the data says it."""
        first = next(iter(self.groupings), None)
        is_free = not self.by_files and not self.kind.group
        return first if first and first.is_sure and not first.empty and is_free else None

    @property
    def by_split(self) -> Mapping[str, int]:
        """Rows of each split, where the data says it."""
        if not self.guess.split:
            return self.profile.by_split
        counts: Counter[str] = Counter()
        for mark, count in self.profile.columns[self.guess.split].values.items():
            counts[place_of(mark).split] += count
        return counts

    @property
    def column(self) -> ColumnProfile:
        """The column of the label."""
        return self.profile.columns[self.guess.label]

    def bins(self) -> tuple[tuple[str, str, float], ...]:
        """(label, min or max, bound) where the label is a scale; empty for classes."""
        is_scale = self.kind.answer is AnswerForm.LABEL and self.column.is_number
        if not is_scale or len(self.column.values) <= MANY_CLASSES:
            return ()
        numbers = sorted(float(value) for value in self.column.values.elements())
        low, high = numbers[len(numbers) // 3], numbers[-1 - len(numbers) // 3]
        names = ("negative", "positive") if numbers[0] < 0 < numbers[-1] else ("low", "high")
        if low == high:
            high = next((number for number in numbers if number > low), high)
        if _short(low) < _short(high):
            low, high = _short(low), _short(high)
        return ((names[0], "max", low), (names[1], "min", high))

    def labels(self) -> list[str]:
        """Return the labels of the task, those that are renamed left out; none for a task without."""
        if not self.kind.has_labels:
            return []
        if scale := self.bins():
            return [label for label, _, _ in scale]
        separator = self.guess.separator if self.kind.answer is AnswerForm.LABELS else ""
        renamed = self.relabelled()
        # What they are renamed to need not stand in the rows: each may have a blank before it.
        found = {renamed.get(label, label) for label in labels_of(self.column, separator)}
        return in_order(found - set(self.no_labels()))

    def no_labels(self) -> list[str]:
        """Return what stands in the place of a label where there is none, such as `N/A`."""
        if self.kind.answer is not AnswerForm.LABEL or self.bins():
            return []
        few = NA_AT_MOST * self.column.filled
        found = [
            label
            for label, rows in self.column.values.items()
            if label.strip().lower() in NO_LABELS or (label.strip() == "NA" and rows <= few)
        ]
        return found if len(self.column.values) - len(found) >= SEVERAL else []

    def misspelled(self) -> Iterator[tuple[str, int, str]]:
        """Yield each label of few rows that is nearly another one of many, its rows, and the other."""
        if self.kind.answer is not AnswerForm.LABEL or self.bins():
            return
        renamed, known = self.relabelled(), self.labels()
        counts: Counter[str] = Counter()
        for spelling, rows in self.column.values.items():
            label = renamed.get(spelling, spelling)
            counts[label] += rows if label in known and label.isalpha() else 0
        for label, rows in (+counts).items():
            if rows > FEW_OF_ALL * self.column.filled:
                continue
            others = [other for other, many in counts.items() if many >= 10 * rows]
            if near := get_close_matches(label.lower(), others, 1, cutoff=0.75):
                yield label, rows, near[0]

    def spellings(self) -> dict[str, Counter[str]]:
        """Return each label that stands there in another spelling too: how often each of them does.

        They are one label where a recipe refuses both: they differ in case, blanks or letters that look alike.
        """
        if not self.kind.has_labels or self.bins():
            return {}
        found: dict[str, Counter[str]] = {}
        for label, count in self._label_counts().items():
            found.setdefault(folded(label), Counter())[label] = count
        spelled: dict[str, Counter[str]] = {}
        for counts in found.values():
            # Without blanks at its ends first, then the commonest.
            best = max(counts, key=lambda one: (one == one.strip(), counts[one])).strip()
            if counts.keys() != {best}:
                spelled[best] = counts
        return spelled

    def _label_counts(self) -> Counter[str]:
        """How often each label stands there, as a recipe without `relabel` reads it."""
        separator = self.guess.separator
        if self.kind.answer is not AnswerForm.LABELS or not separator:
            return self.column.values
        counts: Counter[str] = Counter()
        for text, rows in self.column.values.items():
            for label in filter(None, map(str.strip, text.split(separator))):
                counts[label] += rows
        return counts

    def relabelled(self) -> dict[str, str]:
        """Spellings that a reader takes for another label."""
        return {
            one: label
            for label, counts in self.spellings().items()
            for one in counts
            if one != label
        }

    def instruction(self) -> str:
        """Return what stands before each text; empty where the rows say it themselves."""
        if self.guess.instruction:
            return self.guess.instruction
        draft, names = self.kind.draft, ", ".join(self.fields)
        if asked := self._yes_or_no(self._label_name):
            return asked
        # The system message may say them already.
        is_listed = self._listed_bytes() <= MOST_ASKED and bool(
            unnamed_labels(self.labels(), self.guess.system)
        )
        is_listed |= 0 < _bytes(names) <= MANY_ASKED
        # Not `format`: `{labels}` stays for each prompt to fill in.
        text = draft.instruction if is_listed else draft.short_instruction or draft.instruction
        return text.replace("{word}", self.word).replace("{fields}", names)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an answer that is an object."""
        guess = self.guess
        if self.kind.answer is not AnswerForm.OBJECT:
            return ()
        spans = guess.spans.names if guess.spans is not None else ()
        return tuple(spans) or tuple(name for name, _ in guess.properties) or guess.fields

    @property
    def _label_name(self) -> str:
        """What the column of the labels is called: `messages.2.content` and `tags.0` say where they are only."""
        label = self.guess.label
        return "label" if re.search(r"\.\d+(\.|$)", label) else label.rsplit(".", 1)[-1]

    @property
    def word(self) -> str:
        """What the labels are called, as a noun: a known one by itself, any other name of a column as a quotation.

        So `Which {word} is it` and `Which of these {word} apply` are English, whatever the column is called.
        """
        name, several = self._label_name, self.kind.answer is AnswerForm.LABELS
        *before, last = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", " ", name).lower().split() or [""]
        noun = last if last in NOUNS else PLURALS.get(last, "")
        if (
            noun
            and all(word.isascii() and word.isalpha() for word in before)
            and before[:1] not in FLAGS
        ):
            return " ".join([*before, _plural(noun) if several else noun])
        if not re.fullmatch(r"[^\W_][\w .#/-]{1,39}", name):
            return "labels" if several else "label"
        return f"values of `{name}`" if several else f"`{name}`"

    def _yes_or_no(self, column: str) -> str:
        """Return what a column of yes and no asks, as its name says it; empty where that says nothing."""
        found = FLAG_NAME.fullmatch(column)
        labels = {label.strip().casefold() for label in self.labels()}
        if found is None or rank(column, LABEL_NAMES) < len(LABEL_NAMES):
            return ""
        if len(labels) != SEVERAL or not any(labels <= flags for flags in YES_AND_NO):
            return ""
        # "Is it parcel", "Has it refund": what a word can stand behind is not known.
        return f"Does `{found['what'].replace('_', ' ').strip()}` apply: {{labels}}?"

    def why_instruction(self) -> str:
        """Return what is to be known of the instruction."""
        size = self._listed_bytes()
        if size > MOST_ASKED:
            return f"listing {len(self.labels())} labels would leave the text no room"
        if size > MANY_ASKED:
            tokens = round(_tokens(", ".join(self.labels())), -2)
            return f"lists all {len(self.labels())}: about {tokens:.0f} tokens a row"
        return "what the model is asked"

    def max_length(self) -> tuple[int, bool]:
        """Return the tokens that the longest row needs, as a power of two, and whether that is enough."""
        longest = max(self.row_sizes, default=0)
        # Rows are left out rather than every step made longer, as long as they are few.
        are_few = self._longer_than(LONGEST) <= FEW_LONG * len(self.row_sizes)
        length, most = SHORTEST, LONGEST if are_few else LONGEST_OF_ALL
        while self._room(length) < longest and length < most:
            length *= 2
        return length, self._room(length) >= longest

    @property
    def too_long(self) -> int:
        """Rows that may need more tokens than the draft asks for."""
        return self._longer_than(self.max_length()[0])

    def _longer_than(self, tokens: int) -> int:
        room = self._room(tokens)
        return sum(size > room for size in self.row_sizes)

    def _room(self, tokens: int) -> float:
        """Tokens that so many leave a row beside what is asked."""
        asked = self.instruction()
        labels = ", ".join(self.labels()) if "{labels}" in asked else ""
        # Of many words, those that come to more are balanced by others.
        listed = tokens_of(labels, is_english=True) / CAUTION
        return tokens - TEMPLATE_TOKENS - listed - _tokens(asked) - _tokens(self.guess.system)

    def metrics(self) -> str:
        """Return the bounds that a model must keep, as they stand in braces; empty for none."""
        metric = self.kind.draft.metric
        if not metric:
            return ""
        # A bound that a useful model might hold; a person must say what useful means.
        threshold, labels = self.kind.draft.threshold, len(self.labels())
        # The more labels there are, the harder it is to hit the one that is right.
        if self.kind.answer is AnswerForm.LABEL and labels > MANY_LABELS:
            threshold = 0.7 if labels <= VERY_MANY_LABELS else 0.6
        if is_lower_better(metric, self.kind.name):
            return f"{{{metric}: {{max: {threshold:g}}}}}"
        judges, is_macro = self.judges, metric == "macro_f1"
        spread = macro_f1(judges.portions(tuple(self.labels()))) if is_macro else ROWS
        rows = judges.independent(CONFIDENCE)
        found = f"{metric}: {{min: {shown_bound(threshold, rows=rows, spread=spread):.2f}}}"
        if self.kind.answer is AnswerForm.LABEL:
            found += f", valid_output: {{min: {shown_bound(0.95, rows=rows):.2f}}}"
        return f"{{{found}}}"

    @property
    def judges(self) -> JudgingRows:
        """The rows that judge, as they were divided; before that, as many as are asked for."""
        if self.summary and (found := JudgingRows.of(self.summary)):
            return found
        rows = self.profile.rows if self.sizes.folds else self.sizes.holdout
        return JudgingRows(rows=self.by_split.get("holdout", rows))

    def _listed_bytes(self) -> int:
        """Bytes of all labels in a prompt."""
        return _bytes(", ".join(self.labels()))


def row_sizes(guess: Guess, rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Tokens that each row may come to as the model will see it, without what is asked."""
    texts = [_texts(guess, row) for row in rows]
    is_english = are_english(one for some in texts for one in some)

    def size(row: Mapping[str, Any], some: Iterable[str]) -> float:
        whole = sum(tokens_of(one, is_english=is_english) for one in some)
        # Of two answers each is read alone.
        answers = (
            sum(tokens_of(one, is_english=is_english) for one in _texts_in(answer))
            for answer in _answers(guess, row)
        )
        return whole + max(answers, default=0)

    return tuple(round(size(row, some)) for row, some in zip(rows, texts, strict=True))


def _answers(guess: Guess, row: Mapping[str, Any]) -> list[Any]:
    if guess.pair:
        return [found_at(row, name) for name in guess.pair[1:]]
    return [row[name] for name in COMPARED if name in row] if guess.shape == "dpo" else []


def _texts_in(value: object) -> Iterator[str]:
    """Yield the texts in a value, and what the chat template writes around each turn."""
    if isinstance(value, Mapping):
        yield TURN
        for below in value.values():
            yield from _texts_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts_in(below)
    elif value is not None:
        yield str(value)


def _texts(guess: Guess, row: Mapping[str, Any]) -> list[str]:
    """Return what a model reads of a row, two answers that were compared left out."""
    if guess.pair:
        return list(_texts_in(found_at(row, guess.pair[0])))
    if guess.turns is not None:
        turns = found_at(row, guess.turns.column)
        turns_read = [
            {"content": turn.get(guess.turns.content)}
            for turn in (turns if isinstance(turns, list) else [])
            if isinstance(turn, Mapping)
        ]
        return list(_texts_in(turns_read))
    if guess.shape:
        # A pair of whole conversations holds its prompt twice.
        is_whole = isinstance(row.get(CHOSEN), list) and len(row[CHOSEN]) > 1
        names = () if is_whole else [name for name in READ if row.get(name)]
        return [text for name in names for text in _texts_in(row[name])]
    if KINDS[guess.kind].answer is AnswerForm.OBJECT:
        return [str(dict(row))]
    names = [name for name in (*guess.texts, guess.label) if name]
    return [str(found_at(row, name) or "") for name in names]


def _tokens(text: str) -> float:
    return tokens_of(text, is_english=are_english([text]))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _short(number: float) -> float:
    return float(f"{number:.3g}")
