"""Jobs behind a prompt in llama.cpp: search the most probable answer, or decode text.

All numbers are log-probabilities under the softmax over the whole vocabulary, as in transformers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.runtime.generation.sequence import TAIL, AnswerDecoding, AnswerTokens
from engine.runtime.llama.engine import START, Engine, FeedRequest, Job, Logits
from engine.runtime.scoring.label_search import AnswerTree, Search
from engine.values import replace

if TYPE_CHECKING:
    from engine.runtime.generation.grammar import Matcher

FORCED = 0
"""Node of a search at the end of what all answers begin with; branch b is node b + 1."""
MOST_TOKENS = 512


class NotFiniteError(ArithmeticError):
    """The model's logits are not finite: its weights are damaged."""


def normaliser(logits: NDArray[Any]) -> float:
    """Return log of the sum of exp. NotFiniteError where that is no number."""
    top = float(logits.max())
    if not math.isfinite(top):
        raise NotFiniteError
    # In float64: a vocabulary is tens of thousands of small terms.
    return top + math.log(float(np.exp(logits - top).sum(dtype=np.float64)))


class SearchJob:
    """The most probable answer of a tree, exactly."""

    def __init__(self, tree: AnswerTree, *, distribution: bool) -> None:
        """Start; with `distribution`, the shares of all answers too."""
        self._tree = tree
        self.search = Search(tree, distribution=distribution)
        whole = len(tree.forced) + sum(len(branch.tokens) for branch in tree.branches)
        # At least one whole path has to fit: a search that cannot get to an answer's end would never end itself.
        self.cells = max(len(tree.forced) + tree.depth, min(whole, MOST_TOKENS))
        self._started = not tree.forced or not tree.branches

    def begin(self, logits: Logits) -> None:
        if self._started and self._tree.branches:
            self._take(0, [logits])

    def requests(self) -> Sequence[FeedRequest]:
        if not self._started:
            return (FeedRequest(node=FORCED, behind=START, tokens=self._tree.forced),)
        found, root = [], FORCED if self._tree.forced else START
        for number in self.search.wanted():
            branch = self._tree.branches[number]
            behind = root if branch.parent == 0 else branch.parent + 1
            found.append(
                FeedRequest(node=number + 1, behind=behind, tokens=branch.tokens, every=True)
            )
        return found

    def take(self, request: FeedRequest, logits: Sequence[Logits]) -> None:
        self._started = True
        self._take(0 if request.node == FORCED else request.node - 1, logits)

    def settles(self, text: DecodingJob, answers: Sequence[Sequence[int]]) -> bool:
        """Give `text` what it would say, where that is one of the answers: each of its tokens was looked at."""
        greedy = self.search.choice.greedy
        return greedy is not None and text.take_text(answers[greedy])

    def _take(self, number: int, logits: Sequence[Logits]) -> None:
        branch = self._tree.branches[number]
        *inner, last = logits
        scores = [
            float(one[token]) - normaliser(one)
            for one, token in zip(inner, branch.tokens[1:], strict=True)
        ]
        base = normaliser(last)
        self.search.take(
            number,
            [*scores, *(float(last[token]) - base for token in branch.allowed)],
            [int(one.argmax()) for one in logits],
        )


class DecodingJob:
    """Greedy text, free or constrained by a grammar."""

    def __init__(self, answer: AnswerTokens, *, most: int, matcher: Matcher | None = None) -> None:
        """Start with what the grammar forces; at most `most` tokens."""
        self.decoding = AnswerDecoding(answer, matcher)
        self._answer = answer
        self._most = most
        self._pending = list(self.decoding.tokens)
        self.cells = most + len(self._pending) + 1

    def begin(self, logits: Logits) -> None:
        if not self._pending:
            self._step(logits)

    def requests(self) -> Sequence[FeedRequest]:
        if self.decoding.finished or not self._pending:
            return ()
        node = len(self.decoding.tokens)
        behind = node - len(self._pending)
        return (
            FeedRequest(node=node, behind=behind or START, tokens=tuple(self._pending), moves=True),
        )

    def take(self, request: FeedRequest, logits: Sequence[Logits]) -> None:
        self._step(logits[-1])

    def take_text(self, tokens: Sequence[int]) -> bool:
        """Take these for the most probable tokens, none of them fed; nothing where they do not end the turn."""
        decoding = AnswerDecoding(self._answer)
        for token in tokens:
            if not decoding.step(token, 0.0, most=self._most):
                break
        if decoding.finished:
            self.decoding = decoding
        return decoding.finished

    def _step(self, logits: Logits) -> None:
        matcher, scores = self.decoding.matcher, logits
        if matcher is None:
            best = token = int(logits.argmax())
        else:
            allowed = matcher.allowed()
            allowed = allowed[allowed < len(logits)]
            scores = logits[allowed]
            best = int(scores.argmax())
            token = int(allowed[best])
        # By each token's share among the allowed ones.
        nll = normaliser(scores) - float(scores[best])
        self._pending = self.decoding.step(token, nll, most=self._most)


def answer_tokens(engine: Engine, terminator: str) -> AnswerTokens:
    ending = len(engine.tokens(terminator)) if terminator else 0

    def up_to_terminator(tokens: Sequence[int]) -> str:
        return engine.text(tokens).partition(terminator)[0]

    return AnswerTokens(
        terminator=terminator,
        tail=2 * ending + TAIL if ending > 1 else 0,
        is_stop=engine.vocab.is_eog,
        text=up_to_terminator if ending > 1 else engine.text,
        whole=partial(engine.text, special=True),
    )


class CombinedJob:
    """Jobs behind one prompt, which is read once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Give each job names of nodes of its own: 0, 3, 6 and so on for the first of three."""
        self._jobs = jobs
        self.cells = sum(job.cells for job in jobs)

    def begin(self, logits: Logits) -> None:
        for job in self._jobs:
            job.begin(logits)

    def requests(self) -> Sequence[FeedRequest]:
        found = []
        for turn, job in enumerate(self._jobs):
            for request in job.requests():
                node, behind = (
                    START if name == START else len(self._jobs) * name + turn
                    for name in (request.node, request.behind)
                )
                found.append(replace(request, node=node, behind=behind))
        return found

    def take(self, request: FeedRequest, logits: Sequence[Logits]) -> None:
        node, turn = divmod(request.node, len(self._jobs))
        self._jobs[turn].take(replace(request, node=node), logits)
