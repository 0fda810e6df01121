"""Taking the texts of rows out of a report before it leaves: places, counts and numbers stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from engine.evidence import DataFinding, Flip, FormResult, Report
from engine.kinds import AnswerForm
from engine.recipe.model import Recipe
from engine.values import replace

LEFT_OUT: Final = (
    "Texts of rows are left out of this bundle: findings name their places, "
    "changed answers are numbered, wrong rows are not shown."
)
"""A note of a report without them."""
_OF_CLASSES: Final = ("imbalance", "missing_classes", "splits")
"""Checks whose examples name classes or splits, and quote no row."""
_PLACE: Final = re.compile(r"[^`]*?:\d+(?= |$)")
"""Where a row stands, which an example of a finding begins with: `reviews.csv:17`."""


def without_row_texts(report: Report, recipe: Recipe) -> Report:
    """Return the report with no text of a row in it; the very one where it has none."""
    data = report.data
    if data is not None:
        data = replace(data, findings=tuple(map(_places, data.findings)))
    flips, ladder = report.flips, report.ladder
    # where answers are labels of the task, they are no texts
    if recipe.task.spec.answer not in (AnswerForm.LABEL, AnswerForm.LABELS):
        flips, ladder = tuple(map(_plain_flip, flips)), tuple(map(_plain_rung, ladder))
    found = replace(report, data=data, flips=flips, ladder=ladder, mistakes=())
    return report if found == report else replace(found, notes=(*found.notes, LEFT_OUT))


def has_row_texts(report: Report, recipe: Recipe) -> bool:
    """Tell whether a report quotes rows."""
    return without_row_texts(report, recipe) is not report


def _places(finding: DataFinding) -> DataFinding:
    if finding.check in _OF_CLASSES:
        return finding
    places = (_PLACE.match(example) for example in finding.examples)
    return replace(finding, examples=tuple(place[0] for place in places if place))


def _plain_rung(rung: FormResult) -> FormResult:
    return replace(rung, flips=tuple(map(_numbered, rung.flips)))


def _numbered(flip: Flip) -> Flip:
    target, before, after = _numbers(flip.target, flip.before, flip.after)
    return replace(flip, target=target or "", before=before, after=after)


def _plain_flip(flip: dict[str, Any]) -> dict[str, Any]:
    names = ("target", "merged", "quantized")
    numbers = _numbers(*(flip.get(name) for name in names))
    return {**flip, **dict(zip(names, numbers, strict=True))}


def _numbers(*answers: str | None) -> Iterator[str | None]:
    """Yield `answer 1` for each answer, with equal numbers for equal ones; None for none."""
    known: dict[str, str] = {}
    for answer in answers:
        is_plain = answer is None or answer in (f"answer {n}" for n in range(1, 4))
        yield answer if is_plain else known.setdefault(str(answer), f"answer {len(known) + 1}")
