"""Some rows of a scoring, scored once more the plain way: one pass over row and answer, no cache, nothing shared.

A cache that is wrong for a model's attention gives numbers that look like any others. The answer that comes second is
asked where there is one: of an answer that the model is sure of, a wrong context changes the least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.label_search import AnswerTree, Search

EACH: Final = 500
"""One row in so many, and the one of middle length: what pads rows does not touch the longest.

A wrong cache or start gives every row other numbers. What does so to a share q of them only is missed with a chance of
(1 - q) to the number of rows that are looked at.
"""
FAR: Final = {torch.float32: 0.01, torch.bfloat16: 1.0, torch.float16: 0.3}
"""Nats a token, on the mean of the rows. Rounding moves single log-probabilities by 0.3 in bfloat16."""


def sampled_rows(prompts: Sequence[str]) -> frozenset[int]:
    """Return the rows that are scored once more."""
    others = sorted(range(1, len(prompts)), key=lambda at: (len(prompts[at]), at))
    return frozenset({*range(0, len(prompts), EACH), *others[len(others) // 2 :][:1]})


@torch.inference_mode()
def refuse_other_scores(
    loaded: LoadedModel,
    tree: AnswerTree,
    rows: Mapping[int, Sequence[int]],
    searches: Mapping[int, Search],
) -> None:
    """StageError X803 where searches found other scores than the plain way; `rows` are their tokens, `forced` too."""
    asked = [
        (rows[row], tokens, search.scores[answer])
        for row, search in searches.items()
        if (answer := _second(search)) is not None and (tokens := _tokens(tree, answer))
    ]
    away = [abs(_score(loaded, row, tokens) - known) / len(tokens) for row, tokens, known in asked]
    if away:
        _refuse(loaded, math.fsum(away) / len(away), len(away))


@torch.inference_mode()
def refuse_other_nats(loaded: LoadedModel, row: TokenRow, nats: float) -> None:
    """StageError X803 where a row has another likelihood alone than in a batch, whose longer rows pad it."""
    places = [at for at in range(1, len(row.ids)) if row.learned[at]]
    if places:
        tokens = [row.ids[at] for at in places]
        shares = _shares(loaded, row.ids[:-1], [at - 1 for at in places])
        _refuse(loaded, abs(_of(shares, tokens) + nats) / len(places), 1)


@torch.inference_mode()
def plain_lead(
    loaded: LoadedModel, row: Sequence[int], one: Sequence[int], two: Sequence[int], *, least: float
) -> float:
    """Return by how many nats an answer is more probable behind a row than another, as tokens.

    A lead that is `least` at least may be larger: where the other's beginning shows it, the rest is not asked.
    """
    shares = _shares(loaded, [*row, *one[:-1]], _places(row, one))
    own = _of(shares, one)
    same = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if same is not None:
        # No answer is more probable than what it begins with.
        lead = own - _of(shares[: same + 1], two[: same + 1])
        if lead >= least:
            return lead
    return own - _score(loaded, row, two)


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
    """Return the tokens of an answer behind what all answers begin with."""
    number = next(at for at, branch in enumerate(tree.branches) if ~answer in branch.following)
    last = tree.branches[number]
    path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
    return [*path, last.allowed[last.following.index(~answer)]]


def _places(row: Sequence[int], answer: Sequence[int]) -> range:
    return range(len(row) - 1, len(row) - 1 + len(answer))


def _score(loaded: LoadedModel, row: Sequence[int], answer: Sequence[int]) -> float:
    """Return the log-probability of an answer behind a row, both as tokens."""
    return _of(_shares(loaded, [*row, *answer[:-1]], _places(row, answer)), answer)


def _of(shares: torch.Tensor, tokens: Sequence[int]) -> float:
    return math.fsum(shares[range(len(tokens)), list(tokens)].tolist())


def _shares(loaded: LoadedModel, ids: Sequence[int], places: Sequence[int]) -> torch.Tensor:
    """Return the log-probabilities of all tokens behind places of a row."""
    given = torch.tensor([list(ids)], device=loaded.device)
    kept = len(ids) - places[0]
    logits = loaded.model(input_ids=given, use_cache=False, logits_to_keep=kept).logits[0]
    # From the end: some models keep all of them whatever they are asked.
    found: torch.Tensor = logits[[at - len(ids) for at in places]].float().log_softmax(-1)
    return found
