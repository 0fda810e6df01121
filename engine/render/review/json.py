"""A review for programs: `schemas/diff.v1.schema.json` describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.recipe.review import Effect, Review
from engine.render.review.words import weakened

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
            "findings": [
                {
                    **asdict(finding),
                    "effect": finding.effect.value,
                    "waived": finding.effect is Effect.WEAKER and bool(finding.waiver),
                }
                for finding in review.findings
            ],
        },
        "changes": [{**asdict(change), "area": change.area.value} for change in review.changes],
        "costs": [asdict(cost) for cost in review.costs],
        "reruns": list(review.reruns),
        "config": {
            "backends": list(review.backends),
            "changes": [asdict(change) for change in review.config],
        },
        "notes": list(review.notes),
        "same": review.is_empty,
    }
