"""Whether the accepted run of a lock can be true: beside its own facts, its answers, the holdout and the thresholds."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev

from engine.evidence import Status
from engine.kinds import AnswerForm
from engine.lock.file import Accepted, AnswerFacts, Lock
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import values_of
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe, Task
from engine.values import Value, replace

BYTES = 4
HASHES, LIKELIHOODS = "answers", "nats"
UNREADABLE = "?"
"""Stands for an output that is no answer of the task; its text is not known any more."""


class LockedAnswers(Value):
    """What the model of a lock answered to the rows of some predictions."""

    same: tuple[bool, ...]
    """Whether each row has the same answer; empty for kinds that have none."""
    rows: tuple[Prediction, ...]
    """Every row; what its hash does not reveal counts as an output that is no answer."""
    unknown: int = 0
    """Rows whose answer its hash does not reveal: it is neither today's nor a right one. Of preferences all rows."""

    @property
    def predictions(self) -> tuple[Prediction, ...] | None:
        """Return the rows; None where one answer is unknown."""
        return None if self.unknown else self.rows


def answer_facts(predictions: Sequence[Prediction]) -> AnswerFacts:
    """Return the part of a lock: one entry a row, in the order of the rows' ids."""
    ordered = sorted(predictions, key=lambda row: row.id)
    by_likelihood = any(row.nats is not None for row in ordered)
    entries = b"".join(
        (struct.pack("<f", math.nan if row.nats is None else row.nats))
        if by_likelihood
        else _hash(row.label, row.text)
        for row in ordered
    )
    return {
        "way": LIKELIHOODS if by_likelihood else HASHES,
        "rows": len(ordered),
        "entries": base64.b64encode(entries).decode(),
    }


def match_answers(
    recorded: AnswerFacts, predictions: Sequence[Prediction], task: Task
) -> LockedAnswers | None:
    """Compare recorded answers with answers to the same rows; None where they are to others."""
    ordered = sorted(predictions, key=lambda row: row.id)
    if not has_entries(recorded) or recorded["rows"] != len(ordered):
        return None
    # the lock holds no ids, which would take more room than the answers: place in the order of
    # ids is all that pairs them
    pairs = list(zip(ordered, _entries(recorded), strict=True))
    if recorded["way"] == LIKELIHOODS:
        rebuilt = [
            (replace(row, nats=struct.unpack("<f", entry)[0], margin=None, rejected_nats=None))
            for row, entry in pairs
        ]
        # which answer of a pair was preferred stands on likelihoods that are not kept
        unknown = sum(row.margin is not None for row in ordered)
        return LockedAnswers(same=(), rows=tuple(rebuilt), unknown=unknown)
    same = tuple(_hash(row.label, row.text) == entry for row, entry in pairs)
    known = [_matching_answer(row, entry, task) for row, entry in pairs]
    rows = [answer or _unreadable(row) for answer, row in zip(known, ordered, strict=True)]
    return LockedAnswers(same=same, rows=tuple(rows), unknown=known.count(None))


def _matching_answer(row: Prediction, entry: bytes, task: Task) -> Prediction | None:
    plain = replace(row, probability=None, probabilities=())
    # the same answer as now; only its probabilities are unknown
    if _hash(row.label, row.text) == entry:
        return plain
    for label in dict.fromkeys((row.target, *row.references, *task.labels)):
        if _hash(label, label) == entry:
            return replace(plain, label=label, text=label)
    # With every label tried, it was no answer.
    return _unreadable(row) if task.spec.answer is AnswerForm.LABEL else None


def _unreadable(row: Prediction) -> Prediction:
    return replace(row, label=None, text=UNREADABLE, probability=None, probabilities=())


def _hash(label: str | None, text: str) -> bytes:
    # the first character keeps a label apart from an unreadable output of the same letters
    answer = f"!{text}" if label is None else f"={label}"
    return hashlib.sha256(answer.encode(errors="surrogatepass")).digest()[:BYTES]


def label_counts(recorded: AnswerFacts, labels: Sequence[str]) -> dict[str | None, int]:
    """Return how often recorded answers are each label; None counts those that are none of them."""
    names = {_hash(label, label): label for label in labels}
    found = Counter(map(names.get, _entries(recorded)))
    # every label stands in it, also with 0, since it is compared with the columns of a confusion
    # matrix
    return {label: found[label] for label in (*labels, None)}


def _entries(recorded: AnswerFacts) -> list[bytes]:
    joined = base64.b64decode(recorded["entries"])
    return [joined[at : at + BYTES] for at in range(0, len(joined), BYTES)]


def has_entries(recorded: AnswerFacts) -> bool:
    """Whether recorded answers have an entry for each row that they speak of."""
    try:
        joined = base64.b64decode(recorded["entries"], validate=True)
    except ValueError:
        return False
    return len(joined) == BYTES * recorded["rows"] and recorded["way"] in (HASHES, LIKELIHOODS)


NEAR = 2e-6
"""Numbers of a lock are rounded to six decimals."""
OF_PROBABILITIES = ("ece", "brier")
"""Metrics of probabilities, which a lock does not hold for each row."""
_NEAR_NATS = 1e-5
"""Of its size, by which a number of likelihoods may be off: they are kept in 32 bits."""
FINGERPRINT = 4
"""Bytes of each row's."""
SHA256 = re.compile(r"[0-9a-f]{64}")
OTHER_HOLDOUT = "the accepted run was judged on another holdout than the one that is recorded"
_CLOCKS = timedelta(days=1)
"""By which the clocks of two machines may differ."""


def contradictions(accepted: Accepted) -> Iterator[str]:
    """Yield each fact that cannot be true beside the others, in words."""
    rows, answers, marks = accepted.rows, accepted.answers, accepted.fingerprints
    if "gate" not in accepted.verdicts:
        yield "`verdicts` has no `gate`"
    for name, verdict in accepted.verdicts.items():
        if name not in ("gate", "verify"):
            yield f"`verdicts.{name}` is of no stage that judges"
        if verdict != Status.PASS:
            yield f"`verdicts.{name}` is `{verdict}` for an accepted run"
    yield from _metrics(accepted)
    yield from _spread(accepted)
    digests: dict[str, Mapping[str, str]] = {
        "recipe": {"digest": accepted.recipe["digest"]},
        "base_model.files": accepted.base_model["files"],
        **{
            name: getattr(accepted, name)
            for name in ("splits", "predictions", "adapter", "merged", "files")
        },
    }
    for part, named in digests.items():
        for name, digest in named.items():
            if not SHA256.fullmatch(digest):
                yield f"`{part}.{name}` is no sha256"
        if part in ("adapter", "predictions", "splits") and not named:
            yield f"`{part}` is empty"
    facts = (
        (marks is not None and _bytes(marks) != FINGERPRINT * rows, f"`fingerprints` are not those of {rows:,} rows"),
        (
            _bytes(answers["entries"]) != BYTES * answers["rows"],
            f"`answers.entries` are not those of {answers['rows']:,} rows",
        ),
        (answers["rows"] > rows, f"`answers.rows` is {answers['rows']:,} of {rows:,} rows that were read"),
        ("holdout" not in accepted.splits, "`splits` has no `holdout`"),
        (accepted.threads < 1, f"`threads` is {accepted.threads}"),
        # a time to come would make every stored result look older than the lock, and each run a mere reuse
        (
            datetime.fromisoformat(accepted.finished) > datetime.now(UTC) + _CLOCKS,
            f"`finished` is {accepted.finished}, which is still to come",
        ),
    )  # fmt: skip
    yield from (text for is_wrong, text in facts if is_wrong)


def lock_contradictions(lock: Lock) -> Iterator[str]:
    """Yield each fact of a lock's accepted run that cannot be true beside the others or the recorded holdout."""
    run, holdout = lock.accepted, lock.splits.get("holdout")
    if run is None:
        return
    yield from contradictions(run)
    if holdout is not None and run.splits.get("holdout") != holdout.digest:
        yield OTHER_HOLDOUT
    elif holdout is not None and run.answers["rows"] != holdout.rows:
        yield f"`answers.rows` is {run.answers['rows']:,}, the recorded holdout has {holdout.rows:,} rows"


def _metrics(accepted: Accepted) -> Iterator[str]:
    if not accepted.metrics:
        yield "`metrics` is empty"
    for name, metric in accepted.metrics.items():
        value, low, high = metric["value"], metric["low"], metric["high"]
        if low is None and high is None:
            continue
        if value is None or low is None or high is None:
            yield f"`metrics.{name}` has an interval without its value or one of its ends"
        elif not low - NEAR <= value <= high + NEAR:
            yield f"`metrics.{name}` is {value}, outside of its interval from {low} to {high}"


def _spread(accepted: Accepted) -> Iterator[str]:
    """Yield what is not the mean and the deviation of all seeds, the first of which is `metrics`."""
    if accepted.seeds and not accepted.spread:
        yield f"`spread` is empty beside {len(accepted.seeds)} further seeds"
    for name, spread in accepted.spread.items():
        first = accepted.metrics[name]["value"] if name in accepted.metrics else None
        values = [first, *(seed["metrics"].get(name) for seed in accepted.seeds)]
        known = [value for value in values if value is not None]
        if len(known) != len(values) or len(known) < 2:  # a deviation needs two
            yield f"`spread.{name}` stands on seeds that are not there"
            continue
        stated = (
            ("mean", spread["mean"], fmean(known)),
            ("deviation", spread["deviation"], stdev(known)),
        )
        for part, value, right in stated:
            if abs(right - value) > NEAR:
                yield f"`spread.{name}.{part}` is {value}, its seeds give {right:.6f}"


def _bytes(text: str) -> int:
    """Return how many bytes base64 holds; -1 where it is none."""
    try:
        # without `validate` characters that are none of base64's are skipped in silence
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return -1


def contradictions_of_recipe(recipe: Recipe, accepted: Accepted) -> Iterator[str]:
    """Yield what contradicts itself in the accepted run of a lock that this recipe asks for."""
    yield from contradictions(accepted)
    # with folds, bounds are kept by the answers to all rows
    for bound in () if recipe.splits.folds else recipe.acceptance.metrics:
        metric = accepted.metrics.get(bound.metric)
        if metric is None:
            yield f"`metrics` has no `{bound.metric}`, which the recipe bounds"
            continue
        is_least = bound.direction == "min"
        end, limit = ("low", metric["low"]) if is_least else ("high", metric["high"])
        decides = metric["value"] if recipe.acceptance.decide_on == "point" else limit
        shown = f"`metrics.{bound.metric}` is {metric['value']} ({end} {limit})"
        if decides is None:
            yield f"{shown} and decides nothing"
        elif (bound.bound - decides if is_least else decides - bound.bound) > NEAR:
            yield f"{shown}, accepted by a bound of at {'least' if is_least else 'most'} {bound.bound:g}"


def contradicted_by_answers(
    accepted: Accepted, before: LockedAnswers, recipe: Recipe
) -> Iterator[str]:
    """Yield the metrics of a lock that are not those of its answers, where all of these are known."""
    # with one answer missing no metric can be computed again
    if before.unknown:
        return
    for name, stated, value in recomputed_metrics(accepted, before, recipe):
        if not is_near(stated, value, accepted):
            yield f"`metrics.{name}` is {stated}, its answers give {value:.6f}"


def recomputed_metrics(
    accepted: Accepted, before: LockedAnswers, recipe: Recipe
) -> Iterator[tuple[str, float, float]]:
    """Yield each metric that both a lock and its answers tell: its name and both values."""
    values = values_of(before.rows, recipe.task)
    for name, metric in accepted.metrics.items():
        is_of_answers = name not in (*FREE, *OF_PROBABILITIES)
        if is_of_answers and name in values and metric["value"] is not None:
            yield name, float(metric["value"]), values[name]


def is_near(stated: float, value: float, accepted: Accepted) -> bool:
    """Tell whether a number is that of the lock, but for how exactly the lock keeps it."""
    # likelihoods are kept in 32 bits, so what is computed from them is off by a share of its size
    relative = _NEAR_NATS * abs(stated) if accepted.answers["way"] == LIKELIHOODS else 0.0
    return abs(stated - value) <= max(NEAR, relative)
