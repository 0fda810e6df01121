"""Contradictions in the accepted run of a lock: among its facts, with its answers, the holdout and the gate."""

import base64
import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev
from typing import Any, Final

from engine.evidence import Interval, Metric, Status
from engine.files.digests import SHA256
from engine.kinds import AnswerForm
from engine.lock.file import Accepted, AnswerFacts, Lock, SpreadFacts
from engine.metrics.predictions import Prediction
from engine.metrics.scoring import values_of
from engine.metrics.verdict import judge
from engine.recipe.metrics import FREE
from engine.recipe.model import Recipe, Task
from engine.values import Value, replace

NEAR: Final = 2e-6
"""Largest relative difference of numbers from 1 on: a lock has six decimals."""
DRAWN: Final = ("low", "high", "p_value", "p_adjusted")
"""Numbers that may be drawn at random by NumPy, whose versions may draw otherwise."""
LOOSE: Final = 0.03
ROUNDED: Final = 0.05
"""Largest relative difference of an estimate's error, which was computed before the estimate was rounded."""
_KEYS: Final = (
    "name", "metric", "direction", "check", "split", "stage", "step", "seed", "label", "form",
)  # fmt: skip


class Comparing:
    """Compares a value with the right one; `by` names what the right one follows from."""

    def __init__(
        self, by: str, *, is_exact: bool = True, is_whole: bool = False, near: float = NEAR
    ) -> None:
        self.by, self.is_exact, self.is_whole, self.near = by, is_exact, is_whole, near

    def differences(self, path: str, shown: Any, right: Any) -> Iterator[str]:
        """Yield each value of `right` that differs in `shown`, and items of lists that only one of them has."""
        if isinstance(right, Mapping) and isinstance(shown, Mapping):
            for name in {**right, **shown} if self.is_whole else right:
                if name != "note":
                    yield from self.differences(f"{path}.{name}", shown.get(name), right.get(name))
        elif _is_list(shown) and _is_list(right) and (_has_keys(shown) or _has_keys(right)):
            # stable: items with one key, such as a source that is read twice, keep their order
            sides = [sorted(side, key=_key) for side in (shown, right)]
            keys, right_keys = (list(map(_key, side)) for side in sides)
            if keys != right_keys:
                yield self._text(path, keys, right_keys)
                return
            for key, *both in zip(keys, *sides, strict=True):
                yield from self.differences(f"{path}.{key}", *both)
        elif _is_list(shown) and _is_list(right) and len(shown) == len(right):
            for at, (item, right_item) in enumerate(zip(shown, right, strict=True)):
                yield from self.differences(f"{path}.{at}", item, right_item)
        elif not self._same(path, shown, right):
            yield self._text(path, shown, right)

    def _same(self, path: str, shown: Any, right: Any) -> bool:
        if not (_is_number(shown) and _is_number(right)):
            return bool(shown == right)
        name, near = path.rpartition(".")[2], self.near * max(1.0, abs(right))
        if name in DRAWN and not self.is_exact:
            near = LOOSE
        elif name.endswith("_error"):
            near = 0.01 + ROUNDED * abs(right)
        return bool(abs(shown - right) <= near)

    def _text(self, path: str, shown: Any, right: Any) -> str:
        name = as_text(path, 120).strip('"')
        return f"`{name}` is {as_text(shown)}, {self.by} gives {as_text(right)}"


def as_text(value: Any, most: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= most else f"{text[:most]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _has_keys(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and _key(item) for item in items)


def _key(item: Any) -> str:
    parts = (str(item[name]) for name in _KEYS if isinstance(item.get(name), str | int))
    return " ".join(parts)


BYTES = 4
HASHES, LIKELIHOODS = "answers", "nats"


class LockedAnswers(Value):
    """Answers of a lock's model to the rows of some predictions."""

    same: tuple[bool, ...]
    """Whether each row has the same answer; empty for kinds without answers."""
    rows: tuple[Prediction, ...]
    """Every row; an answer that its hash does not reveal counts as an unreadable output."""
    unknown: int = 0
    """Rows whose answer its hash does not reveal: it is neither today's nor a right one. All rows of preferences."""

    @property
    def predictions(self) -> tuple[Prediction, ...] | None:
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
    """Compare recorded answers with answers to the same rows; None where they are to other rows."""
    ordered = sorted(predictions, key=lambda row: row.id)
    if not has_entries(recorded) or recorded["rows"] != len(ordered):
        return None
    # paired by the order of ids: the lock holds no ids, which would take more room than the answers
    pairs = list(zip(ordered, _entries(recorded), strict=True))
    if recorded["way"] == LIKELIHOODS:
        rebuilt = [
            (replace(row, nats=struct.unpack("<f", entry)[0], margin=None, rejected_nats=None))
            for row, entry in pairs
        ]
        # the preferred answer of a pair follows from likelihoods that are not kept
        unknown = sum(row.margin is not None for row in ordered)
        return LockedAnswers(same=(), rows=tuple(rebuilt), unknown=unknown)
    same = tuple(_hash(row.label, row.text) == entry for row, entry in pairs)
    known = [_matching_answer(row, entry, task) for row, entry in pairs]
    unreadable = (
        replace(row, label=None, text="?", probability=None, probabilities=()) for row in ordered
    )
    rows = tuple(answer or other for answer, other in zip(known, unreadable, strict=True))
    # with every label tried, a label that was not matched was no answer
    unknown = 0 if task.spec.answer is AnswerForm.LABEL else known.count(None)
    return LockedAnswers(same=same, rows=rows, unknown=unknown)


def _matching_answer(row: Prediction, entry: bytes, task: Task) -> Prediction | None:
    plain = replace(row, probability=None, probabilities=())
    # the same answer as now; only its probabilities are unknown
    if _hash(row.label, row.text) == entry:
        return plain
    for label in dict.fromkeys((row.target, *row.references, *task.labels)):
        if _hash(label, label) == entry:
            return replace(plain, label=label, text=label)
    return None


def _hash(label: str | None, text: str) -> bytes:
    # the first character keeps a label apart from an unreadable output of the same letters
    answer = f"!{text}" if label is None else f"={label}"
    return hashlib.sha256(answer.encode(errors="surrogatepass")).digest()[:BYTES]


def label_counts(recorded: AnswerFacts, labels: Sequence[str]) -> dict[str | None, int]:
    """Return how often each label was answered, to compare with a confusion matrix; None counts other answers."""
    names = {_hash(label, label): label for label in labels}
    counts = Counter(map(names.get, _entries(recorded)))
    return {label: counts[label] for label in (*labels, None)}


def _entries(recorded: AnswerFacts) -> list[bytes]:
    joined = base64.b64decode(recorded["entries"])
    return [joined[at : at + BYTES] for at in range(0, len(joined), BYTES)]


def has_entries(recorded: AnswerFacts) -> bool:
    """Return whether recorded answers have an entry for each row."""
    is_known = recorded["way"] in (HASHES, LIKELIHOODS)
    return is_known and _size(recorded["entries"]) == BYTES * recorded["rows"]


NEAR_NATS: Final = 1e-5
"""Relative error of a number that is computed from likelihoods, which a lock keeps in 32 bits."""
OF_PROBABILITIES = ("ece", "brier")
"""Metrics of probabilities, which a lock does not hold for each row."""
FINGERPRINT = 4
OTHER_HOLDOUT = "the accepted run was judged on another holdout than the one that is recorded"
_CLOCKS = timedelta(days=1)
"""Largest difference of the clocks of two machines."""
_accepted = Comparing("an accepted run", is_whole=True).differences
_seeds = Comparing("the mean of its seeds", is_whole=True).differences


def contradictions(accepted: Accepted) -> Iterator[str]:
    """Yield each fact that cannot be true with the others, in words."""
    rows, answers, marks = accepted.rows, accepted.answers, accepted.fingerprints
    gates = {"gate"} | (accepted.verdicts.keys() & {"verify"})
    yield from _accepted("verdicts", accepted.verdicts, dict.fromkeys(gates, Status.PASS.value))
    if not accepted.metrics:
        yield "`metrics` is empty"
    for name, metric in accepted.metrics.items():
        low, value, high = (metric[part] for part in ("low", "value", "high"))
        if low is None and high is None:
            continue
        if value is None or low is None or high is None:
            yield f"`metrics.{name}` has an interval without its value or one of its ends"
        elif not low - NEAR <= value <= high + NEAR:
            yield f"`metrics.{name}` is {value}, outside of its interval from {low} to {high}"
    spread = {name: _spread(accepted, name) for name in accepted.spread}
    yield from _seeds("spread", accepted.spread, spread)
    digests = {part: getattr(accepted, part) for part in (*FILLED, "merged", "files")}
    digests |= {"recipe": {"digest": accepted.recipe["digest"]}}
    digests["base_model.files"] = accepted.base_model["files"]
    for part, named in digests.items():
        wrong = (name for name, digest in named.items() if not SHA256.fullmatch(digest))
        yield from (f"`{part}.{name}` is no sha256" for name in wrong)
    facts = (
        *((part in FILLED and not named, f"`{part}` is empty") for part, named in digests.items()),
        (accepted.seeds and not spread, f"`spread` is empty in spite of {len(accepted.seeds)} further seeds"),
        (marks is not None and _size(marks) != FINGERPRINT * rows, f"`fingerprints` are not those of {rows:,} rows"),
        (
            _size(answers["entries"]) != BYTES * answers["rows"],
            f"`answers.entries` are not those of {answers['rows']:,} rows",
        ),
        (answers["rows"] > rows, f"`answers.rows` is {answers['rows']:,} of {rows:,} rows that were read"),
        ("holdout" not in accepted.splits, "`splits` has no `holdout`"),
        (accepted.threads < 1, f"`threads` is {accepted.threads}"),
        # with a time in the future every stored result would look older than the lock, and each run a mere reuse
        (
            datetime.fromisoformat(accepted.finished) > datetime.now(UTC) + _CLOCKS,
            f"`finished` is {accepted.finished}, which is in the future",
        ),
    )  # fmt: skip
    yield from (text for is_wrong, text in facts if is_wrong)


FILLED: Final = ("adapter", "predictions", "splits")
"""Digests that every accepted run has."""


def lock_contradictions(lock: Lock) -> Iterator[str]:
    """Yield each fact of a lock's accepted run that cannot be true with the others or the recorded holdout."""
    run, holdout = lock.accepted, lock.splits.get("holdout")
    if run is None:
        return
    yield from contradictions(run)
    if holdout is not None and run.splits.get("holdout") != holdout.digest:
        yield OTHER_HOLDOUT
    elif holdout is not None and run.answers["rows"] != holdout.rows:
        yield f"`answers.rows` is {run.answers['rows']:,}, the recorded holdout has {holdout.rows:,} rows"


def _spread(accepted: Accepted, name: str) -> SpreadFacts | None:
    """Return mean and deviation of all seeds, the first of which is `metrics`; None where a seed has no value."""
    first = accepted.metrics[name]["value"] if name in accepted.metrics else None
    values: list[Any] = [first, *(seed["metrics"].get(name) for seed in accepted.seeds)]
    if None in values or len(values) < 2:
        return None
    return {"mean": fmean(values), "deviation": stdev(values)}


def _size(text: str) -> int:
    """Return the number of bytes in base64; -1 for another text."""
    try:
        # without `validate` other characters are skipped in silence
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return -1


def contradictions_of_recipe(recipe: Recipe, accepted: Accepted) -> Iterator[str]:
    """Yield the contradictions of an accepted run, also with the bounds of this recipe."""
    yield from contradictions(accepted)
    acceptance = recipe.acceptance
    # with folds, bounds are of the answers to all rows
    for bound in () if recipe.splits.folds else acceptance.metrics:
        facts = accepted.metrics.get(bound.metric)
        if facts is None:
            yield f"`metrics` has no `{bound.metric}`, which the recipe bounds"
            continue
        low, value, high = (facts[part] for part in ("low", "value", "high"))
        ends = None
        if low is not None and high is not None:
            ends = Interval(low=low, high=high, confidence=acceptance.confidence, method="")
        metric = Metric(name=bound.metric, value=value, n=facts["n"], interval=ends)
        limit = bound.bound - NEAR if bound.direction == "min" else bound.bound + NEAR
        check = judge(metric, bound.direction, limit, decide_on=acceptance.decide_on)
        if check.status is not Status.PASS:
            most = "least" if bound.direction == "min" else "most"
            yield (
                f"`metrics.{bound.metric}` is {value} ({low} to {high}), accepted by a bound of at {most} "
                f"{bound.bound:g}"
            )


def contradicted_by_answers(
    accepted: Accepted, before: LockedAnswers, recipe: Recipe
) -> dict[str, str]:
    """Return how each metric computed from the answers differs from the lock's; empty text where it does not."""
    near = NEAR_NATS if accepted.answers["way"] == LIKELIHOODS else NEAR
    differences = Comparing("the lock's answers", near=near).differences
    values = values_of(before.rows, recipe.task)
    return {
        name: "; ".join(differences(f"metrics.{name}", metric["value"], values[name]))
        for name, metric in accepted.metrics.items()
        if name not in (*FREE, *OF_PROBABILITIES) and name in values and metric["value"] is not None
    }
