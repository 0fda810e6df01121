"""What rendered rows depend on, light enough for a plan: torch and transformers are not needed to name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.recipe.model import Recipe, Task
from engine.store import StageKey, product_key

REVISION = 3
"""Bumped when the same examples would now give other rows."""
PRODUCT = "rendered"
FACTS = "rendering.json"
"""Counts of every split, beside the rows."""
HOLDOUT = "holdout_lengths"
"""The product with the lengths of the holdout's rows."""
HOLDOUT_FACTS = "lengths.json"


def holdout_payload(task: Task, *, base_model: Mapping[str, Any], holdout: str) -> dict[str, Any]:
    """Return the payload of the key of the holdout's lengths."""
    return {
        "revision": 1,
        "task": _asked(task),
        "base_model": dict(base_model),
        "holdout": holdout,
    }


def rendered_payload(
    task: Task,
    *,
    max_length: int,
    checks: tuple[str, str],
    base_model: Mapping[str, Any],
    data: str,
) -> dict[str, Any]:
    """Return the payload of the rows' key; `checks` are those of truncation and template tokens."""
    truncation, template_tokens = checks
    return {
        "revision": REVISION,
        "task": _asked(task),
        "max_length": max_length,
        "truncation": truncation,
        "template_tokens": template_tokens,
        "base_model": dict(base_model),
        "data": data,
    }


def _asked(task: Task) -> dict[str, Any]:
    """Return what of the task stands in a row; how its columns are read is the data's business."""
    return {
        "kind": task.kind,
        "instruction": task.instruction,
        "system": task.system,
        "labels": list(task.labels),
        "schema": task.schema,
        "output": task.output,
    }


def rendered_key(recipe: Recipe, data: str, base_model: Mapping[str, Any]) -> StageKey:
    """Return the key of the rows as text; `data` is the data stage's own."""
    checks = recipe.data.checks
    return product_key(
        PRODUCT,
        rendered_payload(
            recipe.task,
            max_length=recipe.method.max_length,
            checks=(checks.truncation, checks.template_tokens),
            base_model=base_model,
            data=data,
        ),
    )


def counts_after_rendering(recipe: Recipe) -> bool:
    """Return whether only the tokenizer knows how many of the recipe's rows are trained.

    Some are left out for their length or for tokens of the chat template, or documents are cut into blocks.
    """
    checks = recipe.data.checks
    return not recipe.task.spec.has_turns or "drop" in (checks.truncation, checks.template_tokens)
