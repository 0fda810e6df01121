"""Reports for tests of rendering, read from `tests/examples/reports`. Every number in them is made up.

A file has what differs from the report that it is `like`; `"free": "holdout"` stands for the same scores.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from engine.evidence import Flip, Report, Scores, Status, Verdict
from engine.render.report.page import read_json
from engine.values import replace
from support.paths import EXAMPLES

FOLDER = EXAMPLES / "reports"


def report_fields(name: str) -> dict[str, Any]:
    """Return a report of the folder as JSON data."""
    fields = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    like = fields.pop("like", "")
    fields = _merged(report_fields(like), fields) if like else fields
    return {**fields, "free": fields["holdout"] if fields["free"] == "holdout" else fields["free"]}


def _merged(base: Any, changes: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return {**base, **{name: _merged(base.get(name), one) for name, one in changes.items()}}


def read_report(name: str) -> Report:
    """Return a report of the folder; a changed one is made of it by `replace`."""
    return read_json(json.dumps(report_fields(name)))


accepted = partial(read_report, "accepted")
"""Plain classification, nothing that is optional."""
refused = partial(read_report, "refused")
"""By the gate; one class has no rows."""
baseline_passes = partial(read_report, "baseline_passes")
failed = partial(read_report, "failed")
"""By a stage, with an error."""
many_labels = partial(read_report, "many_labels")
"""77 of them."""
rich = partial(read_report, "rich")
"""Everything that a report of a classification may hold."""
extraction = partial(read_report, "extraction")
multilabel = partial(read_report, "multilabel")
generation = partial(read_report, "generation")
chat = partial(read_report, "chat")
refused_by_the_ladder = partial(read_report, "refused_by_the_ladder")
refused_by_forgetting = partial(read_report, "refused_by_forgetting")
repeated = partial(read_report, "repeated")
"""With a sweep, folds, learning curves, seeds and a reproduction."""
taught = partial(read_report, "taught")
"""With a teacher, soft targets, synthetic rows and fewer layers."""


def verdict_of(name: str, *, low: float, got: float, high: float, bound: float) -> Verdict:
    """Return a verdict with one check that passes, its metric called `name`."""
    gate = accepted().gate
    assert gate is not None
    (check, *_) = gate.checks
    assert check.interval is not None
    interval = replace(check.interval, low=low, high=high)
    named = replace(check, name=name, got=got, bound=bound, interval=interval)
    return replace(gate, status=Status.PASS, checks=(named,))


def flips(count: int) -> tuple[Flip, ...]:
    """Return so many changed rows, each with an id of its own."""
    (first, *_) = rich().ladder[-1].flips
    return tuple(replace(first, id=f"{at:016x}") for at in range(count))


def with_labels(scores: Scores, labels: Sequence[str]) -> Scores:
    """Return the scores with other names for their classes."""
    classes = [replace(one, label=name) for one, name in zip(scores.classes, labels, strict=True)]
    return replace(scores, classes=tuple(classes))


def more_labels(count: int) -> Report:
    """Return the report of many labels with more of them: it is repeated under other names."""
    report = many_labels()
    assert report.holdout
    classes, confusion = report.holdout.classes, report.holdout.confusion
    labels = [f"label_{at:03d}_{classes[at % len(classes)].label}" for at in range(count)]
    rows = [confusion[at % len(classes)] for at in range(count)]
    matrix = [(*row[:-1], *[0] * (count - len(row) + 1), row[-1]) for row in rows]
    scores = replace(
        report.holdout,
        classes=tuple(replace(classes[at % len(classes)], label=labels[at]) for at in range(count)),
        confusion=tuple(matrix),
    )
    return replace(report, labels=tuple(labels), holdout=scores, free=scores)
