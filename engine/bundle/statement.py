"""What a bundle's signature stands under: an in-toto statement of the model's files and what was found of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from engine.evidence import Check, Report, Verdict
from engine.lock.file import Accepted

TYPE = "https://in-toto.io/Statement/v1"
_MADE_WITH = ("versions", "hardware", "threads", "precision")
PREDICATE_TYPE = "urn:slm-recipe:accepted-model:v1"


def statement_of(
    report: Report,
    accepted: Accepted,
    evidence: Mapping[str, bytes],
    *,
    written_with: str | None = None,
) -> dict[str, Any]:
    """Return the statement of an accepted run; `written_with` is the version that wrote the pages, None for unknown.

    Its subjects are the files of the model: those that leave, and what was trained. The predicate says
    how they were judged, from what they were made, and which files of the bundle tell more.
    """
    return {
        "_type": TYPE,
        "subject": subjects(accepted),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "recipe": {
                "name": report.recipe_name,
                "digest": {"sha256": accepted.recipe["digest"]},
                "seed": accepted.recipe["seed"],
            },
            "outcome": report.outcome,
            "started": report.started,
            "accepted": accepted.finished,
            "reproduction": report.reproduction.verdict.value if report.reproduction else None,
            "verdicts": verdicts(report),
            "metrics": dict(accepted.metrics),
            "noise": dict(accepted.spread),
            "made_from": {
                "base_model": dict(accepted.base_model),
                "sources": [dict(source) for source in accepted.sources],
                "config": {"sha256": accepted.config},
            },
            "made_with": {name: getattr(accepted, name) for name in _MADE_WITH},
            # the first bundles did not say it
            **({"pages_written_with": written_with} if written_with else {}),
            "evidence": [
                _named(name, hashlib.sha256(data).hexdigest())
                for name, data in sorted(evidence.items())
            ],
        },
    }


def subjects(accepted: Accepted) -> list[dict[str, Any]]:
    """Return the files of the model with their digests, each once."""
    digests = {**accepted.adapter, **accepted.files}
    return [_named(name, digest) for name, digest in sorted(digests.items())]


def verdicts(report: Report) -> dict[str, Any]:
    """Return the verdicts of the gates, with every check."""
    gates = {"gate": report.gate, "verify": report.verify}
    return {name: _verdict(gate) for name, gate in gates.items() if gate}


def to_bytes(statement: Mapping[str, Any]) -> bytes:
    """Return the statement as it is signed: byte-equal for equal content."""
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _verdict(gate: Verdict) -> dict[str, Any]:
    return {"status": gate.status.value, "checks": [_check(check) for check in gate.checks]}


def _check(check: Check) -> dict[str, Any]:
    interval = [check.interval.low, check.interval.high] if check.interval else None
    return {
        "name": check.name,
        "status": check.status.value,
        "got": check.got,
        "interval": interval,
        "decided_on": check.decided_on,
        check.direction: check.bound,
        "rows": check.n,
    }


def _named(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}
