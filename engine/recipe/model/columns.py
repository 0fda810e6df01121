"""Where in a row the label, the answer, the turns or the pair stand: `data.label` and the keys beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A numeric interval that stands for a label; both ends belong to it."""

    label: str
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSpec:
    """Where a row's label comes from."""

    column: str
    """Dotted path."""
    relabel: tuple[tuple[str, str], ...]
    """(value in the data, label); empty when values are labels already."""
    bins: tuple[Bin, ...]
    separator: str
    """Multilabel: what stands between labels in a text value; lists need none."""

    def in_order(self) -> LabelSpec:
        """Return the same with its mappings sorted: their order in the file says nothing."""
        return replace(
            self,
            relabel=tuple(sorted(self.relabel)),
            bins=tuple(sorted(self.bins, key=lambda one: one.label)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSpec:
    """Answers marked as character spans: a list of objects, each naming a field and its place."""

    column: str
    """Dotted path of the list."""
    name: str
    """In each item: the field's name."""
    start: str
    """In each item: first character, from 0; missing means 0."""
    end: str
    """In each item: one past the last character."""
    of: str
    """Column of the text that is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSpec:
    """Answers marked as BIO tags, one for each word of a text."""

    column: str
    of: str
    """Column of the words, separated by white space as the tags are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpec:
    """Where the answer of an extraction or generation row comes from: exactly one way."""

    column: str
    """Generation: the text. Extraction: a JSON object, or a text that holds one. Empty for another way."""
    references: tuple[str, ...]
    """Generation: columns of further right answers; a list counts as several."""
    fields: tuple[tuple[str, str], ...]
    """Extraction: (field of the answer, column)."""
    spans: SpanSpec | None
    tags: TagSpec | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesSpec:
    """Where the turns of a chat are, for files of no known shape."""

    column: str
    """Dotted path of the list of turns."""
    role: str
    content: str
    roles: tuple[tuple[str, str], ...]
    """(value in the data, system, user, assistant or tool)."""
    system: str
    """Column of the system message; empty for none."""
    tools: str
    """Column of the tool definitions; empty for none."""

    def in_order(self) -> MessagesSpec:
        """Return the same with its mapping sorted: its order in the file says nothing."""
        return replace(self, roles=tuple(sorted(self.roles)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec:
    """Where a preference pair is, for files of no known shape."""

    prompt: str
    chosen: str
    rejected: str
