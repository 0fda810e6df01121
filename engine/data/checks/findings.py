"""What the checks found: ten examples for people, every row in a file, problems where a check fails."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from engine.data.reading.row import excerpt
from engine.data.row_index import Pool, close_quietly
from engine.data.splitting.recorded import RecordedSplits
from engine.errors import Problem
from engine.evidence import DataFinding
from engine.recipe.model import Data, Splits, Task
from engine.values import Value, replace

Step = Callable[[str, int], None]


@dataclass(slots=True)
class Preparation:
    """The parts of a recipe that say how rows become examples, and what is known of the rows so far."""

    task: Task
    data: Data
    splits: Splits
    _: KW_ONLY
    scratch: Path | None
    """The folder for temporary files."""
    step: Step
    held: RecordedSplits | None = None
    """The recorded holdout, which keeps its rows."""
    thorough: bool = True
    """Without it, slow checks that move no row are left out."""
    pool: Pool = field(init=False)
    findings: Findings = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(self.scratch, is_by_place=self.splits.by == "files_order")
        self.findings = Findings(self.scratch)

    def report(
        self,
        check: str,
        count: int,
        *,
        message: str,
        examples: Iterable[Shown] | ByRow = (),
        reason: str = "",
        rows: Iterable[int] = (),
    ) -> None:
        """Keep a finding unless its check is off; where it says `drop`, leave its rows out for that reason."""
        action = getattr(self.data.checks, check)
        if action == "off":
            return
        self.findings.report(check, action, count, message=message, examples=examples)
        if action == "drop":
            self.findings.drop(reason, self.pool.leave_out(rows))


PLACES: Final = 10
SHOWN: Final = 5
CODES: Final = {
    "empty": "D304",
    "unknown_labels": "D305",
    "duplicates": "D306",
    "conflicting_labels": "D307",
    "imbalance": "D308",
    "missing_classes": "D309",
    "leakage": "D310",
    "schema_violations": "D314",
    "near_duplicates": "D315",
    "label_errors": "D316",
    "personal_data": "D370",
    "control_characters": "D371",
    "mojibake": "D372",
    "languages": "D373",
    "template_tokens": "D374",
    "label_in_input": "D375",
    "output_format": "D376",
}
"""The code of the problem where a check says `fail`."""
NEVER_DROPPED: Final = frozenset({"imbalance", "missing_classes"})
BETTER: Final = {
    "imbalance": "add rows of the small classes",
    "unknown_labels": "correct the rows, or map the values under data.label.relabel",
    "missing_classes": "add rows of that label, or take it out of task.labels",
}
"""What to do first, where it is more than correcting the rows that are named."""
FILE: Final = "findings.jsonl"


class Quote(Value, kw_only=False):
    """A row that an example shows. Of a holdout row, the summary names only the place.

    The summary lies beside the training rows, and nothing of the holdout may stand there.
    """

    row: int
    origin: str
    text: str
    """What follows the place: the start of the row, or what is wrong with it."""

    def shown_to(self, hidden: Container[int]) -> str:
        """Return the place and the text, or the place alone where the row is hidden."""
        return f"{self.origin} (holdout)" if self.row in hidden else f"{self.origin} {self.text}"


class ByRow(Value):
    """A finding of rows that is shown once it is known which split each is in: those of a split first."""

    rows: Sequence[int]
    show: Callable[[int], Shown]
    """What an example says of a row."""


Shown = str | Quote | tuple[str | Quote, ...]


@dataclass(slots=True)
class Rejects:
    """Rows of one kind of trouble: how many, and the first places."""

    count: int = 0
    places: list[Shown] = field(default_factory=list)

    def add(self, place: Shown) -> None:
        self.count += 1
        if len(self.places) < PLACES:
            self.places.append(place)


class Findings:
    """What was found so far; every row of it is written to a file, which memory does not hold."""

    def __init__(self, scratch: Path | None = None) -> None:
        self._entries: list[tuple[DataFinding, tuple[Shown, ...] | ByRow]] = []
        self.problems: list[Problem] = []
        self.dropped: Counter[str] = Counter()
        self._log = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - as long as `self`
        self.close = weakref.finalize(self, close_quietly, self._log)

    def row(self, check: str, origin: str, **facts: object) -> None:
        """Write one row of a finding: where it stands, and what the check says of it."""
        # As ASCII: escapes can hold an unpaired surrogate of a row, UTF-8 cannot.
        line = json.dumps({"check": check, "row": origin, **facts})
        self._log.write(f"{line}\n".encode("ascii"))

    def report(
        self,
        check: str,
        action: str,
        count: int,
        *,
        message: str,
        examples: Iterable[Shown] | ByRow = (),
    ) -> None:
        """Keep a finding, and its problem when the check says `fail`."""
        finding = DataFinding(check=check, action=action, count=count, message=message)
        if isinstance(examples, ByRow):
            shown = tuple(map(examples.show, examples.rows[:PLACES]))
            self._entries.append((finding, examples))
        else:
            shown = tuple(islice(examples, PLACES))
            self._entries.append((finding, shown))
        if action == "fail":
            self.problems.append(refusal(_with_examples(finding, shown, ())))

    def refuse(self, code: str, message: str, path: str, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, path=path, hint=hint))

    def found(
        self, hidden: Container[int] = (), split_of: Callable[[int], str] = lambda _: ""
    ) -> tuple[DataFinding, ...]:
        """Return every finding; rows in `hidden` are named but not quoted.

        `split_of` names the split of a row, and `` for a row of none; findings by row say how many are in each.
        """
        return tuple(
            _by_split(finding, shown, hidden, split_of)
            if isinstance(shown, ByRow)
            else _with_examples(finding, shown, hidden)
            for finding, shown in self._entries
        )

    def drop(self, reason: str, rows: int) -> None:
        if rows:
            self.dropped[reason] += rows

    def take_back(self, reason: str, rows: int) -> None:
        """Count rows no longer as left out for that reason: they are used after all."""
        self.dropped[reason] -= rows
        self.dropped += Counter()  # without what is 0 now

    @property
    def has_rows(self) -> bool:
        return self._log.tell() > 0

    def copy_rows(self, path: Path) -> None:
        """Write every row of every finding to `path`, one JSON object a line."""
        self._log.seek(0)
        with path.open("wb") as stream:
            shutil.copyfileobj(self._log, stream)
        # Back to the end: further rows are appended, and `has_rows` asks for the position.
        self._log.seek(0, 2)


def refusal(finding: DataFinding) -> Problem:
    shown = "; ".join(finding.examples[:SHOWN])
    more = "; …" if len(finding.examples) > SHOWN else ""
    softer = "warn" if finding.check in NEVER_DROPPED else "drop"
    better = BETTER.get(finding.check, "correct the rows")
    return Problem(
        code=CODES[finding.check],
        message=f"{finding.message}: {shown}{more}" if shown else finding.message,
        path=f"data.checks.{finding.check}",
        hint=f"{better}, or write `{finding.check}: {softer}`",
    )


SPLITS: Final = ("train", "validation", "holdout")
UNUSED: Final = "no split"


def _by_split(
    finding: DataFinding, found: ByRow, hidden: Container[int], split_of: Callable[[int], str]
) -> DataFinding:
    """Return a finding that says which splits its rows are in, with examples of rows that are in one first."""
    splits = [split_of(row) or UNUSED for row in found.rows]
    counts = Counter(splits)
    if not counts.keys() & set(SPLITS):  # nothing was divided
        return _with_examples(finding, map(found.show, found.rows[:PLACES]), hidden)
    shares = ", ".join(f"{counts[name]:,} in {name}" for name in (*SPLITS, UNUSED) if counts[name])
    ordered = sorted(range(len(splits)), key=lambda at: splits[at] == UNUSED)[:PLACES]
    shown = [(written(found.show(found.rows[at]), hidden), splits[at]) for at in ordered]
    examples = tuple(
        # The place of a hidden row says its split already.
        text if split == "holdout" and "(holdout)" in text else f"{text} ({split})"
        for text, split in shown
    )
    return replace(finding, message=f"{finding.message}: {shares}", examples=examples)


def drop_reason(check: str) -> str:
    return check.replace("_", " ").removesuffix("s")


def quote(pool: Pool, row: int) -> Quote:
    target = f" ({excerpt(answer)})" if (answer := pool.target[row]) else ""
    return Quote(row, pool.origin[row], f"`{excerpt(pool.input[row])}`{target}")


def _with_examples(
    finding: DataFinding, shown: Iterable[Shown], hidden: Container[int]
) -> DataFinding:
    return replace(finding, examples=tuple(written(one, hidden) for one in shown))


def written(shown: Shown, hidden: Container[int] = ()) -> str:
    if isinstance(shown, str):
        return shown
    parts = (shown,) if isinstance(shown, Quote) else shown
    return "".join(part if isinstance(part, str) else part.shown_to(hidden) for part in parts)
