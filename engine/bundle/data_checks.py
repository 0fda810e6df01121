"""Whether report and lock of a bundle speak of the same rows, and the report of as many as it says."""

from __future__ import annotations

from collections.abc import Iterator

from engine.bundle.contents import Contents
from engine.bundle.scores import unequal
from engine.data.membership import membership_from_json
from engine.data.similarity.shingles import SIMILAR
from engine.evidence import DataSummary, Firewall, Scores, SplitSummary
from engine.kinds import AnswerForm
from engine.lock.file import LockedFirewall
from engine.recipe.model import Recipe
from engine.values import to_json


def data_problems(found: Contents) -> Iterator[str]:
    """Yield where report and lock speak of different rows."""
    data, accepted, lock = found.report.data, found.accepted, found.lock
    if data is None:
        yield "the report has no data"
        return
    digests = {split.name: split.digest for split in data.splits}
    locked = {name: split.digest for name, split in lock.splits.items()}
    yield from unequal(
        (digests, accepted.splits, "report and accepted run have other rows in a split"),
        (digests, locked, "report and lock have other rows in a split"),
    )
    for split in data.splits:
        rows = lock.splits[split.name].rows if split.name in lock.splits else split.rows
        text = "{name} has {} rows in the report, {} in the lock"
        yield from unequal((split.rows, rows, text), name=split.name)
        if found.recipe.task.spec.answer is AnswerForm.LABEL:
            text, labels = "the labels of {name} are those of {} rows", sum(split.labels.values())
            yield from unequal((labels, split.rows, text), name=split.name)
    yield from _summed(found, data)
    yield from _counted(found, data)
    yield from _apart(found)
    yield from _wear(found)


def _summed(found: Contents, data: DataSummary) -> Iterator[str]:
    """Yield where the rows that were read are not those that were used and those that were dropped."""
    names = ([one.name for one in data.sources], [one["name"] for one in found.accepted.sources])
    yield from unequal(
        (data.rows_read, found.accepted.rows, "{} rows were read in the report, {} in the lock"),
        (*names, "report and lock have other sources"),
    )
    dropped = sum(data.dropped.values())
    if data.rows_used + dropped != data.rows_read:
        yield f"{data.rows_used} rows were used and {dropped} dropped of {data.rows_read}"
    overlap, proof = (data.overlap_exact, data.overlap_near), data.firewall
    left = (proof.left_exact, proof.left_near) if proof else overlap
    used, read = (
        sum(getattr(one, f"rows_{name}") for one in data.sources) for name in ("used", "read")
    )
    divided = sum(split.rows for split in data.splits)
    yield from unequal(
        (used, data.rows_used, "the sources have other rows than were used"),
        (data.folds, found.recipe.splits.folds, "the data has {} folds, the recipe {}"),
        (overlap, left, "the overlap of the splits is not that of the firewall"),
        (data.rows_used, divided, "{} rows were used, the splits have {}"),
        (read, data.rows_read, "the sources have other rows than were read"),
    )


def _counted(found: Contents, data: DataSummary) -> Iterator[str]:
    report, splits = found.report, {split.name: split for split in data.splits}
    holdout = splits.get("holdout")
    if holdout is None or found.held is None or holdout.rows != found.held.rows:
        yield "the scores of the holdout are not of its rows"
    elif found.held.confusion and found.recipe.task.spec.answer is AnswerForm.LABEL:
        rows = dict(zip(found.recipe.task.labels, map(sum, found.held.confusion), strict=False))
        if rows != holdout.labels:
            yield "the confusion matrix counts other labels than the holdout has"
    for name in ("train", "validation"):
        scores = getattr(report, f"{name}_scores")
        if scores is not None and name in splits:
            yield from _of_split(scores, splits[name], found.recipe)
    yield from _firewall(found.lock.firewall, data.firewall)
    proof = data.firewall
    if proof is not None and found.is_of_this_version and proof.similarity != SIMILAR:
        yield f"the firewall compared from a similarity of {proof.similarity:g}, the engine compares from {SIMILAR:g}"


def _of_split(scores: Scores, split: SplitSummary, recipe: Recipe) -> Iterator[str]:
    """Yield that scores are of other rows than a split has; of many training rows a part is asked."""
    if scores.rows > split.rows:
        yield f"the scores of {split.name} are of more rows than it has"
    if recipe.task.spec.answer is AnswerForm.LABEL and scores.confusion:
        rows = dict(zip(recipe.task.labels, map(sum, scores.confusion), strict=False))
        if any(count > split.labels.get(label, 0) for label, count in rows.items()):
            yield f"the confusion matrix of {split.name} counts other labels than its rows have"


def _apart(found: Contents) -> Iterator[str]:
    """Yield that the lock records the same row for holdout and training, and the firewall found none."""
    proof = found.lock.firewall
    if proof is None or proof.left_exact or not found.is_of_this_version:
        return
    try:
        members = membership_from_json(found.lock.members()).members
    except ValueError:  # reported with the run
        return
    held = members.get("holdout", frozenset())
    for name in ("train", "validation"):
        if both := len(held & members.get(name, frozenset())):
            yield f"{both} recorded holdout rows are recorded for {name} too, the firewall left none"


def _firewall(locked: LockedFirewall | None, proof: Firewall | None) -> Iterator[str]:
    if locked is None or proof is None:
        if locked is not None or proof is not None:
            yield "only one of report and lock has a firewall"
        return
    if any(getattr(proof, name) != value for name, value in to_json(locked).items()):
        yield "report and lock say other things of the firewall"
    for how in ("exact", "near"):
        first, left = getattr(proof, f"found_{how}"), getattr(proof, f"left_{how}")
        if left > first:
            yield f"the firewall left {left} {how} matches of {first} that it found"


def _wear(found: Contents) -> Iterator[str]:
    use, lock = found.report.holdout_use, found.lock
    holdout = lock.splits.get("holdout")
    if use is None or holdout is None:
        yield "report and lock do not both count the decisions on the holdout"
        return
    if use.looks < 1:
        yield "the holdout has decided nothing, and the run was accepted on it"
    if use.digest != holdout.digest:
        yield "the holdout that has decided is not that of the lock"
    if use.redraws != lock.holdout.redraws or use.looks < lock.holdout.looks:
        yield (
            f"the holdout has decided {use.looks} times and was redrawn {use.redraws} times in the report, "
            f"{lock.holdout.looks} and {lock.holdout.redraws} times in the lock"
        )
