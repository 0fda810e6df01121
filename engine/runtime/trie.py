"""Greedy ways through a trie of token ids, for llama.cpp; the exact search is `engine.runtime.search`.

At each node the most probable child is taken; where only one child exists nothing has to be asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.runtime.search import Choice, Node, build_trie, common_prefix

__all__ = ["Choice", "Node", "Trace", "Walk", "build_trie", "common_prefix"]


class Walk:
    """One prompt's way from the root to an answer."""

    __slots__ = ("_node", "pending", "probability")

    def __init__(self, root: Node) -> None:
        """Start at the root; tokens that are forced there already stand in `pending`."""
        self._node = root
        self.pending: list[int] = []
        """Tokens taken since the model was last asked; they are fed before it is asked again."""
        self.probability = 1.0
        self._follow_forced()

    @property
    def allowed(self) -> list[int]:
        """What the model chooses among, in answer order; empty when the walk is over."""
        return list(self._node.children)

    @property
    def choice(self) -> Choice | None:
        """The answer, once reached."""
        if self._node.answer is None:
            return None
        return Choice(index=self._node.answer, probability=self.probability)

    def take(self, scores: Sequence[float]) -> None:
        """Go to the child of the highest logit; `scores` are ordered as `allowed`, ties: first."""
        tokens = self.allowed
        best = max(range(len(tokens)), key=scores.__getitem__)
        total = math.fsum(math.exp(score - scores[best]) for score in scores)
        self.probability /= total
        self.pending = [tokens[best]]
        self._node = self._node.children[tokens[best]]
        self._follow_forced()

    def _follow_forced(self) -> None:
        while len(self._node.children) == 1:
            ((token, child),) = self._node.children.items()
            self.pending.append(token)
            self._node = child


class Trace:
    """A free decoding watched from the trie: the walk it takes as long as it says what is allowed.

    Where the most probable of all tokens is allowed, it is also the most probable allowed one; so a
    free decoding that ends in an answer is the constrained decoding, and need not be done twice.
    """

    __slots__ = ("_node", "probability")

    def __init__(self, root: Node) -> None:
        """Start at the root."""
        self._node: Node | None = root
        self.probability = 1.0

    @property
    def choice(self) -> Choice | None:
        """The answer, when every token so far was allowed and the last one ended it."""
        if self._node is None or self._node.answer is None:
            return None
        return Choice(index=self._node.answer, probability=self.probability)

    def follow(self, token: int, logits: Sequence[float]) -> None:
        """Note that `token` was said where the model gave `logits`, [V]."""
        if self._node is None:
            return
        children = self._node.children
        if len(children) > 1 and token in children:
            total = math.fsum(math.exp(logits[child] - logits[token]) for child in children)
            self.probability /= total
        self._node = children.get(token)
