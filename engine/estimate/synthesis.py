"""What a model will be asked for synthetic rows, and what that costs, before it is asked."""

from __future__ import annotations

from engine.data.token_estimate import estimated_tokens
from engine.estimate.teacher import answer_tokens, mean_length, price_of, split_rows
from engine.recipe.model import Recipe
from engine.recipe.teacher import judge_of, most_kept, synthesis_of
from engine.store import Artifact, Store
from engine.values import Value

OBJECT_TOKENS = 12
"""Of an object around a written text, and of the words that ask for it, about."""
ASKING_TOKENS = 60
"""Of what each request says beside prompt and examples, about."""


class SynthesisEstimate(Value):
    """How many rows are asked for, how often they are asked again, and about how many tokens that is."""

    rows: int
    votes: int
    """Answers to written rows, where every row has the form that was asked for."""
    read_tokens: int | None
    """None while it is not known how long rows are."""
    written_tokens: int | None
    cost: float | None
    """At the recipe's prices; None without one."""
    most_kept: int | None
    """By `keep.max_share`; None while the training rows are not counted."""


def synthesis_estimate(recipe: Recipe, store: Store, data: Artifact | None) -> SynthesisEstimate:
    value = synthesis_of(recipe)
    votes, train = value.rows * value.agreement.votes, split_rows(recipe, data)["train"]
    read = written = cost = None
    length = mean_length(recipe, store, data)
    if length:
        prompt = estimated_tokens(value.prompt or recipe.task.instruction, english=True)
        one = prompt + ASKING_TOKENS + value.examples * length
        answer = answer_tokens(recipe)
        asked = estimated_tokens(recipe.task.instruction, english=True) + length
        asked *= 1 + judge_of(value).shots
        reading, writing = value.rows * one, value.rows * (length + OBJECT_TOKENS)
        judged = votes * asked, votes * answer
        read, written = round(reading + judged[0]), round(writing + judged[1])
        costs = (
            price_of(value.teacher.endpoint, reading, writing),
            price_of(judge_of(value).endpoint, *judged) if votes else None,
        )
        known = [one for one in costs if one is not None]
        cost = sum(known) if known else None
    return SynthesisEstimate(
        rows=value.rows,
        votes=votes,
        read_tokens=read,
        written_tokens=written,
        cost=cost,
        most_kept=None if train is None else min(value.rows, most_kept(value, train)),
    )
