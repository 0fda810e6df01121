"""What happened to the rows of one split while they were rendered, and what of it is a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.errors import Problem, Severity

SHOWN = 10
"""Rows named in one message."""
PLACES = (
    "too_long",
    "dropped",
    "overlong",
    "truncated",
    "marked",
    "unsupervised",
    "rewritten",
    "unwritable",
    "blocks",
)
"""The fields of `RenderStats` that are lists."""
COUNTS = (
    "given", "rows", "left_out", "left_out_marked", "cut", "tokens", "supervised_tokens",
)  # fmt: skip
"""Those that add up."""


@dataclass(slots=True, kw_only=True)
class RenderStats:
    """Filled row by row; places are `file:line`."""

    given: int = 0
    """Rows of an epoch before any was left out or cut into blocks."""
    rows: int = 0
    """Rows of an epoch that are trained."""
    left_out: int = 0
    """Rows of an epoch that are left out for their length."""
    left_out_marked: int = 0
    """Rows of an epoch that are left out for a marker of the template."""
    cut: int = 0
    """Rows of an epoch that are trained without the end of their text, or without their last turns."""
    tokens: int = 0
    supervised_tokens: int = 0
    longest: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    """Rows by their tokens."""
    too_long: list[tuple[int, str]] = field(default_factory=list)
    """Tokens and place of each row over the limit that was neither cut nor dropped."""
    dropped: list[str] = field(default_factory=list)
    """Left out: over the limit, or with a marker of the template."""
    overlong: list[str] = field(default_factory=list)
    """Those of `dropped` that are over the limit."""
    truncated: list[str] = field(default_factory=list)
    marked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Place and markers of each text that holds tokens of the chat template."""
    unsupervised: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    """Chats of which only the last learned turn is trained."""
    unwritable: list[tuple[str, str]] = field(default_factory=list)
    """Place and what the template leaves out."""
    blocks: list[str] = field(default_factory=list)
    """Documents that were cut into several rows."""

    def problems(self, *, max_length: int, template_tokens: str) -> list[Problem]:
        """Return every reason why these rows cannot be trained on: D390 to D392, D394, D414."""
        marked = self._marked(template_tokens)
        return [*marked, *self._too_long(max_length), *self._unsupervised(), *self._unwritable()]

    def notes(self, template_tokens: str, *, max_length: int) -> list[Problem]:
        """Return the warnings about rows that can be trained on: D393, D410, D411, and D392 with `warn`."""
        warnings = list(self._lengths(max_length))
        if self.marked and template_tokens == "warn":
            first, markers = self.marked[0]
            warnings.append(
                _warning(
                    "D392",
                    f"{len(self.marked)} texts hold tokens of the chat template,"
                    f" first {first} (`{'`, `'.join(markers)}`)",
                )
            )
        if self.rewritten:
            warnings.append(
                _warning(
                    "D393",
                    f"{len(self.rewritten)} chats are trained on their last answer only, since the"
                    f" chat template rewrites earlier turns: {_listed(self.rewritten)}",
                )
            )
        return warnings

    def _lengths(self, max_length: int) -> Iterator[Problem]:
        """Yield how many rows are left out or cut."""
        longer = f"longer than {max_length} tokens"
        if self.left_out:
            rows = "row is" if self.left_out == 1 else "rows are"
            message = f"{self.left_out} of {self.given} {rows} left out, {longer}"
            yield _warning("D410", f"{message}: {_listed(self.overlong)}")
        if self.left_out_marked:
            rows = "row is" if self.left_out_marked == 1 else "rows are"
            message = f"{self.left_out_marked} of {self.given} {rows} left out"
            yield _warning("D410", f"{message}, with tokens of the chat template")
        if self.cut:
            rows = "row is" if self.cut == 1 else "rows are"
            message = f"{self.cut} of {self.given} {rows} cut, {longer}"
            yield _warning("D411", f"{message}: {_listed(self.truncated)}")

    def nothing_left(self, split: str) -> list[Problem]:
        """Return D414 when every row of a split was left out."""
        if self.rows or not (self.left_out or self.left_out_marked):
            return []
        return [
            Problem(
                code="D414",
                message=f"all {self.given} rows of {split} are left out, {self.left_out} of them for their length",
                path="data.checks.truncation" if self.left_out else "data.checks.template_tokens",
                hint="raise method.max_length, or say data.checks.truncation: warn",
            )
        ]

    def _marked(self, action: str) -> list[Problem]:
        """Texts with markers could end their turn and speak as the assistant."""
        ours = action not in ("drop", "warn", "off")
        found = [item for item in self.marked if ours or (_is_key(item[0]) and action == "drop")]
        problems = [
            Problem(
                code="D392",
                message=f"{place}: the text holds `{'`, `'.join(markers)}`, "
                "which the model's chat template uses to mark turns",
                path=place if place.startswith("task.") else "data",
                hint="write the marker differently in the data, or `data.checks.template_tokens: drop`",
            )
            for place, markers in found[:SHOWN]
        ]
        if len(found) > SHOWN:
            more = f"{len(found) - SHOWN} more rows like these"
            problems.append(Problem(code="D392", message=more, path="data"))
        return problems

    def _too_long(self, max_length: int) -> list[Problem]:
        if not self.too_long:
            return []
        worst = sorted(self.too_long, key=lambda row: (-row[0], row[1]))
        listed = _listed([f"{place} ({tokens})" for tokens, place in worst])
        rows = "1 row is" if len(worst) == 1 else f"{len(worst)} rows are"
        return [
            Problem(
                code="D390",
                message=f"{rows} longer than {max_length} tokens: {listed}",
                path="method.max_length",
                hint=f"set max_length: {worst[0][0]}, or data.checks.truncation: drop",
            )
        ]

    def _unsupervised(self) -> list[Problem]:
        if not self.unsupervised:
            return []
        return [
            Problem(
                code="D391",
                message=f"{len(self.unsupervised)} rows have no token to learn from, or none that"
                f" ends the answer, first {self.unsupervised[0]}",
                path="task",
                hint="give every row an answer, and use a base model whose chat template ends its"
                " turns",
            )
        ]

    def _unwritable(self) -> list[Problem]:
        if not self.unwritable:
            return []
        listed = _listed([f"{place} ({what})" for place, what in self.unwritable])
        return [
            Problem(
                code="D394",
                message=f"the base model's chat template does not write {len(self.unwritable)}"
                f" rows as they are: {listed}",
                path="base_model",
                hint="use a base model whose chat template takes them, or leave these rows out",
            )
        ]


def together(ledgers: Iterable[RenderStats]) -> RenderStats:
    """Return what happened in several splits together, so that each problem is reported once."""
    whole = RenderStats()
    for one in ledgers:
        for name in COUNTS:
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        whole.longest = max(whole.longest, one.longest)
        whole.lengths += one.lengths
        for name in PLACES:
            getattr(whole, name).extend(getattr(one, name))
    # The recipe's own texts are in every split.
    whole.marked = list(dict.fromkeys(whole.marked))
    return whole


def _is_key(place: str) -> bool:
    """The text is the recipe's own, so that no row can be left out for it."""
    return place.startswith(("task.", "label "))


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


def _warning(code: str, message: str) -> Problem:
    return Problem(code=code, message=message, path="data", severity=Severity.WARNING)
