"""What a plan says of a teacher: what it is asked, in which order, about what that costs, and what is kept already."""

from __future__ import annotations

from collections.abc import Iterator

from engine.pipeline.plan import Plan
from engine.recipe.teacher import is_baseline, soft_targets_of
from engine.store import Store


def teacher_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield what a teacher is asked, in which order, and about what it costs; nothing once it has answered."""
    teacher = plan.recipe.teacher
    if teacher is None or plan.stage("teach").reused is not None:
        return
    from engine.estimate.teacher import teacher_estimate  # only where there is one

    found = teacher_estimate(plan.recipe, teacher, store, plan.stage("data").reused)
    rows = "every row without a label" if found.rows is None else f"at most {found.rows:,} rows"
    counted = {
        "validation rows": found.validation,
        "holdout rows": found.holdout,
    }
    judged, held = (
        f"the {name}" if count is None else f"{count:,} {name}" for name, count in counted.items()
    )
    ends = ", and ends there where a cheap baseline is as good"
    stops = ends if teacher.stop_if_teacher_is_no_better else ""
    asked = f"{rows} and {held}" if teacher.inputs.sources else held
    learned = " is trained on the training rows and" if is_baseline(teacher) else ""
    yield f"`{teacher.model.name}`{learned} is asked {judged}{stops}; then {asked}"
    if found.read_tokens is not None and found.written_tokens is not None:
        cost = "" if found.cost is None else f": ~{found.cost:.4f} at the recipe's prices"
        yield f"about {found.read_tokens:,} tokens read, {found.written_tokens:,} written{cost}"
    yield "each row is asked once: answers are kept"


def soft_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield what is asked for soft targets, or that it is there already."""
    soft = soft_targets_of(plan.recipe)
    if soft is None:
        return
    learned = f"learned at temperature {soft.temperature:g}, {soft.weight:.0%} of the loss"
    if plan.stage("soft_targets").reused is not None:
        yield f"its probabilities are kept, and asked for no more; {learned}"
        return
    from engine.estimate.teacher import soft_estimate  # only where there are some

    data = plan.training_data(store)
    found = soft_estimate(plan.recipe, store, data, device=plan.inputs.device)
    rows = "every training row" if found.rows is None else f"{found.rows:,} training rows"
    most = "" if found.counted or found.rows is None else "at most "
    tokens = "" if found.tokens is None else f", about {found.tokens:,} tokens in one pass"
    yield f"then it is asked for its probabilities in {most}{rows}{tokens}; {learned}"
