"""Whether the facts of an accepted run agree with each other, as far as a lock alone can tell."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev
from typing import Any

from engine.evidence import Status
from engine.lock.accepted import Accepted

NEAR = 2e-6
"""Numbers of a lock are rounded to six decimals."""
FINGERPRINT, ANSWER = 4, 4
"""Bytes of each row's fingerprint, and of each answer."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CLOCKS = timedelta(days=1)
"""By which the clocks of two machines may differ."""


def contradictions(accepted: Accepted) -> Iterator[str]:
    """Yield each fact that cannot be true beside the others, in words."""
    yield from _verdicts(accepted)
    yield from _metrics(accepted)
    yield from _spread(accepted)
    yield from _counts(accepted)
    yield from _digests(accepted)
    if datetime.fromisoformat(accepted.finished) > datetime.now(UTC) + _CLOCKS:
        yield f"`finished` is {accepted.finished}, which is still to come"


def _verdicts(accepted: Accepted) -> Iterator[str]:
    if "gate" not in accepted.verdicts:
        yield "`verdicts` has no `gate`"
    for name, verdict in accepted.verdicts.items():
        if verdict != Status.PASS:
            yield f"`verdicts.{name}` is `{verdict}` for an accepted run"


def _metrics(accepted: Accepted) -> Iterator[str]:
    if not accepted.metrics:
        yield "`metrics` is empty"
    for name, metric in accepted.metrics.items():
        value, low, high = metric["value"], metric["low"], metric["high"]
        if value is None and (low is not None or high is not None):
            yield f"`metrics.{name}` has an interval and no value"
        elif None not in (low, high) and not low - NEAR <= value <= high + NEAR:
            yield f"`metrics.{name}` is {value}, outside of its interval from {low} to {high}"
        elif (low is None) != (high is None):
            yield f"`metrics.{name}` has one end of an interval"


def _spread(accepted: Accepted) -> Iterator[str]:
    """Yield what is not the mean and the deviation of all seeds, the first of which is `metrics`."""
    if accepted.seeds and not accepted.spread:
        yield f"`spread` is empty beside {len(accepted.seeds)} further seeds"
    for name, spread in accepted.spread.items():
        first = accepted.metrics.get(name, {}).get("value")
        values = [first, *(seed["metrics"].get(name) for seed in accepted.seeds)]
        known = [value for value in values if value is not None]
        if len(known) != len(values) or len(known) < 2:  # noqa: PLR2004 - a deviation needs two
            yield f"`spread.{name}` stands on seeds that are not there"
        elif abs(fmean(known) - spread["mean"]) > NEAR:
            yield f"`spread.{name}.mean` is {spread['mean']}, its seeds give {fmean(known):.6f}"
        elif abs(stdev(known) - spread["deviation"]) > NEAR:
            yield f"`spread.{name}.deviation` is {spread['deviation']}, its seeds give {stdev(known):.6f}"


def _counts(accepted: Accepted) -> Iterator[str]:
    rows, answers = accepted.rows, accepted.answers
    marks = accepted.fingerprints
    if marks is not None and _bytes(marks) != FINGERPRINT * rows:
        yield f"`fingerprints` are not those of {rows:,} rows"
    if _bytes(answers["entries"]) != ANSWER * answers["rows"]:
        yield f"`answers.entries` are not those of {answers['rows']:,} rows"
    if answers["rows"] > rows:
        yield f"`answers.rows` is {answers['rows']:,} of {rows:,} rows that were read"


def _bytes(text: str) -> int:
    """Return how many bytes base64 holds; -1 where it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return -1


def _digests(accepted: Accepted) -> Iterator[str]:
    parts: Mapping[str, Mapping[str, Any]] = {
        "recipe": {"digest": accepted.recipe["digest"]},
        "splits": accepted.splits,
        "base_model.files": accepted.base_model["files"],
        "predictions": accepted.predictions,
        "adapter": accepted.adapter,
        "merged": accepted.merged,
        "files": accepted.files,
    }
    for part, digests in parts.items():
        for name, digest in digests.items():
            if not _SHA256.fullmatch(digest):
                yield f"`{part}.{name}` is no sha256"
    for part in ("adapter", "predictions", "splits"):
        if not parts[part]:
            yield f"`{part}` is empty"
    if "holdout" not in accepted.splits:
        yield "`splits` has no `holdout`"
