"""What is asked behind a prompt in llama.cpp: which answer is most probable, and what is said.

All numbers are log-probabilities under the softmax over the whole vocabulary, as in transformers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.runtime.llama.engine import START, Ask, Engine, Job, Logits
from engine.runtime.scoring.label_search import Search, Tree

FORCED = 0
"""Node of a search at the end of what all answers begin with; branch b is node b + 1."""
MOST_TOKENS = 512
"""Cache cells of a search, where the tree has more nodes."""


class Matcher(Protocol):
    """One row's way through a grammar, as `engine.runtime.generation.grammar` has it."""

    @property
    def is_done(self) -> bool:
        """The answer and what ends it have been said."""

    def forced(self) -> list[int]:
        """Return the tokens that must come next, and take them."""

    def allowed(self) -> NDArray[np.int64]:
        """Return the tokens that may come next, rising."""

    def accept(self, token: int) -> None:
        """Take a token that the model said."""


class NotFiniteError(ArithmeticError):
    """The model's numbers are none: its weights are damaged."""


def normaliser(logits: NDArray[Any]) -> float:
    """Return log of the sum of exp. NotFiniteError where that is no number."""
    top = float(logits.max())
    if not math.isfinite(top):
        raise NotFiniteError
    return top + math.log(float(np.exp(logits - top).sum(dtype=np.float64)))


class SearchJob:
    """The most probable answer of a tree, exactly."""

    def __init__(self, tree: Tree, *, distribution: bool) -> None:
        """Start; with `distribution`, the shares of all answers too."""
        self._tree = tree
        self.search = Search(tree, distribution=distribution)
        whole = len(tree.forced) + sum(len(branch.tokens) for branch in tree.branches)
        longest = len(tree.forced) + max(
            (branch.depth + len(branch.tokens) for branch in tree.branches), default=0
        )
        self.cells = max(longest, min(whole, MOST_TOKENS))
        self._begun = not tree.forced or not tree.branches

    def begin(self, logits: Logits) -> None:
        """Take the logits at the end of the prompt."""
        if self._begun and self._tree.branches:
            self._take(0, [logits])

    def asks(self) -> Sequence[Ask]:
        """Return the branches to look into."""
        if not self._begun:
            return (Ask(node=FORCED, behind=START, tokens=self._tree.forced),)
        return [self._ask(number) for number in self.search.wanted()]

    def _ask(self, number: int) -> Ask:
        branch = self._tree.branches[number]
        root = FORCED if self._tree.forced else START
        behind = root if branch.parent == 0 else branch.parent + 1
        return Ask(node=number + 1, behind=behind, tokens=branch.tokens, every=True)

    def take(self, ask: Ask, logits: Sequence[Logits]) -> None:
        """Take the logits along a branch."""
        self._begun = True
        self._take(0 if ask.node == FORCED else ask.node - 1, logits)

    def _take(self, number: int, logits: Sequence[Logits]) -> None:
        branch = self._tree.branches[number]
        *inner, last = logits
        said = [
            float(one[token]) - normaliser(one)
            for one, token in zip(inner, branch.tokens[1:], strict=True)
        ]
        base = normaliser(last)
        self.search.take(number, [*said, *(float(last[token]) - base for token in branch.allowed)])


class SpeechJob:
    """The greedy text, free or held to a grammar."""

    def __init__(
        self,
        engine: Engine,
        *,
        most: int,
        terminator: str = "",
        matcher: Matcher | None = None,
    ) -> None:
        """Start with nothing said; at most `most` tokens."""
        self._engine, self._most, self._matcher = engine, most, matcher
        self._terminator = terminator
        self._tail = _tail(engine, terminator) if matcher is None else 0
        self._said: list[int] = matcher.forced() if matcher is not None else []
        self._pending: list[int] = list(self._said)
        self.nats = 0.0
        """How improbable what was said is, by each token's share among those that might have come."""
        self.finished = matcher is not None and matcher.is_done
        self.cells = most + len(self._said) + 1

    def begin(self, logits: Logits) -> None:
        """Say the first token, unless some are forced."""
        if not self._pending:
            self._say(logits)

    def asks(self) -> Sequence[Ask]:
        """Return what was said last."""
        if self.finished or not self._pending:
            return ()
        node = len(self._said)
        behind = node - len(self._pending)
        return (Ask(node=node, behind=behind or START, tokens=tuple(self._pending), moves=True),)

    def take(self, ask: Ask, logits: Sequence[Logits]) -> None:
        """Say the next token."""
        self._say(logits[-1])

    def text(self) -> str:
        """Return the text without its ending."""
        if self._matcher is None:
            text = self._engine.text(self._said)
            return text.partition(self._terminator)[0] if self._tail else text
        text = self._engine.text(self._said, special=True)
        return text.removesuffix(self._terminator) if self.finished else text

    def _say(self, logits: Logits) -> None:
        if self._matcher is not None:
            self._say_bound(self._matcher, logits)
            return
        token = int(logits.argmax())
        self.nats += normaliser(logits) - float(logits[token])
        self.finished = bool(self._engine.vocab.is_eog(token))
        if self.finished:
            return
        self._said.append(token)
        self.finished = self._ends_in_text()
        self._pending = [token] if len(self._said) < self._most else []

    def _say_bound(self, matcher: Matcher, logits: Logits) -> None:
        allowed = matcher.allowed()
        allowed = allowed[allowed < len(logits)]
        scores = logits[allowed]
        best = int(scores.argmax())
        self.nats += normaliser(scores) - float(scores[best])
        token = int(allowed[best])
        matcher.accept(token)
        self._pending = [token, *matcher.forced()]
        self._said += self._pending
        self.finished = matcher.is_done
        if len(self._said) >= self._most:
            self._pending = []

    def _ends_in_text(self) -> bool:
        """Tell whether a terminator of several tokens, which no stop token catches, has been said."""
        if not self._tail:
            return False
        return self._terminator in self._engine.text(self._said[-self._tail :], special=True)


def _tail(engine: Engine, terminator: str) -> int:
    """Return how many last tokens are looked at for the terminator's text; 0 where one token is it."""
    tokens = engine.tokens(terminator) if terminator else []
    return 2 * len(tokens) + 8 if len(tokens) > 1 else 0


class Both:
    """Two jobs behind one prompt, which is read once."""

    def __init__(self, first: Job, second: Job) -> None:
        """Give the first the even names of nodes, the second the odd ones."""
        self._jobs = (first, second)
        self.cells = first.cells + second.cells

    def begin(self, logits: Logits) -> None:
        """Begin both."""
        for job in self._jobs:
            job.begin(logits)

    def asks(self) -> Sequence[Ask]:
        """Return what both ask."""
        return [
            _renamed(ask, times=2, plus=turn)
            for turn, job in enumerate(self._jobs)
            for ask in job.asks()
        ]

    def take(self, ask: Ask, logits: Sequence[Logits]) -> None:
        """Hand the logits to the one that asked."""
        turn = ask.node % 2
        self._jobs[turn].take(replace(ask, node=(ask.node - turn) // 2), logits)


def _renamed(ask: Ask, *, times: int, plus: int) -> Ask:
    behind = START if ask.behind == START else times * ask.behind + plus
    return replace(ask, node=times * ask.node + plus, behind=behind)
