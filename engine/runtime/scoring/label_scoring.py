"""The most probable of given answers, for many prompts: exactly, and with no token fed twice.

An answer's log-probability is the sum over its tokens, terminator included, under the softmax over
the whole vocabulary. What all prompts share at the start goes through the model once. The rest of
each prompt, and the nodes of the answers' trie that its best-first search asks for
(`engine.runtime.scoring.label_search`), go through it in packed passes of many rows
(`engine.runtime.scoring.packed_search`); logits are computed only where an answer is decided. So the number of
answers hardly matters.

Models with recurrent layers, with windows shorter than a row, or with attention of a kind not known
here go one row at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.models.load import LoadedModel, wants_single_rows
from engine.runtime.scoring.label_search import AnswerTree, LabelChoice, Search, make_tree
from engine.runtime.scoring.packed_cache import UnsupportedModelError
from engine.runtime.scoring.packed_search import (
    Done,
    PackedSearch,
    PromptTokens,
    log_probabilities,
    take,
)

__all__ = ["LabelChoice", "choose", "search_rows"]


def choose(
    loaded: LoadedModel,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    progress: Progress,
    distribution: bool = False,
) -> list[LabelChoice]:
    """Return for each prompt the most probable of `answers`; with `distribution`, all their shares.

    `answers` end with the chat's terminator. StageError X611 when two answers cannot be distinguished
    by their tokens, X612 when the model's answer is not a number.
    """
    try:
        tree = make_tree([loaded.chat.token_ids(answer) for answer in answers])
    except ValueError as error:
        raise StageError.one(
            "X611",
            f"the answers cannot be distinguished by their tokens: {error}",
            hint="rename one of the labels",
        ) from error
    choices: dict[int, LabelChoice] = {}
    counted = 0

    def done(row: int, search: Search) -> None:
        nonlocal counted
        choices[row] = search.choice
        counted += 1
        progress.update(counted, len(prompts), "rows")

    search_rows(
        loaded, prompts, tree, make=lambda: Search(tree, distribution=distribution), done=done
    )
    return [choices[row] for row in range(len(prompts))]


@torch.inference_mode()
def search_rows(
    loaded: LoadedModel,
    prompts: Sequence[str],
    tree: AnswerTree,
    *,
    make: Callable[[], Search],
    done: Done,
) -> None:
    """Run one search of `make` for each prompt to its end and hand it to `done`, in any order."""
    if not tree.branches:
        for row in range(len(prompts)):
            done(row, make())
        return
    if not prompts:
        return
    rows = PromptTokens.of(loaded, prompts, tree.forced)
    if not wants_single_rows(loaded.model.config, rows.longest + _depth(tree)):
        # raised by the first pass, before any row is done, so `done` is called for each row once
        with suppress(UnsupportedModelError):
            PackedSearch(loaded, rows, tree).run(make, done)
            return
    for row in range(len(prompts)):
        done(row, _alone(loaded, rows.whole(row), tree, make()))


def _depth(tree: AnswerTree) -> int:
    return max(branch.depth + len(branch.tokens) for branch in tree.branches)


def _alone(loaded: LoadedModel, row: Sequence[int], tree: AnswerTree, search: Search) -> Search:
    """Run one row's search the way `generate` would: a cache of its own, and token by token."""
    state, logits = _step(loaded, None, row)
    take(search, 0, log_probabilities(logits, [[*tree.branches[0].allowed]]))
    while wanted := search.wanted():
        for number in wanted:
            branch = tree.branches[number]
            path = list(_path(tree, number))
            # A copy for each branch: a cache is changed in place, and a recurrent state cannot be taken back.
            after, outputs = copy.deepcopy(state), []
            for token in path:
                after, logits = _step(loaded, after, [token])
                outputs.append(logits)
            scored_tokens = [*([token] for token in branch.tokens[1:]), [*branch.allowed]]
            take(
                search,
                number,
                log_probabilities(torch.cat(outputs[-len(scored_tokens) :]), scored_tokens),
            )
    return search


def _path(tree: AnswerTree, number: int) -> Iterator[int]:
    """Yield the tokens from the end of the prompt to the end of a branch."""
    branch = tree.branches[number]
    if branch.parent >= 0:
        yield from _path(tree, branch.parent)
    yield from branch.tokens


def _step(
    loaded: LoadedModel,
    state: Any,
    tokens: Sequence[int],
) -> tuple[Any, torch.Tensor]:
    """Feed tokens behind `state`; return the new state and the last logits, [1, V]."""
    ids = torch.tensor([tokens], device=loaded.device)
    output = loaded.model(input_ids=ids, past_key_values=state, use_cache=True, logits_to_keep=1)
    return output.past_key_values, output.logits[0]
