"""Some rows of a scoring, scored once more the plain way: one pass over rows and answers, no cache, nothing shared.

A cache that is wrong for a model's attention gives numbers that look like any others. The answer that comes second is
asked where there is one: of an answer that the model is sure of, a wrong context changes the least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch

from engine.errors import StageError
from engine.runtime.models.load import LoadedModel, wants_single_rows
from engine.runtime.rendering.segments import TokenRow
from engine.runtime.scoring.label_search import AnswerTree, Search

EACH: Final = 500
"""One row in so many, and the one of middle length: what pads rows does not touch the longest.

A wrong cache or start gives every row other numbers. What does so to a share q of them only is missed with a chance of
(1 - q) to the number of rows that are looked at.
"""
TOGETHER: Final = 512
"""Tokens of a pass, what fills the ends of shorter rows included: a pass over few takes as long as reading the weights.

What stands behind a row cannot reach it, whatever the model makes of padding, since every token sees earlier ones only.
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
    scores = plain_scores(loaded, [(row, tokens) for row, tokens, _ in asked])
    away = [
        abs(score - known) / len(tokens)
        for score, (_, tokens, known) in zip(scores, asked, strict=True)
    ]
    if away:
        _refuse(loaded, math.fsum(away) / len(away), len(away))


@torch.inference_mode()
def refuse_other_nats(loaded: LoadedModel, row: TokenRow, nats: float) -> None:
    """StageError X803 where a row has another likelihood alone than in a batch, whose longer rows pad it."""
    places = [at for at in range(1, len(row.ids)) if row.learned[at]]
    if places:
        tokens = [row.ids[at] for at in places]
        (alone,) = _scores(loaded, [_Asked(row.ids[:-1], [at - 1 for at in places], tokens)])
        _refuse(loaded, abs(alone + nats) / len(places), 1)


@torch.inference_mode()
def plain_scores(
    loaded: LoadedModel, asked: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    """Return the log-probability of each answer behind its row, both as tokens."""
    every = [
        _Asked([*row, *answer[:-1]], range(len(row) - 1, len(row) - 1 + len(answer)), answer)
        for row, answer in asked
    ]
    order = sorted(range(len(every)), key=lambda at: (len(every[at].ids), at))
    longest = max((len(one.ids) for one in every), default=0)
    # Of recurrent layers nothing is taken for granted.
    most = 1 if wants_single_rows(loaded.model.config, longest) else TOGETHER
    found = dict[int, float]()
    while order:
        count = 1
        while count < len(order) and (count + 1) * len(every[order[count]].ids) <= most:
            count += 1
        members, order = order[:count], order[count:]
        scores = _scores(loaded, [every[at] for at in members])
        found |= dict(zip(members, scores, strict=True))
    return [found[at] for at in range(len(every))]


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


class _Asked(NamedTuple):
    """Tokens of a row, and which of its places predict which tokens."""

    ids: Sequence[int]
    places: Sequence[int]
    tokens: Sequence[int]


def _scores(loaded: LoadedModel, rows: Sequence[_Asked]) -> list[float]:
    """Return the log-probability of the tokens of each row, all rows in one pass."""
    width = max(len(one.ids) for one in rows)
    filled = [[*one.ids, *[one.ids[-1]] * (width - len(one.ids))] for one in rows]
    kept = width - min(one.places[0] for one in rows)
    given = torch.tensor(filled, device=loaded.device)
    logits = loaded.model(input_ids=given, use_cache=False, logits_to_keep=kept).logits
    # From the end: some models keep all of them whatever they are asked.
    first = width - logits.shape[1]
    found = []
    for one, own in zip(rows, logits, strict=True):
        shares = own[[at - first for at in one.places]].float().log_softmax(-1)
        found.append(math.fsum(shares[range(len(one.tokens)), list(one.tokens)].tolist()))
    return found
