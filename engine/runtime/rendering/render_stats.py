"""Counts of the rows of one split while they were rendered, and the problems among them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from engine.errors import Problem, Severity
from engine.runtime.rendering.key import LengthLimits
from engine.runtime.rendering.windows import rows_are
from engine.values import Value

SHOWN = 10


_REMEDIES: Final = {
    "": "write the marker differently in the data, or `data.checks.template_tokens: drop`",
    "task.labels": "rename the label, and lead the data's value to it by `data.label.relabel`",
}
"""Fixes for a text with tokens of the chat template, by the key of the recipe that has it; no key for a row's."""


class MarkedText(Value):
    """A text that holds tokens of the chat template."""

    place: str
    markers: tuple[str, ...]
    key: str = ""
    """The key of the recipe that says it; empty for a row's."""


@dataclass(slots=True, kw_only=True)
class RenderStats:
    """Filled row by row; places are `file:line`. Every field is a sum over rows."""

    given: int = 0
    """Rows of an epoch before any was left out or cut into blocks."""
    left_out: int = 0
    """Rows of an epoch that are left out for their length."""
    left_out_marked: int = 0
    """Rows of an epoch that are left out for a marker of the template."""
    cut: int = 0
    """Rows of an epoch that are trained without the end of their text, or without their last turns."""
    supervised_tokens: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    """Rows of an epoch that are trained, by their tokens."""
    too_long: list[tuple[int, str]] = field(default_factory=list)
    """Tokens and place of each row over the limit that was neither cut nor dropped."""
    dropped: list[str] = field(default_factory=list)
    """Left out: over the limit, or with a marker of the template."""
    overlong: list[str] = field(default_factory=list)
    """The rows of `dropped` that are over the limit."""
    truncated: list[str] = field(default_factory=list)
    marked: list[MarkedText] = field(default_factory=list)
    unsupervised: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    """Chats of which only the last learned turn is trained."""
    unwritable: list[tuple[str, str]] = field(default_factory=list)
    """Place and what the template leaves out."""
    blocks: list[str] = field(default_factory=list)
    documents: int = 0
    """Documents, or blocks of long ones, that were packed into rows; 0 where none were."""
    replayed: int = 0
    replayed_tokens: int = 0
    misread: list[tuple[str, str]] = field(default_factory=list)
    """Place and reason of each preference that trainers would read otherwise than we do."""
    unfit: list[str] = field(default_factory=list)
    """Pairs where the loss learns from single answers, or the other way round."""
    thumbs: Counter[bool] = field(default_factory=Counter)
    """Single answers that are wanted, and that are not."""

    @property
    def rows(self) -> int:
        return self.lengths.total()

    @property
    def tokens(self) -> int:
        """Tokens of these rows together."""
        return sum(tokens * rows for tokens, rows in self.lengths.items())

    @property
    def longest(self) -> int:
        """Tokens of the longest of these rows; 0 for none."""
        return max(self.lengths, default=0)

    def problems(self, limits: LengthLimits) -> Iterator[Problem]:
        """Yield every reason why these rows cannot be trained on: D390 to D392, D394, D426, D427."""
        action, loss = limits.template_tokens, limits.loss
        ours = action not in ("drop", "warn", "off")
        # No row can be left out for a text of the recipe's own.
        found = [one for one in self.marked if ours or (one.key and action == "drop")]
        for one in found[:SHOWN]:
            yield Problem(
                code="D392",
                message=f"{one.place}: the text holds `{'`, `'.join(one.markers)}`, "
                "which the model's chat template uses to mark turns",
                path=one.key or "data",
                hint=_REMEDIES.get(one.key, "write the marker differently in the recipe"),
            )
        if len(found) > SHOWN:
            more = f"{len(found) - SHOWN} more rows like these"
            yield Problem(code="D392", message=more, path="data")
        if self.too_long:
            worst = sorted(self.too_long, key=lambda row: (-row[0], row[1]))
            listed = _listed([f"{place} ({tokens})" for tokens, place in worst])
            message = f"{rows_are(len(worst))} longer than {limits.max_length} tokens: {listed}"
            hint = f"set max_length: {worst[0][0]}, or data.checks.truncation: drop"
            yield Problem(code="D390", message=message, path="method.max_length", hint=hint)
        if self.unsupervised:
            yield Problem(
                code="D391",
                message=f"{len(self.unsupervised)} rows have no token to learn from, or none that"
                f" ends the answer, first {self.unsupervised[0]}",
                path="task",
                hint="give every row an answer, and use a base model whose chat template ends its turns",
            )
        if self.unwritable:
            listed = _listed([f"{place} ({what})" for place, what in self.unwritable])
            yield Problem(
                code="D394",
                message=f"the base model's chat template does not write {len(self.unwritable)}"
                f" rows as they are: {listed}",
                path="base_model",
                hint="use a base model whose chat template takes them, or leave these rows out",
            )
        if self.unfit:
            single = loss == "kto"
            kinds, wanted = ("pairs", "single answers") if single else ("single answers", "pairs")
            yield Problem(
                code="D427",
                message=f"{rows_are(len(self.unfit))} {kinds}, and {loss} learns from {wanted}:"
                f" {_listed(self.unfit)}",
                path="method.preference.loss",
                hint=f"write `preference: {{loss: {'dpo' if single else 'kto'}}}` under method",
            )
        if self.misread:
            listed = _listed([f"{place} ({why})" for place, why in self.misread])
            message = f"{rows_are(len(self.misread))} read otherwise by the trainer: {listed}"
            hint = "leave these rows out, or use another base model"
            yield Problem(code="D426", message=message, path="base_model", hint=hint)

    def notes(self, limits: LengthLimits) -> Iterator[Problem]:
        """Yield the warnings about rows that can be trained on: D393, D410, D411, and D392 with `warn`."""
        longer = f"longer than {limits.max_length} tokens"
        for code, rows, what in (
            ("D410", self.left_out, f"left out, {longer}: {_listed(self.overlong)}"),
            ("D410", self.left_out_marked, "left out, with tokens of the chat template"),
            ("D411", self.cut, f"cut, {longer}: {_listed(self.truncated)}"),
        ):
            if rows:
                noun, are = ("row" if self.given == 1 else "rows"), ("is" if rows == 1 else "are")
                yield _warning(code, f"{rows} of {self.given} {noun} {are} {what}")
        if self.marked and limits.template_tokens == "warn":
            first = self.marked[0]
            yield _warning(
                "D392",
                f"{len(self.marked)} texts hold tokens of the chat template,"
                f" first {first.place} (`{'`, `'.join(first.markers)}`)",
            )
        if self.rewritten:
            yield _warning(
                "D393",
                f"{len(self.rewritten)} chats are trained on their last answer only, since the"
                f" chat template rewrites earlier turns: {_listed(self.rewritten)}",
            )

    def nothing_left(self, split: str) -> Iterator[Problem]:
        """Yield D414 when every row of a split was left out."""
        if not self.rows and (self.left_out or self.left_out_marked):
            yield Problem(
                code="D414",
                message=f"all {self.given} rows of {split} are left out, {self.left_out} of them for their length",
                path="data.checks.truncation" if self.left_out else "data.checks.template_tokens",
                hint="raise method.max_length, or say data.checks.truncation: warn"
                if self.left_out
                else "write the markers differently in the data",
            )

    def one_thumb(self) -> Iterator[Problem]:
        """Yield D428 when single answers are all wanted, or all unwanted."""
        if len(self.thumbs) == 1:
            what = f"all {self.thumbs.total()} training answers have the same thumb"
            hint = "kto learns from answers with a thumb up beside others with a thumb down"
            yield Problem(code="D428", message=what, path="data", hint=hint)


def together(ledgers: Iterable[RenderStats]) -> RenderStats:
    """Return what happened in several splits together, so that each problem is reported once."""
    whole = RenderStats()
    for one in ledgers:
        for name in (each.name for each in fields(RenderStats)):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
    # The recipe's own texts are in every split.
    whole.marked = list(dict.fromkeys(whole.marked))
    return whole


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


def _warning(code: str, message: str) -> Problem:
    return Problem(code=code, message=message, path="data", severity=Severity.WARNING)
