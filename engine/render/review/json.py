"""A review for programs: `schemas/diff.v1.schema.json` describes it."""

from __future__ import annotations

from typing import Any

from engine.evidence.review import Effect, Finding, Review
from engine.render.review.rows import weakened
from engine.values import to_json

SCHEMA = "diff.v1"


def review_json(review: Review) -> dict[str, Any]:
    """The whole review as JSON data."""
    return {
        "schema": SCHEMA,
        "recipe": review.name,
        "old": review.old,
        "new": review.new,
        "gate": {
            "verdict": review.gate.value,
            "unwaived": weakened(review),
            "findings": [finding_json(finding) for finding in review.findings],
        },
        "changes": [{**to_json(change), "area": change.area.value} for change in review.changes],
        "costs": [to_json(cost) for cost in review.costs],
        "reruns": list(review.reruns),
        "config": {
            "backends": list(review.backends),
            "changes": [to_json(change) for change in review.config],
        },
        "notes": list(review.notes),
        "uncompared": list(review.uncompared),
        "same": review.is_empty,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding as JSON data."""
    is_waived = finding.effect is not Effect.STRONGER and bool(finding.waiver)
    return {**to_json(finding), "effect": finding.effect.value, "waived": is_waived}
