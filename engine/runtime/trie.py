"""Constrained greedy decoding as a walk down a trie of token ids: no model, no numeric library.

At each node the most probable child is taken; where only one child exists nothing has to be asked.
The same walk drives transformers (`engine.runtime.predict`) and llama.cpp
(`engine.runtime.llama_worker`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer a model gave among those allowed."""

    index: int
    """Into the answers given."""
    probability: float
    """Product, over the branching nodes, of the child's share among the allowed children."""


@dataclass(slots=True)
class Node:
    """One state: the tokens that may follow, or the answer that has been reached."""

    children: dict[int, Node] = field(default_factory=dict)
    answer: int | None = None


def build_trie(answers: Sequence[Sequence[int]]) -> Node:
    """Return the trie of answers given as token ids.

    ValueError when two answers have the same tokens or one begins with all of another: the model
    then could not say one of them. Answers that end with the turn's terminator never collide so.
    """
    root = Node()
    for index, tokens in enumerate(answers):
        node = root
        for token in tokens:
            if node.answer is not None:
                raise ValueError(f"answer {index} begins with the whole of answer {node.answer}")
            node = node.children.setdefault(token, Node())
        if node.children or node.answer is not None:
            raise ValueError(f"answer {index} is the beginning of another answer")
        node.answer = index
    return root


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


def common_prefix(sequences: Sequence[list[int]]) -> int:
    """Return how many first tokens all sequences share, leaving each at least one of its own."""
    if not sequences:
        return 0
    first, last = min(sequences), max(sequences)
    limit = min(len(sequence) for sequence in sequences) - 1
    shared = 0
    while shared < limit and first[shared] == last[shared]:
        shared += 1
    return shared


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
