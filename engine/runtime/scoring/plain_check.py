"""Some rows of a scoring, scored once more the plain way: passes over row and answer, no cache, nothing shared.

A cache that is wrong for a model's attention gives numbers that look like any others. The answer that comes second is
asked where there is one: of an answer that the model is sure of, a wrong context changes the least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel, plain_logits
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.label_search import SCORED, AnswerTree, Search

EACH: Final = 500
"""One row in so many beyond the one of middle length: what pads rows does not touch the longest.

A wrong cache or start gives every row other numbers. What does so to a share q of them only is missed with a chance of
(1 - q) to the number of rows that are looked at.
"""
FAR: Final = {torch.float32: 0.01, torch.bfloat16: 1.0, torch.float16: 0.3}
"""Nats a token, on the mean of the rows. Rounding moves single log-probabilities by 0.3 in bfloat16."""


def sampled_rows(loaded: LoadedModel, prompts: Sequence[str]) -> frozenset[int]:
    """Return the rows that are scored once more.

    Where such a model has scored as many rows before, none of middle length is among them: a wrong cache, start or
    padding is one of the code and the model's attention, and shows in each scoring. A merged model has the attention of
    its base, and another adapter the same.
    """
    before = SCORED[_kind(loaded)]
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    middle = order[len(order) // 2 :][:1] if len(prompts) > before else []
    return frozenset({*range(EACH, len(prompts), EACH), *middle})


def _kind(loaded: LoadedModel) -> tuple[bytes, bool, str, str]:
    settings = (loaded.folder / "config.json").read_bytes()
    return settings, loaded.adapter is not None, loaded.precision, loaded.device.type


@torch.inference_mode()
def refuse_other_scores(
    loaded: LoadedModel,
    tree: AnswerTree,
    rows: Mapping[int, Sequence[int]],
    searches: Mapping[int, Search],
    *,
    of: int,
) -> None:
    """StageError X803 where searches of `rows`, sampled out of so many (`of`), have other scores than plain ones."""
    asked = [
        (rows[row], tokens, search.scores[answer])
        for row, search in searches.items()
        if (answer := _second(search)) is not None and (tokens := _tokens(tree, answer))
    ]
    found = plain_logits(
        loaded.model,
        [[*row, *tokens[:-1]] for row, tokens, _ in asked],
        [range(len(row) - 1, len(row) - 1 + len(tokens)) for row, tokens, _ in asked],
    )
    away = [
        abs(_of(logits, tokens) - known) / len(tokens)
        for logits, (_, tokens, known) in zip(found, asked, strict=True)
    ]
    if away:
        _refuse(loaded, math.fsum(away) / len(away), len(away))
    if away or SCORED[_kind(loaded)]:
        SCORED[_kind(loaded)] += of


@torch.inference_mode()
def refuse_other_nats(loaded: LoadedModel, row: TokenRow, nats: float) -> None:
    """StageError X803 where a row has another likelihood alone than in a batch, whose longer rows pad it."""
    places = [at for at in range(1, len(row.ids)) if row.learned[at]]
    if places:
        (logits,) = plain_logits(loaded.model, [row.ids[:-1]], [[at - 1 for at in places]])
        apart = abs(_of(logits, [row.ids[at] for at in places]) + nats)
        _refuse(loaded, apart / len(places), 1)


def _refuse(loaded: LoadedModel, apart: float, rows: int) -> None:
    # Written this way round, so that NaN fails too.
    if not apart <= FAR.get(loaded.model.dtype, 1.0):
        raise StageError.one(
            "X803",
            f"of {rows} rows that were scored once more, with nothing cached or shared, the answers differ by"
            f" {apart:.2g} nats a token: the scores of all rows are wrong",
            hint="report it with the base model's config.json; another version of transformers may be right",
        )


def _second(search: Search) -> int | None:
    """Return the second best of the answers that have a score, or the only one; None for no number."""
    order = sorted(search.scores, key=lambda answer: (-search.scores[answer], answer))
    found = order[min(1, len(order) - 1)]
    return found if math.isfinite(search.scores[found]) else None


def _tokens(tree: AnswerTree, answer: int) -> list[int]:
    number = next(at for at, branch in enumerate(tree.branches) if ~answer in branch.following)
    last = tree.branches[number]
    path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
    return [*path, last.allowed[last.following.index(~answer)]]


def _of(logits: torch.Tensor, tokens: Sequence[int]) -> float:
    shares = logits.log_softmax(-1)
    return math.fsum(shares[range(len(tokens)), list(tokens)].tolist())
