"""Rows without labels, to be answered or replayed: read and checked as training rows, apart from every split.

What stands in validation or the holdout, even nearly, is always left out, whatever `data.checks.leakage` says: nobody
has looked at these rows, so there is no reason to keep one. Each row that is left out is counted by its reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.data.checks import all_rows
from engine.data.checks.findings import Preparation, Step
from engine.data.examples.candidates import RowCollector
from engine.data.examples.example import Example, content_id
from engine.data.examples.template import RejectedError
from engine.data.kinds import filler
from engine.data.reading.row import Row
from engine.data.similarity.near import leaks
from engine.errors import DataError
from engine.evidence import DataFinding
from engine.kinds import AnswerForm
from engine.recipe.model import AnswerSpec, Checks, Data, LabelSpec, Recipe, Source, SplitName, Task
from engine.recipe.prompt import SEPARATOR, split_labels
from engine.values import Value, replace

Answered = Callable[[Example, str], Example | None]
_INPUT, _ANSWER = "input", "answer"


def answered_rows(task: Task, data: Data) -> Answered:
    fill = filler(
        replace(task, input=f"{{{_INPUT}}}"),
        replace(
            data,
            label=LabelSpec(column=_ANSWER, relabel=(), bins=(), separator=SEPARATOR.strip()),
            answer=AnswerSpec(column=_ANSWER, references=(), fields=(), spans=None, tags=None),
        ),
        "columns",
    )
    has_several = task.spec.answer is AnswerForm.LABELS

    def answered(row: Example, answer: str) -> Example | None:
        value = split_labels(answer) if has_several else answer
        try:
            filled = fill({_INPUT: row.input, _ANSWER: value})
        except RejectedError:
            return None
        return replace(
            row,
            id=content_id(row.input, filled.target),
            target=filled.target,
            labels=filled.labels,
            payload=filled.payload,
        )

    return answered


NEAR: Final[Mapping[SplitName, str]] = {
    "holdout": "near the holdout",
    "validation": "near the validation rows",
    "train": "a training row already",
}
"""Why a row is left out that stands in a split, the strictest first."""
GROUP: Final = "of a group that judges"
NOT_ASKED: Final = "more than are asked"


class UnlabelledRows(Value):
    """Rows that may be asked, in the order in which they were drawn."""

    rows: tuple[Example, ...]
    read: int
    left_out: Mapping[str, int]
    findings: tuple[DataFinding, ...]


def unlabelled_rows(  # noqa: PLR0913 - where the rows are from, and what they are held apart from
    rows: Iterable[Row],
    recipe: Recipe,
    *,
    sources: Sequence[Source],
    splits: Mapping[SplitName, Sequence[Example]],
    most: int = 0,
    path: str = "teacher.inputs",
    listed: Path | None = None,
    scratch: Path | None = None,
    step: Step = lambda _, __: None,
) -> UnlabelledRows:
    """Return the rows of `sources` that stand in none of the `splits`; at most `most`, 0 for all.

    `path` is the key that problems are reported at. Every row of a finding, and every one that stands in a split, is
    written to the file `listed` by its place. DataError for rows that cannot be read, and where a check says `fail`.
    """
    task, data = without_answers(recipe.task), read_without_answers(recipe.data, sources)
    by = recipe.splits
    # Rows are put nowhere; with groups, each row's group is still read.
    by = by if by.by == "group" else replace(by, by="random", column="")
    work = Preparation(task, data, by, scratch=scratch, step=step)
    pool, findings = work.pool, work.findings
    read = RowCollector(work).collect(rows).read_by_source.total()
    pool.arrange()
    all_rows.check_duplicates(work)
    all_rows.check_traits(work)
    _hold_apart(work, splits)
    if work.data.checks.near_duplicates != "off":
        work.step("looking for near duplicates", len(pool))
        all_rows.check_near_duplicates(work)
    if listed is not None:
        findings.copy_rows(listed)
    if findings.problems:
        raise DataError([replace(one, path=path) for one in findings.problems])
    living = list(pool.living())
    if most:
        findings.drop(NOT_ASKED, pool.leave_out(living[most:]))
    asked = tuple(unanswered(work, row) for row in (living[:most] if most else living))
    return UnlabelledRows(
        rows=asked,
        read=read,
        left_out=dict(sorted(findings.dropped.items())),
        findings=findings.found(),
    )


def unanswered(work: Preparation, row: int) -> Example:
    text, group = work.pool.input[row], work.pool.mark[row] if work.splits.by == "group" else ""
    place, origin = content_id(text, ""), work.pool.origin[row]
    return Example(id=place, origin=origin, input=text, target="", group=group)


def without_answers(task: Task) -> Task:
    return replace(task, kind="text", labels=(), schema=None)


def read_without_answers(data: Data, sources: Sequence[Source]) -> Data:
    """Return how rows of these sources are read and checked that have no answers."""
    checks: Checks = replace(
        data.checks,
        duplicates="drop",
        # what follows looks at answers, which these rows do not have
        conflicting_labels="off",
        unknown_labels="off",
        imbalance="off",
        label_errors="off",
        missing_classes="off",
        label_in_input="off",
        output_format="off",
        schema_violations="off",
    )
    return replace(
        data,
        sources=tuple(sources),
        shape="columns",
        label=None,
        answer=None,
        messages=None,
        pair=None,
        sample=None,
        checks=checks,
    )


def _hold_apart(work: Preparation, splits: Mapping[SplitName, Sequence[Example]]) -> None:
    """Leave out what stands in a split: in those that judge also nearly, and with its whole group."""
    pool = work.pool
    for name, reason in NEAR.items():
        texts = [row.input for row in splits.get(name, ())]
        living = list(pool.living())
        work.step(f"comparing with {name}", len(living))
        found = leaks(texts, ((row, pool.input[row]) for row in living)) if texts else ()
        nearly = name != "train" or work.data.checks.near_duplicates == "drop"
        out = {match.other for match in found if nearly or match.exact}
        leave_out(work, sorted(out), reason)
        groups = {row.group for row in splits.get(name, ()) if row.group and name != "train"}
        of_group = [row for row in living if groups and pool.mark[row] in groups]
        leave_out(work, [row for row in of_group if pool.alive[row]], GROUP)


def leave_out(work: Preparation, rows: Sequence[int], reason: str) -> None:
    """Leave rows out for a reason, and write down which: by their place, and without what they resemble."""
    for row in rows:
        work.findings.row("leakage", work.pool.origin[row], what=reason)
    work.findings.drop(reason, work.pool.leave_out(rows))
