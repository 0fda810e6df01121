"""Rows that a model has written: which of them may be trained on, each that may not with the reason."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from engine.data.checks import all_rows
from engine.data.checks.findings import Preparation, Step
from engine.data.checks.rows.languages import is_surely_other, main_language
from engine.data.examples.candidates import RowCollector
from engine.data.examples.example import Example, normalised
from engine.data.examples.template import Template, parse_template
from engine.data.reading.row import Row
from engine.data.similarity.near import leaks
from engine.data.similarity.overlap import TooNear
from engine.data.unlabelled import read_without_answers, unanswered, without_answers
from engine.errors import Place, Problem, StageError
from engine.evidence import Diversity
from engine.files.reading import open_regular, parse_json
from engine.recipe.model import Recipe
from engine.values import Value, fields, replace

RUN: Final = 4
COMPARED: Final = 300
WORD: Final = re.compile(r"\w+")


def diversity(synthetic: Sequence[Example], train: Sequence[Example]) -> Diversity | None:
    count = min(len(synthetic), len(train), COMPARED)
    if not count:
        return None
    both = [
        [WORD.findall(normalised(row.input)) for row in _drawn(rows, count)]
        for rows in (synthetic, train)
    ]
    distinct, nearest = [_distinct(rows) for rows in both], [_nearest(rows) for rows in both]
    return Diversity(
        rows=count,
        distinct=distinct[0],
        real_distinct=distinct[1],
        nearest=nearest[0],
        real_nearest=nearest[1],
    )


def _drawn(rows: Sequence[Example], count: int) -> list[Example]:
    return sorted(rows, key=lambda row: sha256(f"compared:{row.id}".encode()).digest())[:count]


def _distinct(rows: Sequence[Sequence[str]]) -> float | None:
    runs = [tuple(row[at : at + RUN]) for row in rows for at in range(len(row) - RUN + 1)]
    return round(len(set(runs)) / len(runs), 6) if runs else None


def _nearest(rows: Sequence[Sequence[str]]) -> float | None:
    sets = [frozenset(row) for row in rows]
    if len(sets) < 2:  # one row has no other
        return None
    best = [0.0] * len(sets)
    for first, one in enumerate(sets):
        for second in range(first + 1, len(sets)):
            every = len(one | sets[second])
            share = len(one & sets[second]) / every if every else 1.0
            best[first], best[second] = max(best[first], share), max(best[second], share)
    return round(sum(best) / len(best), 6)


ORIGIN: Final = "synthetic"
LENGTH: Final = "longer or shorter than training rows"
LANGUAGE: Final = "another language"
EMPTY: Final = "a column without a value"
CHECKED: Final = "cannot be used"
COPY: Final = "a training row already"
NEAR_TRAIN: Final = "near a training row"
DUPLICATE: Final = "near another synthetic row"
NEAR: Final = "too near a row that judges"
PERCENTILE: Final = 0.01
"""Of the lengths of training rows, on each side, that say how short or long a row may be."""
MARGIN: Final = 1.25
"""Rows may be so many times longer or shorter than that: of few training rows the ends are known badly."""


class WrittenRow(Value):
    number: int
    values: Mapping[str, str]


class TrainingShape(Value):
    template: Template
    shortest: int
    longest: int
    language: str
    """ISO 639; empty where it does not show, or is not checked."""

    @classmethod
    def of(cls, recipe: Recipe, train: Sequence[Example]) -> TrainingShape:
        lengths = sorted(len(row.input) for row in train)
        edge = math.floor(PERCENTILE * len(lengths))
        looks = recipe.data.checks.languages != "off"
        return cls(
            template=parse_template(recipe.task.input),
            shortest=math.floor(lengths[edge] / MARGIN),
            longest=math.ceil(lengths[len(lengths) - 1 - edge] * MARGIN),
            language=main_language(row.input for row in train) if looks else "",
        )

    def text(self, row: WrittenRow) -> str:
        return self.template.fill(row.values)[0]

    def fault(self, row: WrittenRow) -> str:
        text, lacks = self.template.fill(row.values)
        if lacks:
            return EMPTY
        if not self.shortest <= len(text) <= self.longest:
            return LENGTH
        return LANGUAGE if is_surely_other(text, self.language) else ""


class SiftedRows(Value):
    rows: Mapping[int, Example]
    refused: Mapping[int, str] = {}


def sifted(
    rows: Iterable[WrittenRow],
    recipe: Recipe,
    *,
    train: Sequence[Example],
    too_near: TooNear,
    scratch: Path | None = None,
    step: Step = lambda _, __: None,
) -> SiftedRows:
    """Return the rows that stand apart from each other, from training rows, and from rows that judge."""
    work = _preparation(recipe, scratch=scratch, step=step)
    pool, collector = work.pool, RowCollector(work)
    refused, numbers = dict[int, str](), list[int]()

    def note(reason: str) -> None:
        """Write down the reason for all that was left out since the last time."""
        for at, number in enumerate(numbers):
            if not pool.alive[at]:
                refused.setdefault(number, reason)

    for row in rows:
        dropped = work.findings.dropped.copy()
        if collector.add(Row(origin=f"{ORIGIN}:{row.number}", values=row.values)):
            numbers.append(row.number)
        else:
            refused[row.number] = next(iter(work.findings.dropped - dropped), CHECKED)
    collector.finish()
    pool.arrange()
    step("looking for copies", len(pool))
    all_rows.check_duplicates(work)
    note(DUPLICATE)
    living = ((at, pool.input[at]) for at in list(pool.living()))
    exact: dict[int, bool] = {}
    for match in leaks([row.input for row in train], living):
        exact[match.other] = exact.get(match.other, False) or match.exact
    for is_copy, reason in ((True, COPY), (False, NEAR_TRAIN)):
        pool.leave_out([at for at, same in exact.items() if same is is_copy])
        note(reason)
    all_rows.check_near_duplicates(work)
    note(DUPLICATE)
    step("asking whether rows are too near", len(pool))
    left = list(pool.living())
    answers = too_near([pool.input[at] for at in left])
    pool.leave_out([at for at, is_near in zip(left, answers, strict=True) if is_near])
    note(NEAR)
    kept = sorted((numbers[at], at) for at in pool.living())
    examples = {number: unanswered(work, at) for number, at in kept}
    return SiftedRows(rows=examples, refused=dict(sorted(refused.items())))


def _preparation(recipe: Recipe, *, scratch: Path | None, step: Step) -> Preparation:
    data = read_without_answers(recipe.data, recipe.data.sources)
    actions: dict[str, Any] = {
        one.name: "drop"
        for one in fields(data.checks)
        # a row that nobody wrote by hand is left out and does not end the run
        if getattr(data.checks, one.name) == "fail"
    }
    # one language of its own is no odd one: rows are compared with the training rows before
    actions |= {"duplicates": "drop", "near_duplicates": "drop", "languages": "off"}
    return Preparation(
        without_answers(recipe.task),
        replace(data, checks=replace(data.checks, **actions)),
        replace(recipe.splits, by="random", column="", folds=0),
        scratch=scratch,
        step=step,
    )


COLUMNS: Final = ("id", "ok", "answer", "text", "remark")
"""Of these `id` and `ok` are read back."""
MARKS: Final[Mapping[str, bool]] = {
    "yes": True, "y": True, "1": True, "true": True, "ok": True,
    "no": False, "n": False, "0": False, "false": False, "wrong": False,
}  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes a cell that starts with one of these."""
MOST_BYTES: Final = 64 * 1024 * 1024


def drawn_for_review(rows: Sequence[Example], count: int, *, seed: int) -> list[Example]:
    ranked = sorted(rows, key=lambda row: sha256(f"review:{seed}:{row.id}".encode()).digest())
    drawn = {row.id for row in ranked[:count]}
    return [row for row in rows if row.id in drawn]


def review_text(rows: Iterable[Example], *, suffix: str) -> str:
    entries = [
        {"id": row.id, "ok": "", "answer": row.target, "text": row.input, "remark": ""}
        for row in rows
    ]
    if suffix == ".jsonl":
        return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        # the id stands for the row when it is read back, so what is shown may be changed
        shown = {name: inert(value) for name, value in entry.items()}
        writer.writerow(shown)
    return stream.getvalue()


def read_marks(path: Path, shown: str) -> dict[str, bool] | None:
    """Return whether each marked row is right, by its id; None without a file. StageError X752."""
    try:
        with open_regular(path, follow=False) as stream:
            text = stream.read(MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StageError.one("X752", f"`{shown}` cannot be read: {error}", path=AT) from error
    found: dict[str, bool] = {}
    problems: list[Problem] = []
    for line, entry in _entries(text, path.suffix, shown):
        mark = str(entry.get("ok") if entry.get("ok") is not None else "").strip().lower()
        name = str(entry.get("id") or "").strip()
        if not mark or not name:
            continue
        if mark in MARKS:
            found[name] = MARKS[mark]
        else:
            problems.append(
                Problem(
                    code="X752",
                    message=f"`{mark[:20]}` is no mark",
                    path=AT,
                    place=Place(file=shown, line=line),
                    hint="write yes or no in the column `ok`",
                )
            )
    if problems:
        raise StageError(problems)
    return found


AT: Final = "data.synthesize.review"


def _entries(text: str, suffix: str, shown: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if not {"id", "ok"} <= set(reader.fieldnames or ()):
            message = f"`{shown}` has no columns `id` and `ok`"
            raise StageError.one("X752", message, path=AT, hint=HINT)
        return [(reader.line_num, row) for row in reader]
    found: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line)
        except ValueError:
            entry = None
        if not isinstance(entry, Mapping):
            place = Place(file=shown, line=number)
            problem = Problem(
                code="X752", message="no JSON object", path=AT, place=place, hint=HINT
            )
            raise StageError([problem])
        found.append((number, entry))
    return found


HINT: Final = "write it anew under another name: recipe synthetic RECIPE --review"


def inert(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA) else value
