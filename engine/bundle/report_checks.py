"""Whether a report says the same of its run, its rows, its lock and its pages in all of its parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from engine.bundle.contents import REPORT, RESOLVED, Contents, pages_of
from engine.bundle.scores import NEAR, same, unequal
from engine.data.membership import membership_from_json
from engine.data.similarity.near import SIMILAR
from engine.evidence import (
    DataSummary,
    Firewall,
    Interval,
    Report,
    Scores,
    SplitSummary,
    StageStatus,
)
from engine.files.reading import key_twice
from engine.kinds import AnswerForm
from engine.lock.accepted_run import RANKS
from engine.lock.coherence import SHA256
from engine.lock.file import LockedFirewall, lock_text
from engine.metrics.intervals import wilson
from engine.pipeline.report import accepted_steps, accepted_summary
from engine.process import __version__
from engine.recipe import dump_resolved
from engine.recipe.model import Recipe
from engine.render.report.page import render_json
from engine.store.runs import BUNDLED_LOCK
from engine.values import brief_text, to_json

_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\d)")
_UNSEEN = re.compile(
    r'<style>.*?</style>|<[a-z][^<>]*?(?:aria-label="([^"<>]*)"[^<>]*)?>', re.DOTALL
)
"""The style of a page and the tags of it, but for the words that a drawing is read out with."""


def form_problems(found: Contents) -> Iterator[str]:
    """Yield the files that hold a key twice, or that this version would write in another way."""
    if twice := key_twice(found.text(REPORT)):
        yield f"{REPORT} has the key `{brief_text(twice)}` twice in one object"
    # a lock of an older version is written as that one wrote it
    written = {BUNDLED_LOCK: lock_text(found.lock)}
    # another version may know fewer facts, or more
    if found.written_with == __version__:
        written |= {REPORT: render_json(found.report)}
    if found.is_of_this_version:
        written |= {RESOLVED: dump_resolved(found.recipe)}
    for name, right in written.items():
        if found.text(name) != right:
            yield f"{name} is not written as it should be: {_first_line(found.text(name), right)}"
    for name in ("inputs", "drawn_with"):
        digest = getattr(found.lock, name)
        if digest is not None and not SHA256.fullmatch(digest):
            yield f"`{name}` of the lock is no sha256"


def page_problems(found: Contents) -> Iterator[str]:
    """Yield where the pages for people are not those of the report.

    Another version may word a page in another way: then its numbers must still be the report's.
    """
    known: set[float] = set()
    for name, render in pages_of().items():
        text, right = found.text(name), render(found.report)
        if text == right:
            continue
        if found.written_with == __version__:
            yield f"{name} is not the page of the report: {_first_line(text, right)}"
            continue
        if found.report.recipe_name not in text:
            yield f"{name} does not name `{found.report.recipe_name}`"
        known = known or set(_numbers(json.loads(json.dumps(to_json(found.report)))))
        others = _shown_decimals(text) - _shown_decimals(right)
        strange = sorted(one for one in others if not _gives(one, known))
        if strange:
            yield f"{name} says {', '.join(strange[:5])}, which the report does not"


def _first_line(text: str, right: str) -> str:
    pairs = zip_longest(text.splitlines(), right.splitlines(), fillvalue="")
    for number, (here, there) in enumerate(pairs, start=1):
        if here != there:
            pairs_of = enumerate(zip(here, there, strict=False))
            at = next((at for at, (one, two) in pairs_of if one != two), min(len(here), len(there)))
            return f"line {number} goes on `{brief_text(here[at:])}`, it should `{brief_text(there[at:])}`"
    return "its line ends"


def _shown_decimals(page: str) -> set[str]:
    """The decimals that a reader meets: no lengths of the style, no coordinates of a drawing."""
    return set(_DECIMAL.findall(_UNSEEN.sub(r" \1 ", page)))


def _numbers(value: Any) -> Iterator[float]:
    # a bool is an int: one `true` of the report would let 1.0 pass on a page
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, str):
        yield from map(float, _DECIMAL.findall(value))
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


def _gives(shown: str, known: set[float]) -> bool:
    decimals = len(shown.partition(".")[2])
    # half of the last digit that is shown, and a little for what binary fractions cannot hold
    step = 0.5 * 10**-decimals + 1e-12
    value = float(shown)
    return any(
        abs(abs(one) * unit - value) <= step for one in known for unit in (1, 100, 1e-3, 1e-6, 1e-9)
    )


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


def report_problems(found: Contents) -> Iterator[str]:
    """Yield the facts of a report that others of it, its recipe or its lock deny."""
    report, recipe = found.report, found.recipe
    if report.data is not None:
        yield from _asked(report.data, recipe)
    yield from _training(report, recipe)
    yield from _checkpoints(report)
    yield from _ladder(report, recipe)
    metrics = [
        (f"checkpoint {one.step}", one.metric.value, one.metric.interval)
        for one in report.checkpoints
    ]
    metrics += [(f"{one.metric} over {one.name}", None, one.interval) for one in report.comparisons]
    for name, value, interval in metrics:
        if interval is None:
            continue
        if abs(interval.confidence - recipe.acceptance.confidence) > NEAR:
            yield f"{name}: its interval is one of {interval.confidence:g}"
        if not interval.low <= interval.high:
            yield f"{name}: the ends of its interval are exchanged"
        if value is not None and not interval.low - NEAR <= value <= interval.high + NEAR:
            yield f"{name} is {value:g}, outside of its interval"
    yield from _machine(found)
    stages = {one.stage for one in report.stages}
    for one in report.costs:
        if one.stage not in stages:
            yield f"a cost is of `{one.stage}`, which is no stage of the run"
    if found.is_of_this_version:
        yield from _own_words(found)


def _asked(data: DataSummary, recipe: Recipe) -> Iterator[str]:
    """Yield where the data stage was asked something else than the recipe says."""
    for split in data.splits:
        wanted = getattr(recipe.splits, split.name, None)
        if (
            isinstance(wanted, int)
            and not isinstance(wanted, bool)
            and wanted
            and split.asked is not None
        ):
            text = "{name} was asked for {} rows, the recipe asks for {}"
            yield from unequal((split.asked, wanted, text), name=split.name)
    for finding in data.findings:
        action = getattr(recipe.data.checks, finding.check, None)
        if action is None and finding.check != "splits":
            yield f"a finding is of `{finding.check}`, which is no check"
        elif action is not None and finding.action != action:
            yield f"the finding of {finding.check} says `{finding.action}`, the recipe `{action}`"
    if len(data.sources) == len(recipe.data.sources):
        for one, source in zip(data.sources, recipe.data.sources, strict=True):
            facts = (
                (one.weight, source.weight, "{name} has the weight {}, the recipe says {}"),
                (one.into, source.into, "{name} goes into `{}`, the recipe says `{}`"),
            )
            yield from unequal(*facts, name="a source")


def _training(report: Report, recipe: Recipe) -> Iterator[str]:
    """Yield where the training was made with other tools, or of other rows, than the rest says."""
    training = report.training
    if training is None:
        return
    yield from unequal(
        (training.backend, recipe.backend.name, "it was trained by `{}`, the recipe says `{}`")
    )
    steps = [point.step for point in training.history]
    if any(step > training.steps for step in (*steps, training.kept_step)):
        yield f"a step of the training is beyond its {training.steps} steps"
    if not recipe.sweep:
        for one in report.lengths:
            text = "{name} was cut at {} tokens, the recipe says {}"
            yield from unequal((one.max_length, recipe.method.max_length, text), name=one.split)
    seen = {split.name: split.seen for split in report.data.splits} if report.data else {}
    for one in report.lengths:
        # documents count by their blocks, and a teacher adds rows
        if not recipe.task.spec.has_labels or recipe.teacher is not None or recipe.splits.folds:
            continue
        if one.used + one.left_out + one.left_out_marked != one.given:
            yield f"{one.used} rows of {one.split} were used of {one.given}"
        yield from unequal(
            (one.given, seen.get(one.split), "{name} gave {} rows, the data has {}"), name=one.split
        )
        if one.split == "train" and one.used != training.rows and training.packed_documents is None:
            yield f"it was trained on {training.rows} rows, {one.used} were used"


def _checkpoints(report: Report) -> Iterator[str]:
    """Yield the checkpoints that the training does not have, or that were judged on other rows."""
    training = report.training
    if training is None or not report.checkpoints:
        return
    losses = {
        point.step: point.eval_loss for point in training.history if point.eval_loss is not None
    }
    kept = [one.step for one in report.checkpoints]
    if training.kept_step not in kept:
        yield f"the checkpoint of step {training.kept_step} was kept, and none is of that step"
    if len(set(kept)) != len(kept) or any(step > training.steps for step in kept):
        yield "a checkpoint stands twice, or is beyond the training"
    rows = report.validation_scores.rows if report.validation_scores else None
    for one in report.checkpoints:
        if one.step in losses and not same(one.eval_loss, losses[one.step]):
            yield f"the checkpoint of step {one.step} has the loss {one.eval_loss}, the training {losses[one.step]}"
        if rows is not None and one.metric.n != rows:
            yield f"the checkpoint of step {one.step} was judged on {one.metric.n} of {rows} rows"


def _ladder(report: Report, recipe: Recipe) -> Iterator[str]:
    if recipe.splits.by == "group":  # whole groups are drawn then
        return
    for rung in report.ladder:
        found = rung.agreement
        if found is None or found.value is None:
            continue
        right = wilson(
            round(found.value * found.n), found.n, confidence=recipe.acceptance.confidence
        )
        if found.name != "agreement" or not _alike(found.interval, right):
            yield f"rung {rung.name}: the interval of its agreement is not that of {found.n} rows"


def _alike(one: Interval | None, right: Interval | None) -> bool:
    if one is None or right is None:
        return one is right
    ends = ("low", "high", "confidence")
    is_near = all(same(getattr(one, part), getattr(right, part)) for part in ends)
    return is_near and one.method == right.method


def _machine(found: Contents) -> Iterator[str]:
    """Yield where the lock names another machine than the report of the run that wrote it."""
    report, locked = found.report, found.accepted.hardware
    trained = [one for one in report.stages if one.stage == "train"]
    if report.reproduction is not None or any(one.status is not StageStatus.RAN for one in trained):
        return
    platform = f"{locked.get('system')} {locked.get('machine')}"
    shown = report.environment.get("platform", platform)
    if {"system", "machine"} <= locked.keys() and shown != platform:
        yield f"the machine is `{shown}` in the report, `{platform}` in the lock"
    together = locked.get(RANKS, {})
    processes = together.get("processes", 1) if isinstance(together, Mapping) else together
    if report.training is not None and (report.training.processes or 1) != processes:
        yield (
            f"{report.training.processes or 1} processes trained together in the report, {processes} in the lock"
        )


def _own_words(found: Contents) -> Iterator[str]:
    report, recipe = found.report, found.recipe
    yield from unequal(
        (report.summary, accepted_summary(recipe), "the summary is `{}`, it should be `{}`"),
        (report.next_steps, accepted_steps(recipe), "the next steps are {}, they should be {}"),
    )
