"""Rows into candidates: labelled texts that may become examples, and what kept the other rows out.

Holds the text of every candidate but nothing else of a row. With a sample, only the rows that can
still be drawn are kept once there are many, so that memory stays bounded for files of any size.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.data.example import content_key
from engine.data.label import NoBinError, NoNumberError, label_of, near_label
from engine.data.row import SHOWN, Row, excerpt
from engine.data.template import MissingColumnError, Template, UnusableValueError, parse_template
from engine.errors import Problem
from engine.evidence import DataFinding
from engine.recipe.model import CheckAction, Data, Task

PLACES = 10
"""Rows named in a finding."""
KEPT_PER_SAMPLED = 20
KEPT_AT_LEAST = 200_000
"""Distinct candidates that the checks see when a sample is drawn from a larger file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A labelled text."""

    origin: str
    input: str
    target: str
    key: bytes
    """sha256 of the normalised text: equal for texts that count as the same."""


@dataclass(slots=True)
class Rejects:
    """Rows of one kind of trouble: how many, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """Count a row."""
        self.count += 1
        if len(self.places) < PLACES:
            self.places.append(place)


@dataclass(slots=True)
class Gathered:
    """What became of the rows."""

    candidates: list[Candidate] = field(default_factory=list)
    rows_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    """Without a choice: a column that is missing, a number that is none."""
    findings: list[DataFinding] = field(default_factory=list)


def draw(purpose: str, seed: int, key: bytes) -> bytes:
    """Return the rank of a text in a seeded order that depends on its content alone."""
    return hashlib.sha256(f"{purpose}:{seed}:".encode() + key).digest()


def gather(rows: Iterable[Row], task: Task, data: Data) -> Gathered:
    """Label every row and fill the template; what cannot be used is counted, told, and left out."""
    gatherer = _Gatherer(task, data)
    for row in rows:
        gatherer.add(row)
    return gatherer.finish()


class _Gatherer:
    """The state of one pass over the rows."""

    def __init__(self, task: Task, data: Data) -> None:
        self._template: Template = parse_template(task.input)
        self._task = task
        self._data = data
        self._labels = frozenset(task.labels)
        self._got = Gathered()
        self._empty = Rejects()
        self._unlabelled = Rejects()
        self._unknown: dict[str, Rejects] = {}
        self._missing: dict[tuple[str, str], Rejects] = {}
        self._columns: list[str] = []
        self._unlabellable = Rejects()
        self._unfillable = Rejects()
        sample = data.sample
        self._most = max(KEPT_PER_SAMPLED * sample.rows, KEPT_AT_LEAST) if sample else None

    def add(self, row: Row) -> None:
        """Turn a row into a candidate, or count why it is none."""
        self._got.rows_read += 1
        if not self._columns:
            self._columns = list(row.values)
        label = self._label(row)
        filled = self._fill(row)
        if label is not None and filled is not None:
            text, lacks = filled
            self._add_labelled(row.origin, text, label, lacks=lacks)

    def _label(self, row: Row) -> str | None:
        try:
            return label_of(row.values, self._data.label)
        except NoBinError:
            self._got.dropped["no bin"] += 1
        except NoNumberError as error:
            self._unlabellable.add(f"{row.origin} `{excerpt(str(error))}` is not a number")
        except MissingColumnError as error:
            self._missing.setdefault(("data.label.column", str(error)), Rejects()).add(row.origin)
        except UnusableValueError as error:
            self._unlabellable.add(f"{row.origin} {error}")
        return None

    def _fill(self, row: Row) -> tuple[str, bool] | None:
        try:
            return self._template.fill(row.values)
        except MissingColumnError as error:
            self._missing.setdefault(("task.input", str(error)), Rejects()).add(row.origin)
        except UnusableValueError as error:
            self._unfillable.add(f"{row.origin} {error}")
        return None

    def _add_labelled(self, origin: str, text: str, label: str, *, lacks: bool) -> None:
        if not label:
            self._unlabelled.add(f"{origin} `{excerpt(text)}`")
            return
        if label not in self._labels:
            self._unknown.setdefault(label, Rejects()).add(origin)
            return
        action = self._data.checks.empty
        if lacks and action != "off":
            self._empty.add(origin)
            if action != "warn":
                return
        key = content_key(text)
        self._got.candidates.append(Candidate(origin=origin, input=text, target=label, key=key))
        if self._most is not None and len(self._got.candidates) >= 2 * self._most:
            self._forget(self._most)

    def _forget(self, kept: int) -> None:
        """Keep the candidates that a sample draws first; equal texts stay together."""
        seed = self._data.sample.seed if self._data.sample else 0
        ranked = sorted(self._got.candidates, key=lambda item: draw("sample", seed, item.key))
        last = ranked[kept - 1].key
        while kept < len(ranked) and ranked[kept].key == last:
            kept += 1
        self._got.dropped["not sampled"] += len(ranked) - kept
        self._got.candidates = ranked[:kept]

    def finish(self) -> Gathered:
        """Return everything, findings and problems included."""
        if self._most is not None and len(self._got.candidates) > self._most:
            self._forget(self._most)
        self._tell_missing()
        self._tell_values()
        self._tell_empty()
        self._tell_unknown()
        return self._got

    def _tell_missing(self) -> None:
        for (path, column), rejects in self._missing.items():
            near = difflib.get_close_matches(column, self._columns, n=1)
            columns = ", ".join(f"`{excerpt(name)}`" for name in self._columns[:SHOWN])
            message = (
                f"column `{column}` is missing in {rejects.count:,} of"
                f" {self._got.rows_read:,} rows (first {rejects.places[0]}); columns are {columns}"
            )
            hint = f"did you mean `{near[0]}`?" if near else None
            self._got.problems.append(Problem(code="D301", message=message, path=path, hint=hint))

    def _tell_values(self) -> None:
        for code, path, rejects in (
            ("D303", "data.label", self._unlabellable),
            ("D302", "task.input", self._unfillable),
        ):
            if rejects.count:
                places = "; ".join(rejects.places)
                message = f"{rejects.count:,} rows cannot be used: {places}"
                self._got.problems.append(Problem(code=code, message=message, path=path))

    def _tell_empty(self) -> None:
        action = self._data.checks.empty
        texts, labels = self._empty, self._unlabelled
        self._count("empty", texts.count if action == "drop" else 0)
        self._count("empty label", labels.count)
        if action == "off" or not texts.count + labels.count:
            return
        message = f"{texts.count:,} rows have an empty text, {labels.count:,} an empty label"
        places = tuple((texts.places + labels.places)[:PLACES])
        self._find("empty", action, texts.count + labels.count, message=message, places=places)

    def _tell_unknown(self) -> None:
        action = self._data.checks.unknown_labels
        total = sum(rejects.count for rejects in self._unknown.values())
        self._count("unknown label", total)
        if action == "off" or not total:
            return
        shown = sorted(self._unknown.items(), key=lambda item: (-item[1].count, item[0]))[:PLACES]
        told = tuple(self._told_unknown(value, rejects) for value, rejects in shown)
        message = f"{total:,} rows have a label that is not one of the task's"
        self._find("unknown_labels", action, total, message=message, places=told)

    def _told_unknown(self, value: str, rejects: Rejects) -> str:
        near = near_label(value, self._task.labels)
        guess = f", did you mean `{near}`?" if near else ""
        return f"`{excerpt(value)}` in {rejects.count:,} rows, first {rejects.places[0]}{guess}"

    def _count(self, reason: str, count: int) -> None:
        if count:
            self._got.dropped[reason] += count

    def _find(
        self, check: str, action: CheckAction, count: int, *, message: str, places: tuple[str, ...]
    ) -> None:
        self._got.findings.append(
            DataFinding(check=check, action=action, count=count, message=message, examples=places)
        )


def place(candidate: Candidate) -> str:
    """Return where a candidate stands, with its start and its label."""
    return f"{candidate.origin} `{excerpt(candidate.input)}` ({candidate.target})"
