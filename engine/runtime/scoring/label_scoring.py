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
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch

from engine.errors import StageError
from engine.progress import Progress
from engine.runtime.models.load import LoadedModel, wants_single_rows
from engine.runtime.scoring.label_search import AnswerTree, LabelChoice, Search, make_tree
from engine.runtime.scoring.packed_cache import UnsupportedModelError, feed
from engine.runtime.scoring.packed_search import (
    Done,
    PackedSearch,
    PromptTokens,
    read_logits,
    take,
)
from engine.runtime.scoring.plain_check import refuse_other_scores, sampled_rows

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
    by their tokens, X612 when the model's answer is not a number, X803 where rows that are scored once more the plain
    way have other numbers.
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
    sample, searches = sampled_rows(loaded, prompts), dict[int, Search]()

    def done(row: int, search: Search) -> None:
        choices[row] = search.choice
        if row in sample:
            searches[row] = search
        progress.update(len(choices), len(prompts), "rows")

    search_rows(
        loaded, prompts, tree, make=lambda: Search(tree, distribution=distribution), done=done
    )
    if tree.branches:
        rows = {row: [*loaded.chat.token_ids(prompts[row]), *tree.forced] for row in searches}
        refuse_other_scores(loaded, tree, rows, searches, of=len(prompts))
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
    if not wants_single_rows(loaded.model.config, rows.longest + tree.depth):
        # raised by the first pass, before any row is done, so `done` is called for each row once
        with suppress(UnsupportedModelError):
            PackedSearch(loaded, rows, tree).run(make, done)
            return
    for row in range(len(prompts)):
        done(row, _alone(loaded, rows.whole(row), tree, make()))


def _alone(loaded: LoadedModel, row: Sequence[int], tree: AnswerTree, search: Search) -> Search:
    """Run one row's search the way `generate` would: a cache of its own, and token by token."""
    state, logits = feed(loaded, None, row)
    take(search, 0, *read_logits(logits, tree.branches[0].scored))
    while wanted := search.wanted():
        for number in wanted:
            path = [token for at in tree.path(number) for token in tree.branches[at].tokens]
            # A copy for each branch: a cache is changed in place, and a recurrent state cannot be taken back.
            after, outputs = copy.deepcopy(state), []
            for token in path:
                after, logits = feed(loaded, after, [token])
                outputs.append(logits)
            scored = tree.branches[number].scored
            logits = torch.cat(outputs[-len(scored) :])
            take(search, number, *read_logits(logits, scored))
    return search
