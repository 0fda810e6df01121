"""What a plan says of synthetic rows: who is asked for how many, and about what that costs."""

from __future__ import annotations

from collections.abc import Iterator

from engine.pipeline.plan import Plan
from engine.store import Store


def synthesis_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield what a model is asked for, and about what it costs; nothing once it has answered."""
    value = plan.recipe.data.synthesize
    if value is None or plan.stage("synthesize").reused is not None:
        return
    from engine.estimate.synthesis import synthesis_estimate  # only where rows are asked for
    from engine.recipe.synthesis import judge_of

    found = synthesis_estimate(plan.recipe, store, plan.stage("data").reused)
    kept = "" if found.most_kept is None else f", of which at most {found.most_kept:,} are kept"
    yield f"`{value.teacher.name}` is asked for {found.rows:,} rows after training rows{kept}"
    if found.votes:
        yield f"`{judge_of(value).name}` is asked at most {found.votes:,} times for their answers"
    if found.read_tokens is not None and found.written_tokens is not None:
        cost = "" if found.cost is None else f": ~{found.cost:.4f} at the recipe's prices"
        most = "" if value.max_cost is None else f", at most {value.max_cost:g}"
        tokens = f"about {found.read_tokens:,} tokens read, {found.written_tokens:,} written"
        yield f"{tokens}{cost}{most}"
    bounds = plan.recipe.acceptance.synthetic
    if bounds is not None and bounds.min_reviewed is not None:
        yield f"then the run waits for people: {value.review}"
    yield "each question is asked once: answers are kept"
