"""Whether report and lock of a bundle speak of the same rows, and the report of as many as it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from engine.bundle.contents import Contents
from engine.evidence import DataSummary, Firewall
from engine.kinds import AnswerForm
from engine.lock.file import LockedFirewall


def data_problems(found: Contents) -> Iterator[str]:
    """Yield where report and lock speak of different rows."""
    data, accepted, lock = found.report.data, found.accepted, found.lock
    if data is None:
        yield "the report has no data"
        return
    digests = {split.name: split.digest for split in data.splits}
    if digests != accepted.splits:
        yield "report and accepted run have other rows in a split"
    if digests != {name: split.digest for name, split in lock.splits.items()}:
        yield "report and lock have other rows in a split"
    for split in data.splits:
        locked = lock.splits.get(split.name)
        if locked is not None and locked.rows != split.rows:
            yield f"{split.name} has {split.rows} rows in the report, {locked.rows} in the lock"
        if (
            found.recipe.task.spec.answer is AnswerForm.LABEL
            and sum(split.labels.values()) != split.rows
        ):
            yield f"the labels of {split.name} are those of {sum(split.labels.values())} rows"
    if data.rows_read != accepted.rows:
        yield f"{data.rows_read} rows were read in the report, {accepted.rows} in the lock"
    if [one.name for one in data.sources] != [one["name"] for one in accepted.sources]:
        yield "report and lock have other sources"
    yield from _dropped(found, data)
    yield from _counted(found, data)
    yield from _wear(found)


def _dropped(found: Contents, data: DataSummary) -> Iterator[str]:
    """Yield where the rows that were read are not those that were used and those that were dropped."""
    dropped = sum(data.dropped.values())
    if data.rows_used + dropped != data.rows_read:
        yield f"{data.rows_used} rows were used and {dropped} dropped of {data.rows_read}"
    if sum(source.rows_used for source in data.sources) != data.rows_used:
        yield "the sources have other rows than were used"
    if data.folds != found.recipe.splits.folds:
        yield f"the data has {data.folds} folds, the recipe {found.recipe.splits.folds}"
    if data.firewall and (data.overlap_exact, data.overlap_near) != (
        data.firewall.left_exact,
        data.firewall.left_near,
    ):
        yield "the overlap of the splits is not that of the firewall"


def _counted(found: Contents, data: DataSummary) -> Iterator[str]:
    report, splits = found.report, {split.name: split for split in data.splits}
    if data.rows_used != sum(split.rows for split in data.splits):
        yield f"{data.rows_used} rows were used, the splits have {sum(s.rows for s in data.splits)}"
    if sum(source.rows_read for source in data.sources) != data.rows_read:
        yield "the sources have other rows than were read"
    holdout = splits.get("holdout")
    if holdout is None or report.holdout is None or holdout.rows != report.holdout.rows:
        yield "the scores of the holdout are not of its rows"
    elif report.holdout.confusion and found.recipe.task.spec.answer is AnswerForm.LABEL:
        rows = dict(zip(found.recipe.task.labels, map(sum, report.holdout.confusion), strict=False))
        if rows != holdout.labels:
            yield "the confusion matrix counts other labels than the holdout has"
    for name in ("train", "validation"):
        scores = getattr(report, f"{name}_scores")
        if scores is not None and name in splits and scores.rows > splits[name].rows:
            yield f"the scores of {name} are of more rows than it has"
    yield from _firewall(found.lock.firewall, data.firewall)


def _firewall(locked: LockedFirewall | None, proof: Firewall | None) -> Iterator[str]:
    if locked is None or proof is None:
        if locked is not None or proof is not None:
            yield "only one of report and lock has a firewall"
    elif any(getattr(proof, name) != value for name, value in asdict(locked).items()):
        yield "report and lock say other things of the firewall"


def _wear(found: Contents) -> Iterator[str]:
    use, lock = found.report.holdout_use, found.lock
    holdout = lock.splits.get("holdout")
    if use is None or holdout is None:
        yield "report and lock do not both count the decisions on the holdout"
        return
    if use.digest != holdout.digest:
        yield "the holdout that has decided is not that of the lock"
    if use.redraws != lock.holdout.redraws or use.looks < lock.holdout.looks:
        yield (
            f"the holdout has decided {use.looks} times and was redrawn {use.redraws} times in the report, "
            f"{lock.holdout.looks} and {lock.holdout.redraws} times in the lock"
        )
