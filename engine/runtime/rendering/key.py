"""What rendered rows depend on, light enough for a plan: torch and transformers are not needed to name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthLimits:
    """What is done with rows that do not fit."""

    max_length: int
    """Tokens, prompt and answer together."""
    truncation: str
    """`fail`, `drop`, `warn` (cut the text and say so) or `off` (cut it)."""
    template_tokens: str = "fail"
    """`fail`, `drop`, `warn` or `off`: texts that hold tokens of the chat template."""
    loss: str = ""
    """Of a training on preferences, whose trainers tokenise the text; empty for the others."""

    @classmethod
    def of(cls, recipe: Recipe) -> LengthLimits:
        """Return those of a recipe."""
        checks, preference = recipe.data.checks, recipe.method.preference
        return cls(
            max_length=recipe.method.max_length,
            truncation=checks.truncation,
            template_tokens=checks.template_tokens,
            loss=preference.loss if preference else "",
        )


def holdout_payload(task: Task, *, base_model: Mapping[str, Any], holdout: str) -> dict[str, Any]:
    """Return the payload of the key of the holdout's lengths."""
    return {
        "revision": 1,
        "task": written_task(task),
        "base_model": dict(base_model),
        "holdout": holdout,
    }


def rendered_payload(
    task: Task, limits: LengthLimits, *, base_model: Mapping[str, Any], data: str
) -> dict[str, Any]:
    """Return the payload of the rows' key."""
    return {
        "revision": REVISION,
        "task": written_task(task),
        # Without a loss where there is none, as in the keys of earlier versions.
        **{name: value for name, value in asdict(limits).items() if name != "loss" or value},
        "base_model": dict(base_model),
        "data": data,
    }


def written_task(task: Task) -> dict[str, Any]:
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
    limits = LengthLimits.of(recipe)
    payload = rendered_payload(recipe.task, limits, base_model=base_model, data=data)
    return product_key(PRODUCT, payload)


def counts_after_rendering(recipe: Recipe) -> bool:
    """Return whether only the tokenizer knows how many of the recipe's rows are trained.

    Some are left out for their length or for tokens of the chat template, or documents are cut into blocks.
    """
    checks = recipe.data.checks
    return not recipe.task.spec.has_turns or "drop" in (checks.truncation, checks.template_tokens)
