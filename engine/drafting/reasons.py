"""What was guessed for a draft and why, and what the person should know."""

from __future__ import annotations

from collections.abc import Iterator

from engine.drafting.plan import Plan, labels
from engine.drafting.prompt import max_length
from engine.drafting.roles import LABEL_NAMES, rank
from engine.drafting.sizes import FEW_ROWS


def reasons(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Yield what was guessed, and why."""
    guess = plan.guess
    for reading in plan.readings[:1]:
        if reading.says_format or reading.header:
            yield "format", reading.format, reading.why
    yield "kind", guess.kind, guess.why_kind
    if guess.text and not guess.shape:
        yield "text", guess.text, guess.why_text
    if guess.label and not guess.shape:
        what = {"generation": "answer", "extraction": "fields"}.get(guess.kind, "label")
        yield what, guess.label, guess.why_label
    yield _splits(plan)
    for check, (action, why) in list(plan.checks.items())[1:]:
        yield f"checks.{check}", action, why
    length, _ = max_length(plan)
    yield "max_length", str(length), "tokens, from the longest row; `recipe data` counts them"


def _splits(plan: Plan) -> tuple[str, str, str]:
    if plan.by_files:
        counts = ", ".join(f"{count:,} {name}" for name, count in plan.profile.by_split.items())
        return "splits", "files", f"the file holds {counts}"
    sizes, rows = plan.sizes, plan.profile.rows
    left = rows - sizes.validation - sizes.holdout
    return (
        "splits",
        f"holdout {sizes.holdout}",
        f"of {rows:,} rows; {sizes.validation} for validation, about {left:,} left to train on",
    )


def notes(plan: Plan) -> Iterator[str]:
    """Yield what the person should know."""
    rows = plan.profile.rows
    if rows < FEW_ROWS and not plan.by_files:
        yield f"{rows:,} rows are few: a holdout of {plan.sizes.holdout} decides little"
        yield "`splits.folds` in its place judges every row once"
    yield from _unused_labels(plan)
    if plan.guess.kind == "preference":
        yield "preference is read and checked; a whole run of it is not there yet"
    named = labels(plan) if plan.guess.kind == "classification" else []
    if named and all(label.lstrip("-").isdigit() for label in named):
        yield "the labels are numbers: `data.label.relabel` gives them words, which a model knows more about"


def _unused_labels(plan: Plan) -> Iterator[str]:
    """Yield why a column with the name of a label is none, where the rows are taken for plain text."""
    for column in plan.profile.columns.values() if plan.guess.kind == "text" else ():
        if column.name == plan.guess.text or rank(column.name, LABEL_NAMES) >= len(LABEL_NAMES):
            continue
        if len(column.values) == 1:
            yield f"`{column.name}` says the same in every row, so it is no label"
        elif len(column.values) > 1 and column.filled < len(plan.profile.kept):
            empty = len(plan.profile.kept) - column.filled
            yield f"`{column.name}` is empty in {empty:,} rows; --label {column.name} takes the others"
